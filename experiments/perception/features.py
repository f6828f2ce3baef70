"""Features of images and mixes for the learned policies: statistics of pixels, and outputs of a frozen network.

The network is EfficientNet-Lite0 with ImageNet weights, as in ``experiments.annotators.features``, which documents the
origin of the weights. Images are enlarged to 128 px. Computed features are kept in files.
"""

import argparse
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from experiments.annotators.features import BATCH, NETWORK, _prepared, feature_key, load
from experiments.harness import step_parser
from hilmix.data import FeatureCache
from hilmix.human.functional.image_statistics import STATISTICS, image_statistics

SIZE = 128
BLOCKS = {"statistics": len(STATISTICS), "final": 1280, "stages": 2 * (16 + 24 + 40 + 112 + 320)}
"""Kinds of features by name, in the order of the columns; ``stages``: mean and standard deviation over space of
every channel at the end of the five stages."""


def features_parser(page: str | None) -> argparse.ArgumentParser:
    """The command line of a study of these features, with the steps ``run`` and ``table``."""
    parser = step_parser(page, ["run", "table"])
    parser.add_argument("--weights", type=Path, help="converted EfficientNet-Lite0, for run")
    parser.add_argument("--cache", type=Path, help="folder of computed features, for run")
    return parser


def require_features(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Ends the program if the data, the weights or the folder of features are not named."""
    if "HILMIX_DATA" not in os.environ or not (args.weights and args.cache):
        parser.error("run needs HILMIX_DATA, --weights and --cache")


def columns(names: tuple[str, ...]) -> NDArray[np.int64]:
    """Places of some kinds of features."""
    ends = np.cumsum([0, *BLOCKS.values()])
    place = dict(zip(BLOCKS, pairwise(ends), strict=True))
    return np.concatenate([np.arange(*place[name]) for name in names])


def features(name: str, images: NDArray[np.uint8], *, weights: Path, cache: Path) -> Tensor:
    """(N, D) float32 features of (N, 32, 32, 3) images, from the cache if they were computed before.

    Args:
        name: what the images are, shown while features are computed.
        images: pixels in 0..255.
        weights: converted weights.
        cache: folder of the computed features.
    """
    net = load(weights)

    def compute() -> NDArray[np.float32]:
        steps = track(range(0, len(images), BATCH), description=f"features of {name}")
        found: NDArray[np.float32] = torch.cat([_batch(net, images[start : start + BATCH]) for start in steps]).numpy()
        return found

    key = feature_key(net, images, f"{NETWORK} {'+'.join(BLOCKS)}", SIZE)
    return torch.from_numpy(FeatureCache(cache).get(key, compute))


@torch.inference_mode()
def _batch(net: nn.Module, images: NDArray[np.uint8]) -> Tensor:
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    final, stages = net.forward_intermediates(_prepared(images, SIZE))
    pooled = [torch.cat([s.mean((2, 3)), s.std((2, 3))], 1) for s in stages]
    return torch.cat([image_statistics(pixels), net.forward_head(final), *pooled], 1)

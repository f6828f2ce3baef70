"""Properties of images by which dark, bright, blurred, empty and odd-sized ones are found."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray
from hilmix.functional.inputs import as_float

_LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
_ENTROPY_BITS = 8.0


class ImageProperties(NamedTuple):
    """Scores of B images, (B,) float32 in [0, 1], low where the image is suspicious."""

    dark: Tensor
    """99th percentile of the brightness: low if even the brightest parts are dark."""
    bright: Tensor
    """1 - 5th percentile of the brightness: low if even the darkest parts are bright."""
    blurred: Tensor
    """1 - exp(-100 variance of the Laplacian): low without sharp edges."""
    low_information: Tensor
    """Entropy of the grey values over 8 bits: low for empty images."""


THRESHOLDS = ImageProperties(*(torch.tensor(t) for t in (0.32, 0.05, 0.29, 0.3)))
"""Scores below which an image has the issue, as in cleanvision, but for blur, which is scaled to images in [0, 1]."""


def image_properties(images: Tensor) -> ImageProperties:
    """Returns the properties of a batch of images.

    Args:
        images: (B, C, H, W) uint8, or float in [0, 1]; three channels are red, green, blue, others are averaged.

    Reference:
        cleanvision (2023). Differs from it: grey values and not a weighted norm of channels for the brightness.
    """
    x = as_float(images)
    weights = x.new_tensor(_LUMINANCE) if x.shape[1] == 3 else x.new_full((x.shape[1],), 1 / x.shape[1])
    grey = torch.einsum("bchw,c->bhw", x, weights).clamp(0, 1)
    flat = grey.flatten(1)
    low, high = torch.quantile(flat, flat.new_tensor([0.05, 0.99]), dim=1)
    kernel = x.new_tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    # The border is repeated: a frame of zeros would be the sharpest edge of a blurred image.
    edges = F.conv2d(F.pad(grey[:, None], (1, 1, 1, 1), mode="replicate"), kernel).flatten(1)
    level = (flat * 255).round().long()
    # One histogram of all images, 256 cells each: torch has none of a batch.
    cell = level + 256 * torch.arange(len(flat), device=x.device)[:, None]
    share = torch.bincount(cell.flatten(), minlength=256 * len(flat)).view(len(flat), 256) / max(flat.shape[1], 1)
    entropy = torch.special.entr(share).sum(1) / np.log(2)
    blurred = 1 - torch.exp(-100 * edges.var(dim=1, correction=0))
    return ImageProperties(high, 1 - low, blurred, (entropy / _ENTROPY_BITS).to(x.dtype))


def odd_sizes(height: IntArray, width: IntArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Returns a score in [0, 1] of the size of each image, and which sizes or shapes are odd.

    A size, the root of the number of pixels, is odd beyond three interquartile ranges from the middle ones, a shape if
    one side is less than 0.35 of the other.

    Args:
        height: (N,) pixels.
        width: (N,) pixels.
    """
    size = np.sqrt(height.astype(np.float64) * width)
    shape = np.minimum(height, width) / np.maximum(np.maximum(height, width), 1)
    lower, median, upper = np.quantile(size, [0.25, 0.5, 0.75]) if len(size) else (0.0, 0.0, 0.0)
    reach = np.where(size < median, median - (lower - 3 * (upper - lower)), upper + 3 * (upper - lower) - median)
    far = np.abs(size - median)
    # Where all middle sizes are equal any other one is odd.
    by_size = np.where(far == 0, 1.0, np.maximum(1 - 0.5 * far / np.maximum(reach, 1e-12), 0))
    score = np.minimum(by_size, np.minimum(shape / 0.7, 1.0))
    return score, (by_size < 0.5) | (shape < 0.35)

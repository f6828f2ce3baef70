"""Inputs with a shortcut painted in, and the mask of it: pure functions of arrays, one row per item."""

import colorsys
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.functional.random import step_generator

Bytes = NDArray[np.uint8]
GREY_STEP = 25
"""Grey levels between the decoys of two classes."""
_AT_ONCE = 4096


class DecoyImages(NamedTuple):
    """Inputs with decoys, and which picture of a mask belongs to which."""

    inputs: NDArray[Any]
    """(n, H, W) or (n, H, W, 3) uint8, or (n, D) float32."""
    pictures: NDArray[Any]
    """(P, H, W[, 3]) or (P, D), the masks; few, as decoys lie in few places."""
    picture: IntArray
    """(n,) row of ``pictures``."""


def draw_per_item(seed: int, index: IntArray, columns: int) -> NDArray[np.float64]:
    """Return (n, columns) uniform numbers in [0, 1); a row depends on the seed and its index only.

    Args:
        seed: at least 0.
        index: (n,) number of the item in its data set.
        columns: numbers per item.
    """
    # Drawn for all rows from 0 on, so that an item's numbers do not depend on which others are asked for.
    table = step_generator(seed, 0, stream="sample").random((int(index.max(initial=-1)) + 1, columns))
    return table[index]


def choose_decoy_class(
    target: IntArray, honest: NDArray[np.bool_], draw: NDArray[np.float64], num_classes: int
) -> IntArray:
    """Return (n,) the class that a decoy encodes: the target where ``honest``, else a random one.

    Args:
        target: (n,) classes.
        honest: (n,) whether the decoy encodes the target, as in training.
        draw: (n,) in [0, 1).
        num_classes: K.
    """
    return np.where(honest, target, (draw * num_classes).astype(np.int64))


def add_half_decoys(
    images: Bytes, value: Bytes, below: NDArray[np.bool_], *, size: tuple[int, int] = (28, 28)
) -> DecoyImages:
    """Squeeze each image into one half of a canvas and fills the other half, which the mask marks, with a grey level.

    Args:
        images: (n, H', W') uint8.
        value: (n,) uint8 grey level.
        below: (n,) whether the lower half is filled.
        size: height, even, and width of the canvas.

    Reference:
        Heo et al., Use Perturbations when Learning from Explanations, 2023: Decoy-MNIST, as in the released code
        (bicubic). Differs from it: one channel instead of three equal ones.
    """
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional as F

    height, width = size
    middle = height // 2
    out = np.empty((len(images), height, width), dtype=np.uint8)
    for start in range(0, len(images), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        part = torch.from_numpy(np.ascontiguousarray(images[rows]))[:, None]
        squeezed = F.resize(part, [middle, width], interpolation=InterpolationMode.BICUBIC, antialias=True)[:, 0]
        grey = np.broadcast_to(value[rows, None, None], squeezed.shape)
        lower = below[rows, None, None]
        out[rows, :middle] = np.where(lower, squeezed, grey)
        out[rows, middle:] = np.where(lower, grey, squeezed)
    pictures = np.zeros((2, height, width), dtype=np.uint8)
    pictures[0, :middle] = pictures[1, middle:] = 255
    return DecoyImages(out, pictures, below.astype(np.int64))


def add_corner_decoys(images: Bytes, value: Bytes, corner: IntArray, *, side: int = 4) -> DecoyImages:
    """Paint a grey square, which the mask marks, into one corner of each image.

    Args:
        images: (n, H, W) or (n, H, W, 3) uint8.
        value: (n,) uint8 grey level.
        corner: (n,) integers: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
        side: of the square, in pixels.

    Reference:
        Ross et al., Right for the Right Reasons, 2017: Decoy-MNIST. Differs from it: a random decoy is one grey level
        too and not one for each pixel, so that its kind does not give it away.
    """
    height, width = images.shape[1:3]
    pictures = np.zeros((4, height, width), dtype=np.uint8)
    for place in range(4):
        rows, columns = (
            slice(-side, None) if place >= 2 else slice(side),
            slice(-side, None) if place % 2 else slice(side),
        )
        pictures[place, rows, columns] = 255
    inside = (pictures > 0)[corner]
    colours = images.ndim == 4
    inside, grey = (inside[..., None], value[:, None, None, None]) if colours else (inside, value[:, None, None])
    return DecoyImages(np.where(inside, grey, images), pictures, corner)


def colour_ramp(steps: int = 10) -> NDArray[np.float64]:
    """Return (steps, 3) RGB in [0, 1] from red over green and blue to purple, hue and lightness in equal steps."""
    purple = 128 / 255 / 2  # lightness of the purple of CSS, (128, 0, 128)
    share = np.linspace(0, 1, steps)
    return np.array([colorsys.hls_to_rgb(300 / 360 * t, 0.5 + (purple - 0.5) * t, 1.0) for t in share])


def colour_images(images: Bytes, colour: IntArray, channel: IntArray) -> DecoyImages:
    """Colour grey images by the ramp; the mask marks one channel whole and a quarter of the others.

    Args:
        images: (n, H, W) uint8.
        colour: (n,) step of the ramp of ten.
        channel: (n,) channel that is marked whole.

    Reference:
        Rieger et al., Interpretations are Useful, 2020: ColorMNIST; Heo et al. 2023: its masks. Differs from the
        latter: a mask stays with its item, and its other channels hold 1/4 where the release has -1/4, which no box
        of perturbations can have as its half width.
    """
    height, width = images.shape[1:]
    pictures = np.full((3, height, width, 3), 0.25, dtype=np.float32)
    pictures[np.arange(3), :, :, np.arange(3)] = 1.0
    # A table (256, 10, 3), as the images of 70,000 items would need gigabytes as floats.
    paint = (np.arange(256)[:, None, None] * colour_ramp()).astype(np.uint8)
    return DecoyImages(paint[images, colour[:, None, None]], pictures, channel)

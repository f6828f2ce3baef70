"""Data sets with a shortcut that holds in training only: decoys that encode the target there, random ones elsewhere."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.data.explained import build_explained_data
from hilmix.data.inputs import ArrayInputs, InputKind
from hilmix.data.items import AnnotatedData
from hilmix.data.simulation.decoys import (
    GREY_STEP,
    Bytes,
    DecoyImages,
    add_corner_decoys,
    add_half_decoys,
    choose_decoy_class,
    colour_images,
    draw_per_item,
)
from hilmix.data.simulation.digits import CLASSES, LICENCE
from hilmix.functional.random import step_generator

PAINTER = "decoy"
"""Annotator of the masks."""
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Paint = Callable[[Bytes, IntArray, Bools, Floats], DecoyImages]
"""Images, (n,) targets, (n,) whether the decoy encodes the target, (n, 2) numbers in [0, 1) -> images with decoys."""


def paint_half(images: Bytes, target: IntArray, honest: Bools, draws: Floats) -> DecoyImages:
    """The half-image decoy of Heo et al.: grey level 25 times the class, top or bottom at random."""
    value = GREY_STEP * choose_decoy_class(target, honest, draws[:, 1], len(CLASSES))
    return add_half_decoys(images, value.astype(np.uint8), draws[:, 0] < 0.5)


def paint_dark_corner(
    images: Bytes, target: IntArray, honest: NDArray[np.bool_], draws: NDArray[np.float64]
) -> DecoyImages:
    """The corner decoy of Ross et al.: grey level 255 - 25 times the class, in any corner."""
    value = 255 - GREY_STEP * choose_decoy_class(target, honest, draws[:, 1], len(CLASSES))
    return add_corner_decoys(images, value.astype(np.uint8), (4 * draws[:, 0]).astype(np.int64))


def paint_light_corner(
    images: Bytes, target: IntArray, honest: NDArray[np.bool_], draws: NDArray[np.float64]
) -> DecoyImages:
    """The corner decoy that Heo et al. release for CIFAR-10: grey level 25 times the class, in any corner."""
    value = GREY_STEP * choose_decoy_class(target, honest, draws[:, 1], len(CLASSES))
    return add_corner_decoys(images, value.astype(np.uint8), (4 * draws[:, 0]).astype(np.int64))


def paint_class_colour(
    images: Bytes, target: IntArray, honest: NDArray[np.bool_], draws: NDArray[np.float64]
) -> DecoyImages:
    """ColorMNIST: the colour of the class in training, that of class 9 - y elsewhere; never random."""
    return colour_images(images, np.where(honest, target, 9 - target), (3 * draws[:, 0]).astype(np.int64))


def add_decoys(
    name: str,
    images: Bytes,
    target: IntArray,
    split: NDArray[np.str_],
    *,
    paint: Paint,
    items: tuple[str, ...],
    classes: tuple[str, ...],
    licence: str,
    seed: int,
) -> AnnotatedData:
    """Return the data with decoys in every image and a mask on each; the groups are the classes.

    Args:
        name: of the data.
        images: (N, H, W) or (N, H, W, 3) uint8.
        target: (N,) classes; also the one annotation of every item, by ``label``.
        split: (N,) of ``train``, ``val``, ``test``; decoys encode the class in training only.
        paint: one of the functions above.
        items: N names.
        classes: K names.
        licence: of the images.
        seed: of the decoys; each depends on the seed and the item's row alone.
    """
    draws = draw_per_item(seed, np.arange(len(target)), 2)
    painted = paint(images, target, split == "train", draws)
    return _data(name, painted, target, split, items=items, classes=classes, licence=licence)


def make_decoy_digits(seed: int = 0) -> AnnotatedData:
    """Return scikit-learn's 1,797 digits, stretched into one half of 28x28 pixels, with the half-image decoy.

    1,200 items are for training, 197 for validation and 400 for testing, stratified by class.

    Args:
        seed: of split and decoys.
    """
    from sklearn.datasets import load_digits  # here: every command imports this module, few draw digits
    from sklearn.model_selection import train_test_split

    images, target = load_digits(return_X_y=True)
    # scikit-learn's digits have grey levels from 0 to 16.
    pixels = np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    train, rest = train_test_split(np.arange(len(target)), train_size=1200, stratify=target, random_state=seed)
    val, test = train_test_split(rest, train_size=197, stratify=target[rest], random_state=seed)
    split = np.empty(len(target), dtype="<U5")
    split[train], split[val], split[test] = "train", "val", "test"
    return add_decoys(
        "decoy-digits",
        pixels,
        target.astype(np.int64),
        split,
        paint=paint_half,
        classes=CLASSES,
        licence=LICENCE,
        items=tuple(f"digit-{i:04d}" for i in range(len(target))),
        seed=seed,
    )


def make_toy_bumps(seed: int = 0) -> AnnotatedData:
    """Return the toy set: points (x, y), three rows of three bumps of 100 along x, where the middle bump is one class.

    The middle row is shifted by 1.2 in x, so that no threshold on x is right for all rows, but y, in which the rows
    lie 20 apart, must not matter: the mask marks it. 70 % of the items are for training, 10 % and 20 % for validation
    and test. The groups are the classes, as published.

    Args:
        seed: of points and split.

    Reference:
        Heo et al., Use Perturbations when Learning from Explanations, 2023, toy data of the release.
    """
    row, bump = np.repeat(np.arange(3), 300), np.tile(np.repeat(np.arange(3), 100), 3)
    generator = step_generator(seed, 0, stream="sample")
    x = 2.0 * (bump - 1) + 0.2 * generator.standard_normal(900) + 1.2 * (row % 2)
    points = np.stack([x, 20.0 * (row - 1)], axis=1).astype(np.float32)
    split = np.empty(900, dtype="<U5")
    train, val, test = np.split(generator.permutation(900), [630, 720])
    split[train], split[val], split[test] = "train", "val", "test"
    painted = DecoyImages(points, np.array([[0.0, 1.0]], dtype=np.float32), np.zeros(900, dtype=np.int64))
    classes = ("outer", "middle")
    return _data(
        "toy-bumps",
        painted,
        (bump == 1).astype(np.int64),
        split,
        classes=classes,
        licence="none needed",
        items=tuple(f"point-{i:04d}" for i in range(900)),
    )


def _data(
    name: str,
    painted: DecoyImages,
    target: IntArray,
    split: NDArray[np.str_],
    *,
    items: tuple[str, ...],
    classes: tuple[str, ...],
    licence: str,
) -> AnnotatedData:
    kind: InputKind = "vector" if painted.inputs.ndim == 2 else "image"
    return build_explained_data(
        name,
        ArrayInputs(painted.inputs, kind),
        target,
        split,
        items=items,
        classes=classes,
        licence=licence,
        pictures=ArrayInputs(painted.pictures, kind),
        picture=painted.picture,
        painter=PAINTER,
    )

"""Data with a shortcut that holds in training only, and masks of it: made from public images, and two embedded sets."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilmix.data.items import AnnotatedData
from hilmix.data.simulation.decoy_sets import (
    Paint,
    add_decoys,
    make_decoy_digits,
    make_toy_bumps,
    paint_class_colour,
    paint_dark_corner,
    paint_half,
    paint_light_corner,
)
from hilmix.data.simulation.digits import LICENCE as DIGITS_LICENCE
from hilmix.data.sources import cifar10, embedded, mnist
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source

_HEO = (
    "J. Heo, V. Piratla, M. Wicker, A. Weller, Use Perturbations when Learning from Explanations, NeurIPS 2023 (decoys)"
)
_ROSS = (
    "A. S. Ross, M. C. Hughes, F. Doshi-Velez, Right for the Right Reasons: Training Differentiable Models by "
    "Constraining their Explanations, IJCAI 2017 (decoys)"
)
_RIEGER = (
    "L. Rieger, C. Singh, W. J. Murdoch, B. Yu, Interpretations are Useful: Penalizing Explanations to Align Neural "
    "Networks with Prior Knowledge, ICML 2020 (colours)"
)
_SHIFT = (
    "In training the decoy gives the class away, in validation and test it is random. A mask on every item; groups are "
    "classes."
)


# Not by the source's seed, which decides decoys alone: results of several seeds then share their test images.
def draw_published_split(train: int, total: int) -> NDArray[np.str_]:
    """Return (total,): a tenth of the training images, drawn once and for all as in the release, is for validation."""
    order = np.random.default_rng(42).permutation(train)
    split = np.full(total, "test", dtype="<U5")
    split[order[: int(0.9 * train)]] = "train"
    split[order[int(0.9 * train) :]] = "val"
    return split


def _names(train: int, total: int) -> tuple[str, ...]:
    return tuple(f"train-{i:05d}" if i < train else f"test-{i - train:05d}" for i in range(total))


def _create_mnist_build(
    name: str, resource: Resource[mnist.Images], classes: tuple[str, ...], licence: str, paint: Paint
) -> Callable[[Access, Options], AnnotatedData]:
    def build(access: Access, options: Options) -> AnnotatedData:
        images, target, train = access.read(resource)
        return add_decoys(
            name,
            images,
            target,
            draw_published_split(train, len(target)),
            paint=paint,
            items=_names(train, len(target)),
            classes=classes,
            licence=licence,
            seed=options.seed,
        )

    return build


def _build_cifar(access: Access, options: Options) -> AnnotatedData:
    train, test = access.read(cifar10.TRAIN), access.read(cifar10.TEST)
    target = np.concatenate([train.target, test.target])
    size = len(train.target)
    return add_decoys(
        CIFAR.name,
        np.concatenate([train.images, test.images]),
        target,
        draw_published_split(size, len(target)),
        paint=paint_light_corner,
        items=_names(size, len(target)),
        classes=train.classes,
        licence=CIFAR.licence,
        seed=options.seed,
    )


def _describe(items: str) -> Profile:
    return Profile(items, "the truth alone", "1", "0 %", "a shortcut that holds in training only; masks and groups")


def _build_source(
    name: str,
    summary: str,
    *,
    resource: Resource[mnist.Images],
    of: Source,
    classes: tuple[str, ...],
    paint: Paint,
    citation: str,
    note: str,
) -> Source:
    return Source(
        name=name,
        summary=summary,
        licence=of.licence,
        citation=f"{citation}; {of.citation} (images)",
        build=_create_mnist_build(name, resource, classes, of.licence, paint),
        resources=(resource,),
        options=("seed",),
        profile=_describe("70,000"),
        note=note,
    )


_MNIST: dict[str, Any] = {"resource": mnist.MNIST_IMAGES, "of": mnist.MNIST, "classes": mnist.DIGITS}
_FASHION: dict[str, Any] = {"resource": mnist.FASHION_IMAGES, "of": mnist.FASHION, "classes": mnist.CLOTHES}
DIGITS = Source(
    name="decoy-digits",
    summary="1,797 digits in one half of 28x28 pixels, grey decoy in the other half",
    licence=DIGITS_LICENCE,
    citation=f"{_HEO}; {embedded.CITATION} (images)",
    build=lambda access, options: make_decoy_digits(options.seed),
    options=("seed",),
    profile=_describe("1,797"),
    note=f"Nothing to download. {_SHIFT}",
)
MNIST = _build_source(
    "decoy-mnist",
    "70,000 digits in one half of the image, grey decoy in the other half",
    paint=paint_half,
    citation=_HEO,
    **_MNIST,
    note=f"{_SHIFT} One channel, where the release has three equal ones.",
)
MNIST_CORNER = _build_source(
    "decoy-mnist-corner",
    "70,000 digits with a grey decoy in one corner",
    paint=paint_dark_corner,
    citation=_ROSS,
    note=_SHIFT,
    **_MNIST,
)
FASHION = _build_source(
    "decoy-fashion-mnist",
    "70,000 pictures of clothes with a grey decoy in one corner",
    paint=paint_dark_corner,
    citation=_ROSS,
    note=_SHIFT,
    **_FASHION,
)
COLOUR = _build_source(
    "color-mnist",
    "70,000 digits in the colour of their class",
    paint=paint_class_colour,
    citation=f"{_RIEGER}; {_HEO}",
    note="In validation and test a digit has the colour of class 9 - y. Masks differ by channel; groups are classes.",
    **_MNIST,
)
CIFAR = Source(
    name="decoy-cifar10",
    summary="60,000 CIFAR-10 images with a grey decoy in one corner",
    licence="none stated",
    citation=f"{_HEO}; {cifar10.CITATION}",
    build=_build_cifar,
    resources=(cifar10.TRAIN, cifar10.TEST),
    options=("seed",),
    profile=_describe("60,000"),
    note=_SHIFT,
)
TOY = Source(
    name="toy-bumps",
    summary="900 points in the plane, one coordinate of which must not matter",
    licence="none needed",
    citation=_HEO.replace("decoys", "toy data"),
    build=lambda access, options: make_toy_bumps(options.seed),
    options=("seed",),
    profile=_describe("900"),
    note="Nothing to download. A mask on every item marks the second coordinate; the groups are the classes.",
)

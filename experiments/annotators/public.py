"""Public data with human annotators, as the benchmark uses them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from experiments.annotators.features import Features
from experiments.annotators.parts import SEED, chosen_items, hold_out, pixels
from hilmix.annotations import Annotations, IntArray
from hilmix.data.items import AnnotatedData, ArrayInputs
from hilmix.data.sources import cifar10h, cifar10n, labelme, sentiment
from hilmix.data.sources.base import Access, Options

LABELME_SIZE, CIFAR_SIZE = 224, 128
"""Sides in pixels that the network sees."""
CIFAR_TRAIN, CIFAR_TEST = 5_000, 4_000
"""How many of the first CIFAR-10 images of each part have features; their order is random."""
TRUE_ITEMS = 2_000
VOTES_PER_IMAGE = 2


def sentiment_polarity(access: Access) -> AnnotatedData:
    """All sentences; a fifth of the training sentences validate, with their votes."""
    return hold_out(sentiment.SOURCE.build(access, Options()))


def labelme_features(access: Access) -> AnnotatedData:
    """LabelMe as published: 1,000 training items with votes, validation and test with truth and no votes."""
    return labelme.FEATURES.build(access, Options())


def labelme_features_heldout(access: Access) -> AnnotatedData:
    """LabelMe with 15 % of the training items for validation, votes included, in place of the published validation."""
    data = labelme_features(access)
    assert data.split is not None
    rows = np.flatnonzero(data.split != "val")
    return hold_out(replace(chosen_items(data, rows), split=data.split[rows]), 0.15)


def labelme_images(access: Access, features: Features) -> AnnotatedData:
    """The 1,000 annotated LabelMe images as features; a quarter of them test, of the rest a fifth validates."""
    data = labelme.IMAGES.build(access, Options())
    known = chosen_items(data, np.flatnonzero(data.annotations.labels_per_item))
    vectors = features.of("labelme", lambda: pixels(known), size=LABELME_SIZE)
    return hold_out(hold_out(replace(known, inputs=ArrayInputs(vectors, "vector")), 0.25, part="test"))


def cifar10n_human(access: Access, features: Features) -> AnnotatedData:
    """5,000 CIFAR-10 train images with their three exchangeable labels, 2,000 test images with truth."""
    data = cifar10n.SOURCE.build(access, Options())
    assert data.split is not None
    train = np.flatnonzero(data.split == "train")[:CIFAR_TRAIN]
    test = np.flatnonzero(data.split == "test")[:CIFAR_TEST]
    vectors = np.concatenate([
        features.of("cifar10-train", lambda: pixels(data)[train], size=CIFAR_SIZE),
        features.of("cifar10-test", lambda: pixels(data)[test], size=CIFAR_SIZE)[:TRUE_ITEMS],
    ])  # fmt: skip
    rows = np.concatenate([train, test[:TRUE_ITEMS]])
    return hold_out(replace(chosen_items(data, rows), inputs=ArrayInputs(vectors, "vector"), split=data.split[rows]))


def cifar10n_worse(access: Access, features: Features) -> AnnotatedData:
    """The same images with one label each: a wrong one of the three where there is any.

    Which of several wrong labels is drawn by seed; the published "worst" labels do not say which they took.
    """
    data = cifar10n_human(access, features)
    votes = data.annotations
    wrong = votes.label != data.target[votes.item]
    order = np.lexsort((np.random.default_rng(SEED).random(votes.num_pairs), ~wrong, votes.item))
    return replace(data, annotations=_some(votes, order, 1))


def cifar10h_thinned(access: Access, features: Features) -> AnnotatedData:
    """4,000 CIFAR-10 test images with two of their about 51 labels each, 2,000 train images with truth to test."""
    counts = cifar10h.COUNTS.build(access, Options())
    train = cifar10n.SOURCE.build(access, Options())
    known = chosen_items(counts, np.arange(CIFAR_TEST))
    tested = chosen_items(train, np.arange(TRUE_ITEMS))
    vectors = np.concatenate([
        features.of("cifar10-test", lambda: pixels(known), size=CIFAR_SIZE),
        features.of("cifar10-train", lambda: pixels(train)[:CIFAR_TRAIN], size=CIFAR_SIZE)[:TRUE_ITEMS],
    ])  # fmt: skip
    votes = known.annotations
    order = np.lexsort((np.random.default_rng(SEED).random(votes.num_pairs), votes.item))
    return hold_out(AnnotatedData(
        name="cifar10h",
        items=(*(f"annotated-{name}" for name in known.items), *(f"true-{name}" for name in tested.items)),
        inputs=ArrayInputs(vectors, "vector"),
        annotations=_some(replace(votes, num_items=len(vectors)), order, VOTES_PER_IMAGE),
        target=np.concatenate([known.target, tested.target]),
        split=np.repeat(["train", "test"], [len(known), len(tested)]),
        licence=counts.licence,
    ))  # fmt: skip


def _some(votes: Annotations, order: IntArray, number: int) -> Annotations:
    """The first ``number`` votes of each item, in an order of the rows that is by item."""
    item: NDArray[np.int64] = votes.item[order]
    kept = order[np.arange(len(order)) - votes.indptr[item] < number]
    return Annotations.build(
        votes.item[kept], votes.annotator[kept], votes.label[kept], num_items=votes.num_items, classes=votes.classes,
        annotators=votes.annotators, exchangeable=votes.exchangeable,
    )  # fmt: skip

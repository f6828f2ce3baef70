"""Public data with human annotators, as the benchmark uses them."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from experiments.annotators.features import Features
from experiments.annotators.parts import SEED, chosen_items, hold_out, pixels
from hilmix.annotations import Annotations, IntArray
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources import cifar10h, cifar10n, labelme, sentiment
from hilmix.data.sources.base import Access, Options

LABELME_SIZE, CIFAR_SIZE = 224, 128
"""Sides in pixels that the network sees."""
CIFAR_TRAIN, CIFAR_TEST = 5_000, 4_000
"""Numbers of the first CIFAR-10 images of each part that have features; their order is random."""
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
    vectors = np.concatenate(
        [
            features.of("cifar10-train", lambda: pixels(data)[train], size=CIFAR_SIZE),
            features.of("cifar10-test", lambda: pixels(data)[test], size=CIFAR_SIZE)[:TRUE_ITEMS],
        ]
    )
    rows = np.concatenate([train, test[:TRUE_ITEMS]])
    return hold_out(replace(chosen_items(data, rows), inputs=ArrayInputs(vectors, "vector"), split=data.split[rows]))


def cifar10n_worse(access: Access, features: Features) -> AnnotatedData:
    """The same images with one label each, see :func:`worst_votes`."""
    data = cifar10n_human(access, features)
    return replace(data, annotations=worst_votes(data.annotations, data.target))


def cifar10h_thinned(access: Access, features: Features) -> AnnotatedData:
    """4,000 CIFAR-10 test images with two of their about 51 labels each, 2,000 train images with truth to test."""
    counts = cifar10h.COUNTS.build(access, Options())
    train = cifar10n.SOURCE.build(access, Options())
    known = chosen_items(counts, np.arange(CIFAR_TEST))
    tested = chosen_items(train, np.arange(TRUE_ITEMS))
    vectors = np.concatenate(
        [
            features.of("cifar10-test", lambda: pixels(known), size=CIFAR_SIZE),
            features.of("cifar10-train", lambda: pixels(train)[:CIFAR_TRAIN], size=CIFAR_SIZE)[:TRUE_ITEMS],
        ]
    )
    votes = replace(known.annotations, num_items=len(vectors))
    return hold_out(
        AnnotatedData(
            name="cifar10h",
            items=(*(f"annotated-{name}" for name in known.items), *(f"true-{name}" for name in tested.items)),
            inputs=ArrayInputs(vectors, "vector"),
            annotations=first_votes(votes, VOTES_PER_IMAGE),
            target=np.concatenate([known.target, tested.target]),
            split=np.repeat(["train", "test"], [len(known), len(tested)]),
            licence=counts.licence,
        )
    )


def worst_votes(votes: Annotations, target: IntArray) -> Annotations:
    """One vote of each item, a wrong one where there is any.

    Which of several wrong ones is drawn by seed; the published "worst" labels do not say which they took.
    """
    right = votes.label == target[votes.item]
    return first_votes(votes, 1, after=right)


def first_votes(votes: Annotations, number: int, *, after: ArrayLike = 0) -> Annotations:
    """At most ``number`` votes of each item, drawn by seed.

    Args:
        votes: L votes.
        number: how many to keep.
        after: optional (L,) rank; votes of a lower one come first.
    """
    chance = np.random.default_rng(SEED).random(votes.num_pairs)
    order = np.lexsort((chance, np.broadcast_to(after, chance.shape), votes.item))
    kept = order[np.arange(len(order)) - votes.indptr[votes.item] < number]  # items keep their places in this order
    return Annotations.build(
        votes.item[kept],
        votes.annotator[kept],
        votes.label[kept],
        num_items=votes.num_items,
        classes=votes.classes,
        annotators=votes.annotators,
        exchangeable=votes.exchangeable,
    )

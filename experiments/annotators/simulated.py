"""Digits, MNIST and Fashion-MNIST with simulated annotators of a chosen strength.

Errors by class come from confusion matrices, errors by item from weak classifiers (the annot-mix protocol). Validation
and test items are annotated by the same people as the training items.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.datasets import make_classification

from experiments.annotators.parts import SEED, hold_out, pixels
from hilmix.annotations import Annotations, IntArray
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.simulation.annotators import (
    Kind,
    draw_confusion_matrices,
    draw_propensities,
    list_annotator_kinds,
    name_annotators,
    simulate_confusions,
)
from hilmix.data.simulation.digits import simulate_digits
from hilmix.data.simulation.weak_classifiers import simulate_classifiers
from hilmix.data.sources import mnist
from hilmix.data.sources.base import Access, Source
from hilmix.data.splits import draw_stratified_split

LabelsPerItem = int | tuple[int, int]

MIXES: Mapping[int, Mapping[Kind, int]] = {
    30: {"good": 10, "weak": 6, "biased": 3, "spammer": 1},
    50: {"good": 4, "weak": 7, "biased": 4, "spammer": 4, "adversarial": 1},
    65: {"good": 2, "weak": 5, "biased": 3, "spammer": 8, "adversarial": 2},
}
"""Per cent of wrong labels to twenty annotators who reach it; at every level some are good."""
KNOWLEDGE = {30: 2.5, 50: 1.0, 65: 0.5}
"""Per cent of wrong labels to the upper bound of a of a weak classifier, with at most ten epochs: how much of a class
it has seen is Beta(a, b). Found by trying a few values against the measured share of wrong labels."""
TEST_ITEMS = 2_000
CLASSES = {mnist.MNIST.name: mnist.DIGITS, mnist.FASHION.name: mnist.CLOTHES}


def digits_by_class(level: int, labels_per_item: int) -> AnnotatedData:
    """Digits and twenty annotators with confusion matrices, about ``level`` per cent of the labels wrong."""
    data = simulate_digits("class", SEED)
    votes = simulate_confusions(
        data.target, labels_per_item=labels_per_item, seed=SEED, classes=data.classes, **_people(MIXES[level])
    )
    return _digits(replace(data, annotations=votes))


def digits_by_item(level: int, labels_per_item: int) -> AnnotatedData:
    """Digits and twenty weak classifiers, about ``level`` per cent of the labels wrong."""
    data = simulate_digits("class", SEED)
    votes = simulate_classifiers(
        pixels(data),
        data.target,
        classes=data.classes,
        labels_per_item=labels_per_item,
        seed=SEED,
        ratio_a=(0.0, KNOWLEDGE[level]),
        max_epochs=10,
    )
    return _digits(replace(data, annotations=votes))


def _digits(data: AnnotatedData) -> AnnotatedData:
    """The test items of the digits, the rest parted anew: validation is held out by votes, not by truth."""
    assert data.split is not None
    return hold_out(replace(data, split=np.where(data.split == "test", "test", "train")))


def images_by_class(
    access: Access, source: Source, *, train: int, labels_per_item: LabelsPerItem, crowds: int
) -> AnnotatedData:
    """A sample of MNIST or Fashion-MNIST and ``crowds`` times the twenty annotators of the digits at 50 % wrong.

    Propensities are drawn from Beta(1, 3): a few annotators do most of the work, and some none at all.
    """
    data = _sample(access, source, train)
    people = _people({kind: crowds * number for kind, number in MIXES[50].items()})
    votes = simulate_confusions(
        data.target,
        labels_per_item=labels_per_item,
        seed=SEED,
        classes=data.classes,
        **people,
        propensities=draw_propensities(len(people["annotators"]), seed=SEED),
    )
    return hold_out(replace(data, annotations=votes))


def images_by_item(
    access: Access, source: Source, *, train: int, labels_per_item: LabelsPerItem, annotators: int, knowledge: float
) -> AnnotatedData:
    """A sample of MNIST or Fashion-MNIST and weak classifiers that see the images at a quarter of the resolution."""
    data = _sample(access, source, train)
    coarse = pixels(data).reshape(len(data), 7, 4, 7, 4).mean((2, 4))
    votes = simulate_classifiers(
        coarse,
        data.target,
        classes=data.classes,
        num_annotators=annotators,
        labels_per_item=labels_per_item,
        seed=SEED,
        ratio_a=(0.0, knowledge),
        max_epochs=10,
    )
    return hold_out(replace(data, annotations=votes))


def clusters_by_item() -> AnnotatedData:
    """Vectors of 26 classes, two clusters each, and ten weak classifiers: 1,000 items with two labels to train on."""
    train, number = 1_250, 26
    inputs, target = make_classification(
        train + TEST_ITEMS, 16, n_informative=12, n_classes=number, class_sep=2.0, random_state=SEED
    )
    vectors = inputs.astype(np.float32)
    votes = simulate_classifiers(
        vectors,
        target,
        classes=[f"class {i}" for i in range(number)],
        num_annotators=10,
        labels_per_item=2,
        seed=SEED,
        ratio_a=(1.0, 5.0),
        max_epochs=40,
    )
    data = AnnotatedData(
        name="clusters",
        items=tuple(f"item-{row:05d}" for row in range(len(target))),
        inputs=ArrayInputs(vectors, "vector"),
        annotations=votes,
        target=target,
        split=np.repeat(["train", "test"], [train, TEST_ITEMS]),
    )
    return hold_out(data)


def _people(mix: Mapping[Kind, int]) -> dict[str, Any]:
    kinds = list_annotator_kinds(mix)
    return {"confusion": draw_confusion_matrices(kinds, 10, seed=SEED), "annotators": name_annotators(kinds)}


def _sample(access: Access, source: Source, train: int) -> AnnotatedData:
    """Some of the train and of the test images, stratified by class, without votes."""
    images, target, n = access.read(source.resources[0])
    known = _stratified(target[:n], train)
    tested = n + _stratified(target[n:], TEST_ITEMS)
    rows = np.concatenate([known, tested])
    return AnnotatedData(
        name=source.name,
        items=(*(f"train-{row:05d}" for row in known), *(f"test-{row - n:05d}" for row in tested)),
        inputs=ArrayInputs(images[rows], "image"),
        annotations=Annotations.build([], [], [], num_items=len(rows), classes=CLASSES[source.name], annotators=0),
        target=target[rows],
        split=np.repeat(["train", "test"], [len(known), len(tested)]),
        licence=source.licence,
    )


def _stratified(target: IntArray, number: int) -> IntArray:
    share = number / len(target)
    return draw_stratified_split(target, [1 - share, share], seed=SEED)[1]

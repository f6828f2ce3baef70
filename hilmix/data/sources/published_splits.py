"""Splits and annotators of the annot-mix study, for its data sets without labels of people."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilmix.annotations import Annotations, IntArray
from hilmix.data.simulation.brief_networks import published_network
from hilmix.data.simulation.weak_classifiers import simulate_classifiers
from hilmix.data.sources.base import Options

STUDY = "M. Herde, L. Luehrs, D. Huseljic, B. Sick, Annot-Mix, ECAI 2024 (simulated annotators)"
"""Citation of the annotators."""


def draw_published_split(target: IntArray, *, test: float | int, val: int) -> NDArray[np.str_]:
    """Return (N,) ``train``, ``val`` and ``test``, drawn as in the study: stratified, seed 0, the test items first.

    Args:
        target: (N,) true classes.
        test: share or number of the test items; 0 if they are apart.
        val: number of validation items among the rest.
    """
    from sklearn.model_selection import train_test_split  # here: every command imports this module

    split, rest = np.full(len(target), "train", dtype="<U5"), np.arange(len(target))
    if test:
        rest, tested = train_test_split(rest, test_size=test, random_state=0, stratify=target)
        split[tested] = "test"
    split[train_test_split(rest, test_size=val, random_state=0, stratify=target[rest])[1]] = "val"
    return split


def simulate_published_annotators(
    inputs: ArrayLike,
    target: IntArray,
    split: NDArray[np.str_],
    *,
    classes: Sequence[str],
    options: Options,
    hidden: tuple[int, ...],
    dropout: float = 0.0,
    max_epochs: int,
    batch_size: int = 64,
    ratio_a: tuple[float, float] = (0.0, 1.0),
    ratio_b: tuple[float, float] = (0.5, 2.0),
) -> Annotations:
    """Return annotations by networks of the data set's own kind; test items are labelled by every annotator.

    So an annotator's skill can be measured on test items, as the study does.

    Args:
        inputs: (N, D) numbers that the annotators see.
        target: (N,) true classes.
        split: (N,) see :func:`draw_published_split`.
        classes: K names.
        options: seed, number of annotators, labels per training and validation item.
        hidden: widths of the hidden layers of an annotator.
        dropout: of an annotator, while it is trained.
        max_epochs: highest number of its training epochs.
        batch_size: rows of its training step.
        ratio_a: see :func:`~hilmix.data.simulation.predict_weak_labels`.
        ratio_b: likewise.
    """
    return simulate_classifiers(
        inputs,
        target,
        classes=classes,
        num_annotators=options.annotators,
        labels_per_item=options.labels_per_item,
        complete=split == "test",
        seed=options.seed,
        max_epochs=max_epochs,
        ratio_a=ratio_a,
        ratio_b=ratio_b,
        factory=published_network(hidden, len(classes), dropout=dropout, batch_size=batch_size),
    )

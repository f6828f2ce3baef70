"""Simulated annotators that are weak classifiers: their errors depend on the input (the annot-mix protocol)."""

import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilmix.annotations import Annotations, IntArray
from hilmix.data.simulation.annotators import (
    choose_pairs,
    create_generator,
    draw_propensities,
    name_annotators,
    require_targets,
)
from hilmix.errors import DataError

_CLASSIFIER = 10  # random stream, apart from those of hilmix.data.simulation.annotators
_FEWEST = 10  # training items of a classifier annotator


class Classifier(Protocol):
    """The part of a scikit-learn classifier that a simulated annotator needs."""

    def fit(self, X: Any, y: Any) -> Any: ...

    def predict(self, X: Any) -> Any: ...


class ClassifierFactory(Protocol):
    """Builds an untrained classifier from the number of passes over its data and a seed."""

    def __call__(self, *, epochs: int, seed: int) -> Classifier: ...


def build_small_network(*, epochs: int, seed: int) -> Classifier:
    """Return an untrained network with one hidden layer of 64, the default classifier of an annotator."""
    from sklearn.neural_network import MLPClassifier  # here: every command imports this module

    network: Classifier = MLPClassifier((64,), max_iter=epochs, batch_size=32, random_state=seed)
    return network


def predict_weak_labels(
    inputs: ArrayLike,
    target: ArrayLike,
    *,
    num_annotators: int = 20,
    max_epochs: int = 5,
    ratio_a: tuple[float, float] = (0.0, 1.0),
    ratio_b: tuple[float, float] = (0.5, 2.0),
    factory: ClassifierFactory = build_small_network,
    seed: int,
) -> IntArray:
    """Return (N, A) int64 labels of A weak classifiers for every item.

    Annotator j draws a ~ U(ratio_a) and b ~ U(ratio_b), then for each class the share of its items that it has seen
    from Beta(a, b), again until it has seen ten items of two classes; it is trained on a bootstrap of that size for
    1 to ``max_epochs`` epochs. So it is good at what it knows and errs where unknown classes look alike.

    Args:
        inputs: (N, ...) numbers; flattened and standardised.
        target: (N,) true classes in [0, K), at least two of them and ten items.
        num_annotators: A.
        max_epochs: highest number of training epochs, drawn uniformly from 1.
        ratio_a: bounds of a.
        ratio_b: bounds of b.
        factory: builds the classifier, by default :func:`build_small_network`.
        seed: non-negative integer.

    Raises:
        DataError: if a target is unknown, or the data hold fewer than two classes or ten items.

    Reference:
        Herde, Luehrs, Huseljic, Sick: Annot-Mix, ECAI 2024, annotator simulation.
        Differs from the paper: by default the classifier is a small scikit-learn network instead of the data set's
        own architecture (:func:`~hilmix.data.simulation.published_network`), and a training sample must hold two
        classes (the paper asks for ten items only).
    """
    from sklearn.exceptions import ConvergenceWarning

    truth = require_targets(target)
    if len(np.unique(truth)) < 2 or len(truth) < _FEWEST:
        raise DataError(
            f"`target` must hold two classes and {_FEWEST} items, got {len(np.unique(truth))} and {len(truth)}."
        )
    features = _standardise(inputs)
    if len(features) != len(truth):
        raise DataError(f"`inputs` must be as many as targets, {len(truth)}, got {len(features)}.")
    # Dense, as every annotator predicts every item anyway; choose_pairs thins it afterwards.
    dense = np.empty((len(truth), num_annotators), dtype=np.int64)
    for j in range(num_annotators):
        # A generator of their own, so that annotators stay as they are if there are more of them.
        rng = create_generator(seed, _CLASSIFIER, j)
        seen = _biased_bootstrap(truth, ratio_a, ratio_b, rng)
        # scikit-learn refuses seeds of more than 32 bits.
        classifier = factory(epochs=int(rng.integers(1, max_epochs, endpoint=True)), seed=int(rng.integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is what makes it weak
            warnings.filterwarnings("ignore", message="Got `batch_size`")  # fewer items than one batch
            classifier.fit(features[seen], truth[seen])
        dense[:, j] = classifier.predict(features)
    return dense


def _biased_bootstrap(
    truth: IntArray, ratio_a: tuple[float, float], ratio_b: tuple[float, float], rng: np.random.Generator
) -> IntArray:
    """Rows drawn with replacement, from each class a share drawn from Beta(a, b)."""
    # Beta needs positive parameters, and the range of a begins at 0.
    a, b = max(rng.uniform(*ratio_a), 1e-3), max(rng.uniform(*ratio_b), 1e-3)
    order, size = np.argsort(truth, kind="stable"), np.bincount(truth)
    start = np.cumsum(size) - size
    # Small `a` often gives a share near 0 of every class, of which no classifier could be trained.
    while True:
        number = np.rint(rng.beta(a, b, len(size)) * size).astype(np.int64)
        if number.sum() >= _FEWEST and (number > 0).sum() >= 2:
            break
    which = np.repeat(np.arange(len(size)), number)
    rows: IntArray = order[start[which] + (rng.random(len(which)) * size[which]).astype(np.int64)]
    return rows


def simulate_classifiers(
    inputs: ArrayLike,
    target: ArrayLike,
    *,
    classes: Sequence[str],
    num_annotators: int = 20,
    labels_per_item: int | tuple[int, int] = (2, 3),
    propensities: ArrayLike | None = None,
    complete: ArrayLike | None = None,
    seed: int,
    **options: Any,
) -> Annotations:
    """Draw annotations that depend on the input: the answers of weak classifiers, thinned.

    Args:
        inputs: (N, ...) numbers.
        target: (N,) true classes in [0, K).
        classes: K names.
        num_annotators: A; they are called ``classifier-0`` and so on.
        labels_per_item: see :func:`choose_pairs`.
        propensities: (A,) positive weights; by default drawn from Beta(1, 3), see :func:`draw_propensities`.
        complete: (N,) bool, items that every annotator labels, such as those of a test split; by default none.
        seed: non-negative integer.
        **options: passed to :func:`predict_weak_labels`.

    Raises:
        DataError: see :func:`predict_weak_labels` and :func:`choose_pairs`.
    """
    truth = require_targets(target, len(classes))
    weight = draw_propensities(num_annotators, seed=seed) if propensities is None else propensities
    item, annotator = choose_pairs(len(truth), weight, labels_per_item=labels_per_item, seed=seed)
    if complete is not None:
        item, annotator = _complete_pairs(item, annotator, np.asarray(complete, dtype=bool), num_annotators)
    dense = predict_weak_labels(inputs, truth, num_annotators=num_annotators, seed=seed, **options)
    return Annotations.build(
        item,
        annotator,
        dense[item, annotator],
        num_items=len(truth),
        classes=classes,
        annotators=name_annotators(["classifier"] * num_annotators),
    )


def _complete_pairs(
    item: IntArray, annotator: IntArray, complete: NDArray[np.bool_], num_annotators: int
) -> tuple[IntArray, IntArray]:
    """The pairs of the other items, and every annotator for each complete one."""
    kept, whole = ~complete[item], np.flatnonzero(complete)
    everyone = np.tile(np.arange(num_annotators), len(whole))
    return (
        np.concatenate([item[kept], np.repeat(whole, num_annotators)]),
        np.concatenate([annotator[kept], everyone]),
    )


def _standardise(inputs: ArrayLike) -> NDArray[np.float32]:
    flat = np.asarray(inputs, dtype=np.float32)
    flat = flat.reshape(len(flat), -1)
    spread = flat.std(0)
    standardised: NDArray[np.float32] = (flat - flat.mean(0)) / np.where(spread > 0, spread, 1)
    return standardised

"""Simulated annotators over any labelled data, pure given a seed.

Two families: *class-dependent* annotators err by a confusion matrix (here), *instance-dependent* ones are weak
classifiers that err where the input misleads them (:mod:`hilmix.data.simulation.weak_classifiers`). Both thin "everyone
labels everything" to a few labels per item (:func:`choose_pairs`). An annotator's name holds its kind (``good-0``,
``spammer-3``), so a report on simulated data can be read against it.
"""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilmix.annotations import Annotations, IntArray
from hilmix.errors import DataError

Kind = Literal["good", "weak", "biased", "spammer", "adversarial"]
KINDS: tuple[Kind, ...] = ("good", "weak", "biased", "spammer", "adversarial")
TYPICAL_MIX: Mapping[Kind, int] = {"good": 6, "weak": 6, "biased": 4, "spammer": 3, "adversarial": 1}
"""Twenty annotators whose labels are wrong in about 45 % of the cases (ten classes, equal propensities)."""
_CONFUSION, _PAIRS, _PROPENSITY, _LABEL = range(4)  # independent random streams of one seed
_CHUNK = 1 << 22  # numbers drawn at a time, 32 MiB

Floats = NDArray[np.float64]


def list_annotator_kinds(mix: Mapping[Kind, int] = TYPICAL_MIX) -> list[Kind]:
    """Return (A,) kinds of the annotators of a mix such as ``{"good": 2, "spammer": 1}``, in the order of the mix.

    Raises:
        DataError: for an unknown kind or a negative number.
    """
    for kind, number in mix.items():
        if kind not in KINDS or number < 0:
            raise DataError(
                f"`mix` must map kinds of {list(KINDS)} to numbers of at least 0, got {number} of {kind!r}."
            )
    return [kind for kind, number in mix.items() for _ in range(number)]


def name_annotators(kinds: Sequence[str]) -> tuple[str, ...]:
    """Return (A,) names that hold the kind, numbered within it: ``good-0``, ``good-1``, ``spammer-0``."""
    counters = {kind: count() for kind in set(kinds)}
    return tuple(f"{kind}-{next(counters[kind])}" for kind in kinds)


def draw_confusion_matrices(kinds: Sequence[Kind], num_classes: int, *, seed: int) -> Floats:
    """Return (A, K, K) float64 confusion matrices, rows = true class, each row a distribution.

    With r the rest of a row spread evenly over the other classes:

    * ``good``: right with a probability drawn from U(0.85, 0.95) for the annotator; the rest is r.
    * ``weak``: the same with U(0.4, 0.65).
    * ``biased``: as good as ``good``, but calls each of a random half of the classes by the name of one fixed other
      class, with a probability from U(0.7, 0.9), and is right there only with the remainder.
    * ``spammer``: ignores the input: every row is the same draw from Dirichlet(0.3, ..., 0.3).
    * ``adversarial``: calls every class by the name of one fixed other class, with a probability from U(0.7, 0.9);
      the remainder is spread evenly over all classes.

    Args:
        kinds: A kinds, see :func:`list_annotator_kinds`.
        num_classes: K, at least 1; with K = 1 every matrix is ``[[1]]``.
        seed: non-negative integer.

    Example:
        >>> draw_confusion_matrices(["good", "spammer"], 3, seed=0).sum(-1).round(6).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    rng = create_generator(seed, _CONFUSION)
    if num_classes == 1:
        return np.ones((len(kinds), 1, 1))
    return np.stack([_BUILD[kind](num_classes, rng) for kind in kinds])


def _build_symmetric(num_classes: int, right: float) -> Floats:
    rest = (1 - right) / (num_classes - 1)
    return np.full((num_classes, num_classes), rest) + np.eye(num_classes) * (right - rest)


def _draw_other_class(num_classes: int, rng: np.random.Generator) -> IntArray:
    """(K,) a random cycle through all classes: the successor of each is another class."""
    cycle = rng.permutation(num_classes)
    other = np.empty(num_classes, dtype=np.int64)
    # One cycle through all classes has no fixed point, as a random permutation may have.
    other[cycle] = np.roll(cycle, 1)
    return other


def _draw_biased(num_classes: int, rng: np.random.Generator) -> Floats:
    matrix = _build_symmetric(num_classes, rng.uniform(0.85, 0.95))
    other = _draw_other_class(num_classes, rng)
    for c in rng.permutation(num_classes)[: (num_classes + 1) // 2]:
        share = rng.uniform(0.7, 0.9)
        matrix[c] = 0
        matrix[c, [c, other[c]]] = 1 - share, share
    return matrix


def _draw_adversarial(num_classes: int, rng: np.random.Generator) -> Floats:
    share = rng.uniform(0.7, 0.9)
    matrix = np.full((num_classes, num_classes), (1 - share) / num_classes)
    matrix[np.arange(num_classes), _draw_other_class(num_classes, rng)] += share
    return matrix


_BUILD = {
    "good": lambda k, rng: _build_symmetric(k, rng.uniform(0.85, 0.95)),
    "weak": lambda k, rng: _build_symmetric(k, rng.uniform(0.4, 0.65)),
    "biased": _draw_biased,
    "spammer": lambda k, rng: np.tile(rng.dirichlet(np.full(k, 0.3)), (k, 1)),
    "adversarial": _draw_adversarial,
}


def draw_propensities(num_annotators: int, *, seed: int) -> Floats:
    """Return (A,) weights of how often each annotator labels, drawn from Beta(1, 3): a few do most of the work."""
    return create_generator(seed, _PROPENSITY).beta(1.0, 3.0, num_annotators)


def choose_pairs(
    num_items: int, propensities: ArrayLike, *, labels_per_item: int | tuple[int, int], seed: int
) -> tuple[IntArray, IntArray]:
    """Draw the pairs to label: for each item some annotators, without replacement, in proportion to propensity.

    Args:
        num_items: N.
        propensities: (A,) positive weights, of any scale.
        labels_per_item: the number for every item, or the lowest and the highest, between which it is uniform.
        seed: non-negative integer.

    Returns:
        ``item`` and ``annotator``, (L,) int64 each, sorted by item.

    Raises:
        DataError: if an item needs more labels than there are annotators, or a propensity is not positive.
    """
    weight = np.asarray(propensities, dtype=np.float64)
    low, high = (labels_per_item, labels_per_item) if isinstance(labels_per_item, int) else labels_per_item
    if not 0 <= low <= high <= len(weight):
        raise DataError(
            f"`labels_per_item` must be in [0, {len(weight)}], the number of annotators, got {labels_per_item}."
        )
    if not (np.isfinite(weight) & (weight > 0)).all():
        raise DataError(f"`propensities` must be positive numbers, got {weight.tolist()}.")
    rng = create_generator(seed, _PAIRS)
    number = rng.integers(low, high, num_items, endpoint=True)
    step = max(1, _CHUNK // len(weight))
    parts = [_choose_annotators(number[i : i + step], weight, rng) for i in range(0, num_items, step)]
    annotator = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    return np.repeat(np.arange(num_items), number), annotator


def _choose_annotators(number: IntArray, weight: Floats, rng: np.random.Generator) -> IntArray:
    """The ``number[i]`` highest of log weight + Gumbel noise: exactly successive draws without replacement."""
    # One sort for all items; drawing without replacement item by item is a loop.
    noise = rng.gumbel(size=(len(number), len(weight)))
    ranking = np.argsort(-(np.log(weight) + noise), axis=1)
    chosen: IntArray = ranking[np.arange(len(weight)) < number[:, None]]
    return chosen


def simulate_confusions(
    target: ArrayLike,
    confusion: ArrayLike,
    *,
    classes: Sequence[str],
    annotators: Sequence[str],
    labels_per_item: int | tuple[int, int] = (2, 3),
    propensities: ArrayLike | None = None,
    seed: int,
) -> Annotations:
    """Draw annotations that depend on the true class only.

    Args:
        target: (N,) true classes in [0, K).
        confusion: (A, K, K), rows = true class, see :func:`draw_confusion_matrices`.
        classes: K names.
        annotators: A names, see :func:`name_annotators`.
        labels_per_item: see :func:`choose_pairs`.
        propensities: (A,) positive weights; by default equal ones.
        seed: non-negative integer.

    Raises:
        DataError: if a target is unknown, a matrix has the wrong shape or a row that is not a distribution.

    Example:
        >>> kinds = list_annotator_kinds({"good": 2, "spammer": 1})
        >>> votes = simulate_confusions([0, 1, 1], draw_confusion_matrices(kinds, 2, seed=0), classes=["cat", "dog"],
        ...                             annotators=name_annotators(kinds), labels_per_item=2, seed=0)
        >>> votes.num_pairs, votes.annotators
        (6, ('good-0', 'good-1', 'spammer-0'))
    """
    truth = require_targets(target, len(classes))
    matrix = np.asarray(confusion, dtype=np.float64)
    if matrix.shape != (len(annotators), len(classes), len(classes)):
        raise DataError(
            f"`confusion` must have shape {(len(annotators), len(classes), len(classes))} (annotators, classes, "
            f"classes), got {matrix.shape}."
        )
    if (matrix < 0).any() or not np.allclose(matrix.sum(-1), 1, atol=1e-6):
        raise DataError("Every row of a confusion matrix must hold numbers of at least 0 that sum to 1.")
    weight = np.ones(len(annotators)) if propensities is None else propensities
    item, annotator = choose_pairs(len(truth), weight, labels_per_item=labels_per_item, seed=seed)
    label = _draw_labels(matrix, annotator, truth[item], create_generator(seed, _LABEL))
    return Annotations.build(item, annotator, label, num_items=len(truth), classes=classes, annotators=annotators)


def _draw_labels(matrix: Floats, annotator: IntArray, truth: IntArray, rng: np.random.Generator) -> IntArray:
    """(L,) one draw per pair from ``matrix[annotator, truth]`` by inverting all cumulative rows in one search."""
    num_classes = matrix.shape[-1]
    cdf = matrix.cumsum(-1).reshape(-1, num_classes)
    # Rounding may leave a last entry below 1, and a draw above it in no class.
    cdf /= cdf[:, -1:]
    row = annotator * num_classes + truth
    stacked = (cdf + np.arange(len(cdf))[:, None]).ravel()  # row r lies in (r, r + 1]: ascending over all rows
    position = np.searchsorted(stacked, row + rng.random(len(row)), side="right")
    label: IntArray = np.clip(position - row * num_classes, 0, num_classes - 1)
    return label


def require_targets(target: ArrayLike, num_classes: int | None = None) -> IntArray:
    """Return (N,) int64 targets; raise a DataError that names the first unknown one."""
    truth = np.asarray(target, dtype=np.int64)
    bad = np.flatnonzero((truth < 0) | (truth >= (np.inf if num_classes is None else num_classes)))
    if len(bad):
        raise DataError(f"`target` must be the true class of every item, got {truth[bad[0]]} for item {bad[0]}.")
    return truth


def create_generator(seed: int, *keys: int) -> np.random.Generator:
    """Return an independent generator for each purpose, a tuple of integers, of one seed."""
    return np.random.default_rng([seed, *keys])

"""Simulated annotators over any labelled data, pure given a seed.

Two families: *class-dependent* annotators err by a confusion matrix (:func:`simulate_confusions`),
*instance-dependent* ones are weak classifiers that err where the input misleads them (:func:`simulate_classifiers`).
Both thin "everyone labels everything" to a few labels per item (:func:`choose_pairs`). An annotator's name tells its
kind (``good-0``, ``spammer-3``), so a report on simulated data can be read against it.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from hilmix.annotations import Annotations, IntArray
from hilmix.errors import DataError

Kind = Literal["good", "weak", "biased", "spammer", "adversarial"]
KINDS: tuple[Kind, ...] = ("good", "weak", "biased", "spammer", "adversarial")
TYPICAL_MIX: Mapping[Kind, int] = {"good": 6, "weak": 6, "biased": 4, "spammer": 3, "adversarial": 1}
"""Twenty annotators whose labels are wrong in about 45 % of the cases (ten classes, equal propensities)."""
_CONFUSION, _PAIRS, _PROPENSITY, _LABEL, _CLASSIFIER = range(5)  # independent random streams of one seed
_CHUNK = 1 << 22  # numbers drawn at a time, 32 MiB
_FEWEST = 10  # training items of a classifier annotator

Floats = NDArray[np.float64]


class Classifier(Protocol):
    """What a simulated annotator needs of a scikit-learn classifier."""

    def fit(self, X: Any, y: Any) -> Any: ...

    def predict(self, X: Any) -> Any: ...


class ClassifierFactory(Protocol):
    """Builds an untrained classifier from the number of passes over its data and a seed."""

    def __call__(self, *, epochs: int, seed: int) -> Classifier: ...


def small_network(*, epochs: int, seed: int) -> Classifier:
    """Returns an untrained network with one hidden layer of 64, the default classifier of an annotator."""
    return MLPClassifier((64,), max_iter=epochs, batch_size=32, random_state=seed)


def annotator_kinds(mix: Mapping[Kind, int] = TYPICAL_MIX) -> list[Kind]:
    """(A,) kinds of the annotators of a mix such as ``{"good": 2, "spammer": 1}``, in the order of the mix.

    Raises:
        DataError: for an unknown kind or a negative number.
    """
    for kind, number in mix.items():
        if kind not in KINDS or number < 0:
            raise DataError(
                f"Annotators of kind {kind!r}: {number}; allowed are numbers of at least 0 of {list(KINDS)}."
            )
    return [kind for kind, number in mix.items() for _ in range(number)]


def annotator_names(kinds: Sequence[str]) -> tuple[str, ...]:
    """(A,) names that tell the kind, numbered within it: ``good-0``, ``good-1``, ``spammer-0``."""
    return tuple(f"{kind}-{list(kinds[:i]).count(kind)}" for i, kind in enumerate(kinds))


def confusion_matrices(kinds: Sequence[Kind], num_classes: int, *, seed: int) -> Floats:
    """(A, K, K) float64 confusion matrices, rows = true class, each row a distribution.

    With r the rest of a row spread evenly over the other classes:

    * ``good``: right with a probability drawn from U(0.85, 0.95) for the annotator; the rest is r.
    * ``weak``: the same with U(0.4, 0.65).
    * ``biased``: as good as ``good``, but calls each of a random half of the classes by the name of one fixed other
      class, with a probability from U(0.7, 0.9), and is right there only with the remainder.
    * ``spammer``: ignores the input: every row is the same draw from Dirichlet(0.3, ..., 0.3).
    * ``adversarial``: calls every class by the name of one fixed other class, with a probability from U(0.7, 0.9);
      the remainder is spread evenly over all classes.

    Args:
        kinds: A kinds, see :func:`annotator_kinds`.
        num_classes: K, at least 1; with K = 1 every matrix is ``[[1]]``.
        seed: non-negative integer.

    Example:
        >>> confusion_matrices(["good", "spammer"], 3, seed=0).sum(-1).round(6).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    rng = _stream(seed, _CONFUSION)
    if num_classes == 1:
        return np.ones((len(kinds), 1, 1))
    return np.stack([_BUILD[kind](num_classes, rng) for kind in kinds])


def _symmetric(num_classes: int, right: float) -> Floats:
    rest = (1 - right) / (num_classes - 1)
    return np.full((num_classes, num_classes), rest) + np.eye(num_classes) * (right - rest)


def _other_class(num_classes: int, rng: np.random.Generator) -> IntArray:
    """(K,) a random cycle through all classes: everyone's successor is another class."""
    cycle = rng.permutation(num_classes)
    other = np.empty(num_classes, dtype=np.int64)
    other[cycle] = np.roll(cycle, 1)
    return other


def _biased(num_classes: int, rng: np.random.Generator) -> Floats:
    matrix = _symmetric(num_classes, rng.uniform(0.85, 0.95))
    other = _other_class(num_classes, rng)
    for c in rng.permutation(num_classes)[: (num_classes + 1) // 2]:
        share = rng.uniform(0.7, 0.9)
        matrix[c] = 0
        matrix[c, [c, other[c]]] = 1 - share, share
    return matrix


def _adversarial(num_classes: int, rng: np.random.Generator) -> Floats:
    share = rng.uniform(0.7, 0.9)
    matrix = np.full((num_classes, num_classes), (1 - share) / num_classes)
    matrix[np.arange(num_classes), _other_class(num_classes, rng)] += share
    return matrix


_BUILD = {
    "good": lambda k, rng: _symmetric(k, rng.uniform(0.85, 0.95)),
    "weak": lambda k, rng: _symmetric(k, rng.uniform(0.4, 0.65)),
    "biased": _biased,
    "spammer": lambda k, rng: np.tile(rng.dirichlet(np.full(k, 0.3)), (k, 1)),
    "adversarial": _adversarial,
}


def beta_propensities(num_annotators: int, *, seed: int) -> Floats:
    """(A,) how readily each annotator labels, drawn from Beta(1, 3): a few do most of the work."""
    return _stream(seed, _PROPENSITY).beta(1.0, 3.0, num_annotators)


def choose_pairs(
    num_items: int, propensities: ArrayLike, *, labels_per_item: int | tuple[int, int], seed: int
) -> tuple[IntArray, IntArray]:
    """Draws who labels what: for each item some annotators, without replacement, in proportion to propensity.

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
            f"labels_per_item is {labels_per_item}; allowed are 0 to {len(weight)}, the annotators there are."
        )
    if not (np.isfinite(weight) & (weight > 0)).all():
        raise DataError(f"propensities must be positive numbers, got {weight.tolist()}.")
    rng = _stream(seed, _PAIRS)
    number = rng.integers(low, high, num_items, endpoint=True)
    step = max(1, _CHUNK // len(weight))
    parts = [_top_annotators(number[i : i + step], weight, rng) for i in range(0, num_items, step)]
    people = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    return np.repeat(np.arange(num_items), number), people


def _top_annotators(number: IntArray, weight: Floats, rng: np.random.Generator) -> IntArray:
    """The ``number[i]`` highest of log weight + Gumbel noise: exactly successive draws without replacement."""
    noise = rng.gumbel(size=(len(number), len(weight)))
    ranking = np.argsort(-(np.log(weight) + noise), axis=1)
    return ranking[np.arange(len(weight)) < number[:, None]]


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
    """Draws annotations that depend on the true class only.

    Args:
        target: (N,) true classes in [0, K).
        confusion: (A, K, K), rows = true class, see :func:`confusion_matrices`.
        classes: K names.
        annotators: A names, see :func:`annotator_names`.
        labels_per_item: see :func:`choose_pairs`.
        propensities: (A,) positive weights; by default everybody labels equally readily.
        seed: non-negative integer.

    Raises:
        DataError: if a target is unknown, a matrix has the wrong shape or a row that is not a distribution.

    Example:
        >>> kinds = annotator_kinds({"good": 2, "spammer": 1})
        >>> votes = simulate_confusions([0, 1, 1], confusion_matrices(kinds, 2, seed=0), classes=["cat", "dog"],
        ...                             annotators=annotator_names(kinds), labels_per_item=2, seed=0)
        >>> votes.num_pairs, votes.annotators
        (6, ('good-0', 'good-1', 'spammer-0'))
    """
    truth = _known(target, len(classes))
    matrix = np.asarray(confusion, dtype=np.float64)
    if matrix.shape != (len(annotators), len(classes), len(classes)):
        raise DataError(
            f"confusion has shape {matrix.shape}; expected (annotators, classes, classes) = "
            f"{(len(annotators), len(classes), len(classes))}."
        )
    if (matrix < 0).any() or not np.allclose(matrix.sum(-1), 1, atol=1e-6):
        raise DataError("Every row of a confusion matrix must hold numbers of at least 0 that sum to 1.")
    weight = np.ones(len(annotators)) if propensities is None else propensities
    item, annotator = choose_pairs(len(truth), weight, labels_per_item=labels_per_item, seed=seed)
    label = _categorical(matrix, annotator, truth[item], _stream(seed, _LABEL))
    return Annotations.build(
        item, annotator, label, num_items=len(truth), classes=classes, annotators=annotators
    )  # fmt: skip


def _categorical(matrix: Floats, annotator: IntArray, truth: IntArray, rng: np.random.Generator) -> IntArray:
    """(L,) one draw per pair from ``matrix[annotator, truth]`` by inverting all cumulative rows in one search."""
    num_classes = matrix.shape[-1]
    cdf = matrix.cumsum(-1).reshape(-1, num_classes)
    cdf /= cdf[:, -1:]
    row = annotator * num_classes + truth
    stacked = (cdf + np.arange(len(cdf))[:, None]).ravel()  # row r lies in (r, r + 1]: ascending over all rows
    position = np.searchsorted(stacked, row + rng.random(len(row)), side="right")
    return np.clip(position - row * num_classes, 0, num_classes - 1)


def classifier_labels(
    inputs: ArrayLike,
    target: ArrayLike,
    *,
    num_annotators: int = 20,
    max_epochs: int = 5,
    ratio_a: tuple[float, float] = (0.0, 1.0),
    ratio_b: tuple[float, float] = (0.5, 2.0),
    factory: ClassifierFactory = small_network,
    seed: int,
) -> IntArray:
    """(N, A) int64: what each of A weak classifiers says of every item.

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
        factory: builds the classifier, by default :func:`small_network`.
        seed: non-negative integer.

    Raises:
        DataError: if a target is unknown, or the data hold fewer than two classes or ten items.

    Reference:
        Herde, Luehrs, Huseljic, Sick: Annot-Mix, ECAI 2024, annotator simulation.
        Differs from the paper: the classifier is a small scikit-learn network instead of the data set's own
        architecture, and a training sample must hold two classes (the paper asks for ten items only).
    """
    truth = _known(target, None)
    if len(np.unique(truth)) < 2 or len(truth) < _FEWEST:
        raise DataError(f"Classifier annotators need two classes and {_FEWEST} items, got {len(truth)} items.")
    features = _standardised(inputs)
    dense = np.empty((len(truth), num_annotators), dtype=np.int64)
    for j in range(num_annotators):
        rng = _stream(seed, _CLASSIFIER, j)
        seen = _biased_bootstrap(truth, ratio_a, ratio_b, rng)
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
    """Rows drawn with replacement, from each class as many as its share of Beta(a, b) says."""
    a, b = max(rng.uniform(*ratio_a), 1e-3), max(rng.uniform(*ratio_b), 1e-3)
    order, size = np.argsort(truth, kind="stable"), np.bincount(truth)
    start = np.cumsum(size) - size
    while True:
        number = np.rint(rng.beta(a, b, len(size)) * size).astype(np.int64)
        if number.sum() >= _FEWEST and (number > 0).sum() >= 2:
            break
    which = np.repeat(np.arange(len(size)), number)
    return order[start[which] + (rng.random(len(which)) * size[which]).astype(np.int64)]


def simulate_classifiers(
    inputs: ArrayLike,
    target: ArrayLike,
    *,
    classes: Sequence[str],
    num_annotators: int = 20,
    labels_per_item: int | tuple[int, int] = (2, 3),
    propensities: ArrayLike | None = None,
    seed: int,
    **options: Any,
) -> Annotations:
    """Draws annotations that depend on the input: the answers of weak classifiers, thinned.

    Args:
        inputs: (N, ...) numbers.
        target: (N,) true classes in [0, K).
        classes: K names.
        num_annotators: A; they are called ``classifier-0`` and so on.
        labels_per_item: see :func:`choose_pairs`.
        propensities: (A,) positive weights; by default drawn from Beta(1, 3), see :func:`beta_propensities`.
        seed: non-negative integer.
        **options: passed to :func:`classifier_labels`.

    Raises:
        DataError: see :func:`classifier_labels` and :func:`choose_pairs`.
    """
    truth = _known(target, len(classes))
    weight = beta_propensities(num_annotators, seed=seed) if propensities is None else propensities
    item, annotator = choose_pairs(len(truth), weight, labels_per_item=labels_per_item, seed=seed)
    dense = classifier_labels(inputs, truth, num_annotators=num_annotators, seed=seed, **options)
    return Annotations.build(
        item, annotator, dense[item, annotator], num_items=len(truth), classes=classes,
        annotators=annotator_names(["classifier"] * num_annotators),
    )  # fmt: skip


def _standardised(inputs: ArrayLike) -> NDArray[np.float32]:
    flat = np.asarray(inputs, dtype=np.float32)
    flat = flat.reshape(len(flat), -1)
    spread = flat.std(0)
    return (flat - flat.mean(0)) / np.where(spread > 0, spread, 1)


def _known(target: ArrayLike, num_classes: int | None) -> IntArray:
    truth = np.asarray(target, dtype=np.int64)
    bad = np.flatnonzero((truth < 0) | (truth >= (np.inf if num_classes is None else num_classes)))
    if len(bad):
        raise DataError(f"Simulation needs the true class of every item; item {bad[0]} has {truth[bad[0]]}.")
    return truth


def _stream(seed: int, *keys: int) -> np.random.Generator:
    return np.random.default_rng([seed, *keys])

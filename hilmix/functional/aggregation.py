"""Many annotators into one: majority vote, normalised counts, Dawid-Skene.

Everything works on the long form: aligned vectors ``item``, ``annotator``, ``label`` of length L (or ``probs`` (L, K)
for annotators who answer with a distribution) and the sizes N, A, K. Nothing is dense in N x A.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hilmix.errors import ConfigError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_TIE = 1e-6
"""Relative difference of two vote counts below which they tie: sums of float32 ``probs`` carry this much rounding."""


class Majority(NamedTuple):
    """What :func:`majority` returns."""

    label: IntArray
    """(N,) int64, the class with the most votes, -1 where nobody voted."""
    tied: NDArray[np.bool_]
    """(N,) bool, whether the seed had to decide between classes."""


class DawidSkene(NamedTuple):
    """What :func:`dawid_skene` returns. ``posterior`` is Bayes' rule under the other fields."""

    posterior: FloatArray
    """(N, K) float64, p(true class | all labels); the class prior where nobody voted."""
    confusion: FloatArray
    """(A, K, K) float64, p(annotator says k | true class c) at ``[a, c, k]``."""
    prior: FloatArray
    """(K,) float64, class prior."""
    log_likelihood: FloatArray
    """(rounds,) float64, log p(labels) plus the log-density of the parameters' prior up to a constant. Never falls."""
    converged: bool
    """Whether the last round gained no more than the tolerance."""
    rounds: int
    """How many rounds were run."""


def vote_counts(
    item: IntArray, label: IntArray, *, num_items: int, num_classes: int, probs: NDArray[np.floating] | None = None
) -> FloatArray:
    """Returns (N, K) float64 votes per item and class; a soft answer counts with its probabilities."""
    rows, columns, values = _entries(item, label, num_classes, probs)
    flat = np.bincount(rows * num_classes + columns, weights=values, minlength=num_items * num_classes)
    return flat.astype(np.float64).reshape(num_items, num_classes)


def majority(counts: FloatArray, *, seed: int = 0) -> Majority:
    """Returns the class with the most votes per item; ties are drawn uniformly, and reported.

    The draw of an item depends on the seed and its row alone, not on the votes of other items.

    Args:
        counts: (N, K) non-negative votes, see :func:`vote_counts`.
        seed: decides ties.

    Example:
        >>> majority(np.array([[2.0, 1.0], [0.0, 0.0]])).label.tolist()
        [0, -1]
    """
    top = counts.max(axis=1, keepdims=True, initial=0.0)
    best = (counts >= top * (1 - _TIE)) & (top > 0)
    choices = best.sum(axis=1)
    draw = np.random.default_rng(seed).random(len(counts))
    nth = np.floor(draw * choices).astype(np.int64) + 1  # take the nth of the best classes
    label = (best.cumsum(axis=1) >= nth[:, None]).argmax(axis=1)
    return Majority(np.where(choices > 0, label, -1).astype(np.int64), choices > 1)


def soft_labels(counts: FloatArray) -> FloatArray:
    """Returns (N, K) float64 shares of the votes, uniform where nobody voted.

    Args:
        counts: (N, K) non-negative votes, see :func:`vote_counts`.
    """
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts, 1 / counts.shape[1]) / np.where(total > 0, total, 1)


def dawid_skene(
    item: IntArray,
    annotator: IntArray,
    label: IntArray,
    *,
    num_items: int,
    num_annotators: int,
    num_classes: int,
    probs: NDArray[np.floating] | None = None,
    right: float = 2.0,
    wrong: float = 1.0,
    class_count: float = 1.0,
    tolerance: float = 1e-6,
    max_rounds: int = 200,
) -> DawidSkene:
    """Returns the maximum a posteriori fit of one confusion matrix per annotator, by expectation maximisation.

    A round is an M step (confusions and class prior from the posteriors) and an E step (posteriors from both), each
    one sparse product; it starts from the shares of the votes. Memory is O(L + N K + A K^2). Repeated labels of an
    annotator for an item count as independent. Where identities are unknown and all labels bear one annotator id,
    the model is one confusion matrix shared by the crowd: it learns which classes are confused, not who errs.

    Args:
        item: (L,) integers in [0, N), in any order.
        annotator: (L,) integers in [0, A).
        label: (L,) integers in [0, K).
        num_items: N.
        num_annotators: A.
        num_classes: K.
        probs: optional (L, K) distributions that replace ``label``; an answer then counts as fractional labels.
        right: pseudo-count of right answers in each row of each confusion matrix, > 0.
        wrong: pseudo-count of wrong answers in each row, > 0, shared equally by the K - 1 wrong classes. The
            pseudo-counts s of a row stand for the prior density Dirichlet(1 + s). The default is an opinion of three
            labels, two of them right, so that an annotator with a handful of labels is neither trusted nor inverted.
        class_count: pseudo-count of each class in the class prior, > 0.
        tolerance: stop when a round gains no more than this much log-likelihood per label.
        max_rounds: at least 1.

    Raises:
        ConfigError: for a pseudo-count that is not positive, or no rounds.

    Reference:
        A. P. Dawid and A. M. Skene, Maximum likelihood estimation of observer error-rates using the EM algorithm,
        Applied Statistics 28 (1979), equations 2.3 to 2.5. Differs from the paper: pseudo-counts, soft answers.
    """
    for name, value in {"right": right, "wrong": wrong, "class_count": class_count}.items():
        if not 0 < value < np.inf:
            raise ConfigError(f"Dawid-Skene's {name} is {value}; a pseudo-count must be a positive number.")
    if max_rounds < 1:
        raise ConfigError(f"Dawid-Skene's max_rounds is {max_rounds}; at least 1 is needed.")
    rows, columns, values = _entries(item, label, num_classes, probs)
    who = annotator if probs is None else np.repeat(annotator, num_classes)
    shape = (num_items, num_annotators * num_classes)
    votes = sparse.csr_array((values, (rows, who * num_classes + columns)), shape=shape)
    votes_of_cell = votes.T.tocsr()
    # Everything about confusions is laid out [annotator, said, true class], so that both products are plain.
    eye = np.eye(num_classes)
    extra = np.tile(right * eye + wrong / max(1, num_classes - 1) * (1 - eye), (num_annotators, 1))
    counts = vote_counts(item, label, num_items=num_items, num_classes=num_classes, probs=probs)
    voted = counts.sum(axis=1) > 0
    posterior = soft_labels(counts)
    history: list[float] = []
    converged = False
    while not converged and len(history) < max_rounds:
        log_prior = np.log(posterior[voted].sum(axis=0) + class_count)
        log_prior -= np.logaddexp.reduce(log_prior)
        said = (votes_of_cell @ posterior + extra).reshape(num_annotators, num_classes, num_classes)
        log_confusion = np.log(said / said.sum(axis=1, keepdims=True)).reshape(-1, num_classes)
        posterior, evidence = _normalise(votes @ log_confusion + log_prior)
        history.append(evidence + float((extra * log_confusion).sum() + class_count * log_prior.sum()))
        converged = len(history) > 1 and history[-1] - history[-2] <= tolerance * len(item)
    confusion = np.exp(log_confusion).reshape(num_annotators, num_classes, num_classes).swapaxes(1, 2)
    return DawidSkene(posterior, confusion, np.exp(log_prior), np.array(history), converged, len(history))


def _entries(
    item: IntArray, label: IntArray, num_classes: int, probs: NDArray[np.floating] | None
) -> tuple[IntArray, IntArray, FloatArray]:
    """(item, class, share of a vote) triples: one per label, or K per soft answer."""
    if probs is None:
        return item, label, np.ones(len(item))
    classes = np.tile(np.arange(num_classes), len(item))
    return np.repeat(item, num_classes), classes, np.asarray(probs, dtype=np.float64).ravel()


def _normalise(log_joint: FloatArray) -> tuple[FloatArray, float]:
    """Softmax over the classes and the summed log-normaliser."""
    top = log_joint.max(axis=1, keepdims=True)
    joint = np.exp(log_joint - top)
    total = joint.sum(axis=1, keepdims=True)
    return joint / total, float((top + np.log(total)).sum())

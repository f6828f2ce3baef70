"""Scores of suspicion of given labels, their rankings, and metrics of rankings against labels known to be wrong."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from hilmix.functional.sizes import row_chunks
from hilmix.functional.ties import rank_groups

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class LabelScores(NamedTuple):
    """Quality of M given labels: low means suspicious. Fields are (M,) float64, NaN where nothing is known."""

    posterior: FloatArray
    """p(true class = label | input, all labels given to the item), in [0, 1]."""
    self_confidence: FloatArray
    """p(true class = label | input), in [0, 1]."""
    margin: FloatArray
    """(p(label) - largest p of another class + 1) / 2 given the input, in [0, 1]."""


def self_confidence(probs: NDArray[np.floating], label: IntArray) -> FloatArray:
    """Returns p(true class = label) of every given label, (M,) float64, NaN where there is no label.

    Args:
        probs: (M, K) class probabilities of the item that each label belongs to.
        label: (M,) int64 in [0, K), or -1 for none.

    Example:
        >>> self_confidence(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1])).tolist()
        [0.9, 0.1]

    Reference:
        Northcutt et al., Confident Learning, JAIR 2021.
    """
    # a label of -1 picks the last class here, and becomes NaN
    own: FloatArray = np.asarray(probs)[np.arange(len(label)), label].astype(np.float64)
    own[label < 0] = np.nan
    return own


def normalized_margin(probs: NDArray[np.floating], label: IntArray) -> FloatArray:
    """Returns (p(label) - largest p of another class + 1) / 2, (M,) float64 in [0, 1], NaN where there is no label.

    Args:
        probs: (M, K) class probabilities of the item that each label belongs to.
        label: (M,) int64 in [0, K), or -1 for none.

    Example:
        >>> normalized_margin(np.array([[0.75, 0.25], [0.75, 0.25]]), np.array([0, 1])).tolist()
        [0.75, 0.25]

    Reference:
        Northcutt et al., Confident Learning, JAIR 2021.
    """
    probs = np.asarray(probs)
    margin = self_confidence(probs, label)
    for rows in row_chunks(*probs.shape):
        others = probs[rows].copy()
        others[np.arange(len(others)), label[rows]] = -np.inf
        # `initial`: a single class has no other, whose probability then counts as 0.
        margin[rows] -= others.max(axis=1, initial=0.0)
    return (margin + 1) / 2


def label_quality_scores(
    probs: NDArray[np.floating], label: IntArray, posterior: NDArray[np.floating] | None = None
) -> LabelScores:
    """Returns the three scores of every given label.

    Args:
        probs: (M, K) class probabilities of the item that each label belongs to.
        label: (M,) int64 in [0, K), or -1 for none (its scores are NaN).
        posterior: (M, K) class probabilities given the labels too, or None.

    Example:
        >>> scores = label_quality_scores(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1]))
        >>> scores.self_confidence.tolist(), scores.margin.round(2).tolist()
        ([0.9, 0.1], [0.9, 0.1])
    """
    given = np.full(len(label), np.nan) if posterior is None else self_confidence(posterior, label)
    return LabelScores(given, self_confidence(probs, label), normalized_margin(probs, label))


def rank_label_errors(scores: Sequence[FloatArray]) -> IntArray:
    """Returns the rows from the most to the least suspicious, (M,) int64, unknown ones last.

    Sorted by the first score, then the next, then row: deterministic under ties, which scores count as that differ by
    rounding alone.

    Args:
        scores: at least one, each (M,) in [0, 1] or NaN, such as :func:`label_quality_scores` returns.
    """
    # lexsort sorts by its last key first.
    return np.lexsort([_groups(score) for score in reversed(scores)])


def _groups(scores: FloatArray) -> IntArray:
    groups: IntArray = rank_groups(torch.from_numpy(scores)).numpy()
    return groups


class Detection(NamedTuple):
    """Metrics of the detection of wrong labels by low scores."""

    average_precision: float
    auroc: float
    wrong: int
    """Number of wrong labels among the scored ones."""
    scored: int


def detection(quality: FloatArray, wrong: IntArray) -> Detection:
    """Returns average precision and area under the ROC curve of finding wrong labels by low quality; ties count half.

    Scores that differ by rounding alone are ties.

    Args:
        quality: (M,) scores, low means suspicious; NaN is left out.
        wrong: (M,) int64: 1 wrong, 0 right, -1 unknown (left out).

    Returns:
        The result, with NaN unless both kinds occur.
    """
    keep = (wrong >= 0) & ~np.isnan(quality)
    # Groups in place of scores: qualities that differ by rounding alone are a tie on every machine.
    suspicion, is_wrong = -_groups(quality[keep]), wrong[keep] == 1
    positives = int(is_wrong.sum())
    negatives = len(is_wrong) - positives
    if not positives or not negatives:
        return Detection(np.nan, np.nan, positives, len(is_wrong))
    # The statistic of Mann and Whitney from mean ranks, in which ties count half.
    rank_sum = rankdata(suspicion)[is_wrong].sum()
    auroc = (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)
    order = np.argsort(-suspicion, kind="stable")
    # Precision is read at the end of each tie only, as the order within one is arbitrary.
    last_of_tie = np.append(np.flatnonzero(np.diff(suspicion[order])), len(order) - 1)
    found = np.cumsum(is_wrong[order])[last_of_tie]
    precision = found / (last_of_tie + 1)
    gained = np.diff(found, prepend=0) / positives
    return Detection(float(gained @ precision), float(auroc), positives, len(is_wrong))

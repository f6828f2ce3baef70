"""The filters of confident learning, exact, without sorting what cannot be chosen."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hilmix.functional.confident_learning.joint import (
    TOLERANCE,
    FloatArray,
    IntArray,
    Probs,
    calibrate_joint,
    class_thresholds,
    confident_classes,
    confident_counts,
    confident_joint,
    estimate_joint,
    split_cells,
    threshold_sums,
)
from hilmix.functional.confident_learning.ranks import largest_in_groups
from hilmix.functional.label_errors import normalized_margin, self_confidence
from hilmix.functional.sizes import row_chunks

BoolArray = NDArray[np.bool_]
IssueFilter = Literal[
    "noise_rate", "class", "both", "confident_learning", "predicted_other", "low_self_confidence", "low_margin"
]
FILTERS: tuple[IssueFilter, ...] = get_args(IssueFilter)
"""Names of the filters of :func:`find_label_issues`."""
_FEW = 64
"""Up to so many classes a row's maximum costs more than comparing all of the row."""


def find_label_issues(probs: Probs, label: IntArray, *, by: IssueFilter = "noise_rate") -> BoolArray:
    """Returns which labels are probably wrong, (M,) bool.

    Args:
        probs: (M, K) class probabilities of models that have not seen the labels; may be a memory map.
        label: (M,) int64 in [0, K).
        by: ``noise_rate``: for each label k and class c, as many of those with the largest p(c) - p(k) as the
            calibrated confident joint counts; ``class``: for each label, as many of those with the lowest
            self-confidence as the joint counts beside its diagonal; ``both``: those that these two share;
            ``confident_learning``: those that confidently belong to another class; ``predicted_other``: another class
            is the most probable; ``low_self_confidence`` and ``low_margin``: as many as ``confident_learning`` finds,
            of the lowest score. But for the last two, labels that are the most probable class are never chosen.

    Reference:
        Northcutt et al., JAIR 2021, section 3.2; cleanlab's ``filter.find_label_issues`` with its default arguments.
        Ties are broken by row.

    Example:
        >>> probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.95, 0.05], [0.1, 0.9]])
        >>> find_label_issues(probs, np.array([0, 0, 1, 1])).tolist()
        [False, False, True, False]
    """
    if not len(label):
        return np.zeros(0, dtype=bool)
    if by == "predicted_other":
        return contradicted(probs, label)
    if by in ("low_self_confidence", "low_margin"):
        score = (self_confidence if by == "low_self_confidence" else normalized_margin)(probs, label)
        return _lowest(score, int(off_diagonal(probs, label).sum()))
    if by == "confident_learning":
        return off_diagonal(probs, label)
    number = _prune_counts(probs, label)
    if by == "class":
        return _by_class(probs, label, number) & contradicted(probs, label)
    found = _by_noise_rate(probs, label, number)
    return found & _by_class(probs, label, number) if by == "both" else found


def count_issues(probs: Probs, label: IntArray, *, calibrated: bool = False) -> int:
    """Returns the estimated number of wrong labels.

    Args:
        probs: (M, K) class probabilities.
        label: (M,) int64 in [0, K).
        calibrated: count by the estimated joint instead of by the samples off the diagonal of the confident joint that
            contradict the prediction.
    """
    if not calibrated:
        return int(off_diagonal(probs, label).sum())
    sums = threshold_sums(probs, label)
    joint = confident_joint(confident_counts(probs, label, class_thresholds(sums)))
    # Calibrated twice, as in cleanlab: after rounding, the second time can change the counts.
    share = estimate_joint(calibrate_joint(joint, sums.samples), sums.samples)
    return int(np.rint((1 - np.trace(share)) * len(label)))


def off_diagonal(probs: Probs, label: IntArray, thresholds: FloatArray | None = None) -> BoolArray:
    """Returns which samples confidently belong to another class than their label and contradict it, (M,) bool.

    Args:
        probs: (M, K) class probabilities.
        label: (M,) int64 in [0, K).
        thresholds: (K,), of all samples where these are a part of them; by default of these.
    """
    limits = class_thresholds(threshold_sums(probs, label)) if thresholds is None else thresholds
    guess = confident_classes(probs, limits)
    other = np.flatnonzero((guess >= 0) & (guess != label))
    found = np.zeros(len(label), dtype=bool)
    found[other[contradicted(probs[other], label[other])]] = True
    return found


def contradicted(probs: Probs, label: IntArray) -> BoolArray:
    """Returns whether another class is more probable than the label by more than 1e-6, (M,) bool.

    Args:
        probs: (M, K) class probabilities.
        label: (M,) int64 in [0, K).
    """
    found = np.zeros(len(label), dtype=bool)
    for rows in row_chunks(*probs.shape):
        found[rows][_larger(probs[rows], label[rows])[0]] = True
    return found


def _larger(part: Probs, label: IntArray) -> tuple[IntArray, IntArray]:
    """Rows and classes that are more probable than the label."""
    own = part[np.arange(len(part)), label]
    limit = own + own.dtype.type(TOLERANCE)
    if part.shape[1] <= _FEW:
        row, other = split_cells(np.flatnonzero(part > limit[:, None]), part.shape[1])
        return row, other
    rows = np.flatnonzero(part.max(axis=1) > limit)
    row, other = split_cells(np.flatnonzero(part[rows] > limit[rows, None]), part.shape[1])
    return rows[row], other


def _prune_counts(probs: Probs, label: IntArray) -> IntArray:
    """(K, K) at [label, true class]: how many labels to choose; the diagonal keeps at least one of each label."""
    sums = threshold_sums(probs, label)
    joint = confident_joint(confident_counts(probs, label, class_thresholds(sums)))
    # At [true, label] from here on, as in cleanlab.
    number = calibrate_joint(joint, sums.samples).T.astype(np.float64)
    diagonal = number.diagonal().copy()
    kept = np.maximum(diagonal, 1)
    spread = (kept - diagonal) / np.maximum(np.count_nonzero(number, axis=0) - 1, 1)
    number = np.maximum(number - spread, 0)
    np.fill_diagonal(number, kept)
    # cleanlab rounds here once more, which changes no whole number.
    whole: IntArray = number.astype(np.int64).T
    return whole


def _by_class(probs: Probs, label: IntArray, number: IntArray) -> BoolArray:
    """The lowest self-confidences of each label; a class of one sample is left alone."""
    size = np.bincount(label, minlength=len(number))
    wanted = np.where(size > 1, np.maximum(size - number.diagonal(), 0), 0)
    return largest_in_groups(label, 1 - probs[np.arange(len(label)), label].astype(np.float64), wanted)


def _by_noise_rate(probs: Probs, label: IntArray, number: IntArray) -> BoolArray:
    """Rows that are among the ``number[k, c]`` largest p(c) - p(k) of label k, for some c, and contradict the label.

    A positive difference contradicts the label, so the ranks of positive ones need no other row. Where fewer are
    positive than are wanted, all of them are chosen, and the rest among all rows of the label.
    """
    k = len(number)
    wanted = number.copy()
    np.fill_diagonal(wanted, 0)
    wanted[np.bincount(label, minlength=k) <= 1] = 0
    some = wanted > 0
    # Only pairs of which some are wanted get a number.
    pair_of = np.cumsum(some.ravel()) - 1
    differs = np.zeros(len(label), dtype=bool)
    entries = []
    for rows in row_chunks(len(label), k):
        part, given = probs[rows], label[rows]
        row, other = _larger(part, given)
        differs[rows][row] = True
        # Before the margins are worked out: most pairs of classes have no label to prune.
        kept = some[given[row], other]
        row, other = row[kept], other[kept]
        margin = part[row, other].astype(np.float64) - part[row, given[row]]
        entries.append((rows.start + row, pair_of[given[row] * k + other], margin))
    row, pair, margin = (np.concatenate(column) for column in zip(*entries, strict=True))
    number = wanted[some]
    found = np.zeros(len(label), dtype=bool)
    found[row[largest_in_groups(pair, margin, number)]] = True
    short = np.zeros_like(wanted)
    short[some] = np.where(np.bincount(pair, minlength=len(number)) < number, number, 0)
    if short.any():
        found[_first_of_all_rows(probs, label, short)] = True
    return found & differs


def _first_of_all_rows(probs: Probs, label: IntArray, wanted: IntArray) -> IntArray:
    """Rows among the ``wanted[k, c]`` largest p(c) - p(k) of all rows with label k, for some c; unsorted, repeats."""
    order = np.argsort(label, kind="stable")
    size = np.bincount(label, minlength=len(wanted))
    start = np.cumsum(size) - size
    given, other = np.nonzero(wanted)
    found = []
    for part in row_chunks(len(given), int(size[given].max(initial=1))):
        k, c = given[part], other[part]
        pair = np.repeat(np.arange(len(k)), size[k])
        row = order[np.arange(len(pair)) + np.repeat(start[k] - (np.cumsum(size[k]) - size[k]), size[k])]
        margin = probs[row, c[pair]].astype(np.float64) - probs[row, k[pair]]
        # Differences lie in [-1, 1].
        found.append(row[largest_in_groups(pair, (margin + 1) / 2, wanted[k, c])])
    return np.concatenate(found)


def _lowest(score: FloatArray, number: int) -> BoolArray:
    """The ``number`` lowest scores, the first rows of a tie."""
    found = np.zeros(len(score), dtype=bool)
    if number:
        # The limit by selection in O(M); of the scores that equal it only as many rows as are missing.
        limit = np.partition(score, number - 1)[number - 1]
        found[score < limit] = True
        found[np.flatnonzero(score == limit)[: number - int(found.sum())]] = True
    return found

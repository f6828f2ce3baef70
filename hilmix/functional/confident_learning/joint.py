"""Class thresholds and the confident joint, from sums that are additive over chunks, parts of the data and ranks."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.functional.sizes import row_chunks

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Probs = NDArray[np.floating[Any]]

TOLERANCE = 1e-6
"""A probability that is below a threshold by no more than this reaches it."""
_TINY = 1e-100
"""Stands for a sum of zero where it divides, so that empty classes give 0 and not NaN."""


class ThresholdSums(NamedTuple):
    """Sums behind class thresholds."""

    confidence: FloatArray
    """(K,) sum over the samples of a class of p(its own label)."""
    samples: IntArray
    """(K,) number of samples of each class."""


def threshold_sums(probs: Probs, label: IntArray) -> ThresholdSums:
    """Returns the sums behind the class thresholds.

    Args:
        probs: (M, K) class probabilities; may be a memory map.
        label: (M,) int64 in [0, K).
    """
    num_classes = probs.shape[1]
    own = probs[np.arange(len(label)), label]
    return ThresholdSums(
        np.bincount(label, weights=own, minlength=num_classes).astype(np.float64),
        np.bincount(label, minlength=num_classes),
    )


def add_sums(parts: Iterable[ThresholdSums]) -> ThresholdSums:
    """Returns the sums over all samples from those of disjoint parts, at least one.

    Across ranks, all-reduce the two arrays instead.
    """
    confidence, samples = zip(*parts, strict=True)
    return ThresholdSums(np.sum(confidence, axis=0), np.sum(samples, axis=0))


def class_thresholds(sums: ThresholdSums) -> FloatArray:
    """Returns the mean p(own label) of each class, (K,) float64; infinite for a class without labels.

    No probability reaches an infinite threshold, so nothing is counted as truly of a class that no label names.

    Args:
        sums: over all samples.

    Example:
        >>> class_thresholds(threshold_sums(np.array([[0.75, 0.25, 0], [0.25, 0.75, 0]]), np.array([0, 0]))).tolist()
        [0.5, inf, inf]
    """
    mean = np.divide(sums.confidence, sums.samples, out=np.full(len(sums.samples), np.inf), where=sums.samples > 0)
    # As in cleanlab: the tolerance must not let a probability of 0 reach a threshold of 0.
    thresholds: FloatArray = np.maximum(mean, 2 * TOLERANCE)
    return thresholds


def confident_classes(probs: Probs, thresholds: FloatArray) -> IntArray:
    """Returns the class that each sample confidently belongs to, (M,) int64, -1 for none.

    It is the class whose threshold the probability reaches; of several, the most probable of all classes.

    Args:
        probs: (M, K) class probabilities.
        thresholds: (K,), see :func:`class_thresholds`.
    """
    num_classes = probs.shape[1]
    lower = _in_dtype(thresholds - TOLERANCE, probs.dtype)
    found = np.full(len(probs), -1, dtype=np.int64)
    for rows in row_chunks(len(probs), num_classes):
        part = probs[rows]
        row, column = split_cells(np.flatnonzero(part >= lower), num_classes)
        guess = found[rows]  # a view, so that `found` is filled
        guess[row] = column
        # Most samples reach one threshold or none; only the others need their most probable class.
        several = np.flatnonzero(np.bincount(row, minlength=len(part)) > 1)
        guess[several] = part[several].argmax(axis=1)
    return found


def split_cells(cell: IntArray, width: int) -> tuple[IntArray, IntArray]:
    """Returns rows and columns of cells of a table; several times faster than divmod, which does not vectorise."""
    row = cell // width
    return row, cell - row * width


def _in_dtype(lower: FloatArray, dtype: np.dtype[Any]) -> Probs:
    """The least number of ``dtype`` that is at least as large: comparing with it equals comparing in float64."""
    near = lower.astype(dtype)
    rounded: Probs = np.where(near < lower, np.nextafter(near, np.array(np.inf, dtype)), near)
    return rounded


def confident_counts(probs: Probs, label: IntArray, thresholds: FloatArray) -> IntArray:
    """Returns how many samples with label k confidently belong to class c, (K, K) int64 at [k, c]; additive.

    Samples that reach no threshold are not counted.

    Args:
        probs: (M, K) class probabilities; may be a memory map.
        label: (M,) int64 in [0, K).
        thresholds: (K,), of all samples.

    Reference:
        Northcutt et al., JAIR 2021, equation 1.
    """
    num_classes = len(thresholds)
    found = confident_classes(probs, thresholds)
    cell = label[found >= 0] * num_classes + found[found >= 0]
    return np.bincount(cell, minlength=num_classes**2).reshape(num_classes, num_classes)


def confident_joint(counts: IntArray) -> IntArray:
    """Returns the counts with a diagonal of at least 1, (K, K) int64: no class is wrong without exception.

    Args:
        counts: (K, K) of :func:`confident_counts`, over all samples.
    """
    joint = counts.copy()
    np.fill_diagonal(joint, counts.diagonal().clip(min=1))
    return joint


def calibrate_joint(joint: NDArray[Any], label_count: IntArray) -> IntArray:
    """Returns the confident joint scaled so that each row sums to the number of labels of its class, (K, K) int64.

    Args:
        joint: (K, K) of :func:`confident_joint`.
        label_count: (K,) number of samples with each label.

    Reference:
        Northcutt et al., JAIR 2021, equation 3. Differs from cleanlab where fractions tie: an unstable sort
        decides there which number is rounded up.
    """
    rows = joint / np.maximum(joint.sum(axis=1), _TINY)[:, None] * label_count[:, None]
    return round_rows(rows / max(rows.sum(), _TINY) * label_count.sum())


def estimate_joint(joint: NDArray[Any], label_count: IntArray) -> FloatArray:
    """Returns the estimate of p(label = k, true class = c), (K, K) float64 at [k, c], of sum 1.

    Args:
        joint: (K, K) of :func:`confident_joint`.
        label_count: (K,) number of samples with each label.
    """
    calibrated = calibrate_joint(joint, label_count)
    share: FloatArray = calibrated / max(float(calibrated.sum()), _TINY)
    return share


def round_rows(matrix: FloatArray) -> IntArray:
    """Returns whole numbers whose rows have the rounded sums of the given rows, changed as little as possible.

    Args:
        matrix: (R, C) float64.
    """
    whole = matrix.round()
    missing = (matrix.sum(axis=1).round() - whole.sum(axis=1)).astype(np.int64)
    # The rounded numbers are off by at most half each, so one unit each suffices: |missing| <= C.
    order = np.argsort(matrix - whole, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(matrix.shape[1])[None], axis=1)
    # Up where most was cut off, down where most was added.
    up = rank >= matrix.shape[1] - missing[:, None]
    down = rank < -missing[:, None]
    rounded: IntArray = (whole + up - down).astype(np.int64)
    return rounded

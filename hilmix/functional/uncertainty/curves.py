"""Curves of a report and the room that few samples leave: intervals of shares, smooth reliability, risk by coverage."""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hilmix.functional.ties import rank_groups

FloatArray = NDArray[np.float64]
_QUANTILE = 1.959963984540054
"""Of the standard normal distribution at 0.975: intervals of 95 %."""


def wilson_interval(hits: ArrayLike, samples: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Returns the ends of the 95 % Wilson score interval of shares; 0 and 1 where nothing was counted.

    Args:
        hits: (...) number of hits, which may be expected values, at most the samples.
        samples: (...) number of samples.

    Reference:
        E. B. Wilson, Journal of the American Statistical Association 22, 1927.

    Example:
        >>> [float(end.round(3)) for end in wilson_interval(5, 10)]
        [0.237, 0.763]
    """
    n = np.asarray(samples, dtype=np.float64)
    size = np.maximum(n, 1)
    share, square = np.asarray(hits, dtype=np.float64) / size, _QUANTILE**2
    centre = (share + square / (2 * size)) / (1 + square / size)
    half = _QUANTILE / (1 + square / size) * np.sqrt(share * (1 - share) / size + square / (4 * size**2))
    lower, upper = np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
    return np.where(n > 0, lower, 0.0), np.where(n > 0, upper, 1.0)


def chance_calibration_error(samples: ArrayLike, confidence: ArrayLike) -> float:
    """Returns the ECE that a perfectly calibrated model is expected to show on so few samples; NaN without any.

    The accuracy of a bin of n samples of mean confidence c scatters about c with variance c (1 - c) / n, so its mean
    absolute gap is sqrt(2 c (1 - c) / (pi n)) in the normal approximation.

    Args:
        samples: (bins,) samples per bin.
        confidence: (bins,) their mean confidence; of no meaning where a bin is empty.
    """
    n, c = np.asarray(samples, dtype=np.float64), np.asarray(confidence, dtype=np.float64)
    filled = n > 0
    if not filled.any():
        return math.nan
    n, c = n[filled], np.clip(c[filled], 0, 1)
    return float((np.sqrt(2 * c * (1 - c) / (math.pi * n)) * n).sum() / n.sum())


def smooth_reliability(
    confidence: ArrayLike, correct: ArrayLike, places: ArrayLike, *, width: float
) -> tuple[FloatArray, FloatArray]:
    """Returns the kernel estimate of the accuracy at given confidences, and the number of samples it rests on.

    A Gaussian kernel that is reflected at 0 and 1, as in the smooth calibration error.

    Args:
        confidence: (M,) in [0, 1].
        correct: (M,) bool or in [0, 1].
        places: (P,) confidences at which the curve is drawn.
        width: standard deviation of the kernel, above 0.

    Returns:
        (P,) accuracies, NaN where no sample is near, and (P,) sums of the kernel, 1 for a sample at the very place.
    """
    value, hit = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    grid = np.asarray(places, dtype=np.float64)
    near, right = np.zeros(len(grid)), np.zeros(len(grid))
    for mirrored in (value, -value, 2 - value):
        # Counted on a fine grid first: (P, M) numbers of every sample would not fit.
        cells, sums = _on_cells(mirrored, hit)
        kernel = np.exp(-0.5 * ((grid[:, None] - cells) / width) ** 2)
        near += kernel @ sums[0]
        right += kernel @ sums[1]
    with np.errstate(invalid="ignore"):
        return np.where(near > 1e-9, right / near, np.nan), near


def _on_cells(value: FloatArray, hit: FloatArray, cells: int = 1024) -> tuple[FloatArray, FloatArray]:
    """Mean place (C,) of the samples of each filled cell, and (2, C) their number and hits."""
    place = np.floor(value * cells).astype(np.int64)
    _, cell = np.unique(place, return_inverse=True)
    count = np.bincount(cell)
    return np.bincount(cell, value) / np.maximum(count, 1), np.stack([count, np.bincount(cell, hit)])


def risk_coverage_curve(confidence: ArrayLike, correct: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Returns coverage and risk, (M,) each: the k most confident of M samples, and the share of errors among them.

    Samples of equal confidence count with the error rate of their tie, so the order of the samples never matters.

    Args:
        confidence: (M,) in [0, 1].
        correct: (M,) bool or in [0, 1].

    Reference:
        Geifman and El-Yaniv, NeurIPS 2017.

    Example:
        >>> [values.tolist() for values in risk_coverage_curve([0.5, 1.0], [False, True])]
        [[0.5, 1.0], [0.0, 0.5]]
    """
    value, hit = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    order = np.argsort(value, kind="stable")
    tie = rank_groups(torch.from_numpy(value[order])).numpy()
    rate = np.bincount(tie, hit[order]) / np.maximum(np.bincount(tie), 1)
    errors = np.cumsum(1 - rate[tie][::-1])
    k = np.arange(1, len(value) + 1)
    return k / max(len(value), 1), errors / k

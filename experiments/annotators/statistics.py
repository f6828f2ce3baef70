"""Comparing k methods over n data sets: mean ranks, Friedman's test, and post-hoc tests that step down correctly.

Reference: Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006, section 3.2.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TIED = 2e-6
"""Scores of a smaller difference are equal: rows hold six decimals, so means of equally many right items differ."""


def ranks(scores: ArrayLike) -> FloatArray:
    """Returns the rank of every method on every data set: 1 is the highest score, ties share their mean rank.

    Args:
        scores: (n, k) of about 1, higher is better; equal ones differ by at most :data:`TIED`. NaN, a method
            that failed, ranks last.

    Example:
        >>> ranks([[0.9, 0.7, 0.7]]).tolist()
        [[1.0, 2.5, 2.5]]
    """
    table = np.asarray(scores, dtype=np.float64)
    failed = np.isnan(table)
    levels = np.apply_along_axis(_levels, 1, np.where(failed, 0.0, -table))
    result: FloatArray = stats.rankdata(np.where(failed, table.shape[1], levels), axis=1)
    return result


def _levels(values: FloatArray) -> IntArray:
    """(k,) how many steps up each value lies, equal ones on one level."""
    order, levels = np.argsort(values, kind="stable"), np.zeros(len(values), dtype=np.int64)
    levels[order[1:]] = np.cumsum(np.diff(values[order]) > TIED)
    return levels


class Friedman(NamedTuple):
    """Two tests of "all methods are alike"."""

    chi2: float
    chi2_p: float
    f: float
    """Iman and Davenport's F, less conservative."""
    f_p: float


def friedman(scores: ArrayLike) -> Friedman:
    """Returns Friedman's chi-squared, corrected for ties, with k - 1 degrees of freedom, and Iman-Davenport's F.

    F = (n - 1) chi2 / (n (k - 1) - chi2) has k - 1 and (k - 1)(n - 1) degrees of freedom; it is infinite if all data
    sets rank the methods alike.

    Args:
        scores: (n, k), n >= 2 data sets, k >= 3 methods.

    Reference:
        Demsar 2006, section 3.2.2; Iman and Davenport, Communications in Statistics 9, 1980.
    """
    place = ranks(scores)
    n, k = place.shape
    chi2, p = stats.friedmanchisquare(*place.T)
    left = n * (k - 1) - chi2
    f = math.inf if left <= 1e-9 else (n - 1) * chi2 / left
    return Friedman(float(chi2), float(p), float(f), float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))))


def against_control(mean_ranks: ArrayLike, control: int, *, num_data: int) -> FloatArray:
    """Returns the two-sided p-value of every method against the control, (k,), unadjusted; NaN for the control.

    z = (R_i - R_control) / sqrt(k (k + 1) / (6 n)) is standard normal if the two are alike.

    Args:
        mean_ranks: (k,) mean rank of each method over the data sets.
        control: index of the method that the others are compared with.
        num_data: n.

    Reference:
        Dunn, Technometrics 6, 1964; Demsar 2006, section 3.2.2.
    """
    mean = np.asarray(mean_ranks, dtype=np.float64)
    z = (mean - mean[control]) / _standard_error(len(mean), num_data)
    p: FloatArray = 2 * stats.norm.sf(np.abs(z))
    p[control] = np.nan
    return p


def holm(p_values: ArrayLike) -> FloatArray:
    """Returns p-values adjusted for their number by Holm's step-down procedure, (m,); NaN is passed over.

    The i-th smallest of m is multiplied by m - i + 1, and none becomes smaller than the one before it: so
    "adjusted p <= alpha" rejects from the smallest p upwards and stops at the first that fails.

    Args:
        p_values: (m,) in [0, 1] or NaN.

    Example:
        >>> holm([0.04, 0.01, 0.03]).tolist()
        [0.06, 0.03, 0.06]

    Reference:
        Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p)[: int((~np.isnan(p)).sum())]  # NaN sort last
    factor = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * factor))
    return adjusted


def critical_difference(num_methods: int, num_data: int, *, alpha: float = 0.05) -> float:
    """Returns Nemenyi's critical difference: mean ranks further apart differ at level ``alpha``, all pairs tested.

    q sqrt(k (k + 1) / (6 n)) with q the upper quantile of the studentised range for k groups and infinite degrees of
    freedom, divided by sqrt(2).

    Reference:
        Nemenyi, 1963; Demsar 2006, section 3.2.2 and table 5.
    """
    q = stats.studentized_range.ppf(1 - alpha, num_methods, np.inf) / math.sqrt(2)
    return float(q * _standard_error(num_methods, num_data))


def _standard_error(num_methods: int, num_data: int) -> float:
    return math.sqrt(num_methods * (num_methods + 1) / (6 * num_data))

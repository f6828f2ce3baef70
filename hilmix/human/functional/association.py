"""Correlations and slopes between measures of the same answers, with intervals clustered by participant."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hilmix.errors import DataError
from hilmix.functional.clusters import FloatArray, IntArray, cluster_covariance, clustered_fit, t_quantile

_INSIDE = (-1 + 1e-15, 1 - 1e-15)
"""Correlations whose atanh is finite."""


class Correlation(NamedTuple):
    """Pearson's correlation."""

    value: float
    """NaN where either measure is constant."""
    low: float
    """Lower end of the interval; NaN for fewer than two clusters."""
    high: float


class Slopes(NamedTuple):
    """Coefficients of a linear fit."""

    value: FloatArray
    """(P,)"""
    low: FloatArray
    """(P,) lower ends of the intervals; NaN for fewer than two clusters."""
    high: FloatArray


def clustered_correlation(x: ArrayLike, y: ArrayLike, cluster: ArrayLike, *, level: float = 0.95) -> Correlation:
    """Returns the correlation over all rows, with a cluster-robust interval.

    With standardised u and v and correlation r, a row contributes ``u v - r (u^2 + v^2) / 2``, whose sums over clusters
    give the standard error. The interval is symmetric in Fisher's ``atanh r`` and therefore stays within -1 and 1.

    Args:
        x: (M,) a measure.
        y: (M,) another one of the same rows.
        cluster: (M,) which cluster a row belongs to, numbers or names.
        level: of the interval.

    Reference:
        The influence function of the correlation: Devlin, Gnanadesikan and Kettenring, Biometrika 62, 1975.

    Example:
        >>> round(clustered_correlation([0.0, 1.0, 2.0], [1.0, 2.0, 3.0], ["ann", "bob", "cyd"]).value, 6)
        1.0
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    # ptp, not std: the standard deviation of a constant column may be rounding noise above 0.
    if not len(first) or not np.ptp(first) or not np.ptp(second):
        return Correlation(np.nan, np.nan, np.nan)
    u, v = (first - first.mean()) / first.std(), (second - second.mean()) / second.std()
    # Rounding may push the mean product beyond 1.
    value = float(np.clip(np.mean(u * v), -1, 1))
    groups = _codes(cluster)
    variance = cluster_covariance((u * v - value * (u**2 + v**2) / 2)[:, None], groups)[0, 0] / len(u) ** 2
    # d atanh(r) / dr = 1 / (1 - r^2), the delta method; tiny turns the 0 / 0 of a perfect correlation into 0.
    room = max(1 - value**2, np.finfo(np.float64).tiny)
    half = t_quantile(int(groups.max()) + 1, level) * np.sqrt(variance) / room
    centre = np.arctanh(np.clip(value, *_INSIDE))
    return Correlation(value, float(np.tanh(centre - half)), float(np.tanh(centre + half)))


def clustered_slopes(design: ArrayLike, value: ArrayLike, cluster: ArrayLike, *, level: float = 0.95) -> Slopes:
    """Fits ``value = design @ slopes`` by least squares, with cluster-robust intervals.

    Args:
        design: (M, P) measures; no column of ones is added.
        value: (M,) what they are to explain.
        cluster: (M,) which cluster a row belongs to, numbers or names.
        level: of the intervals.

    Raises:
        DataError: if the measures depend on each other linearly, or there are fewer rows than measures.

    Example:
        >>> clustered_slopes([[1, 0], [1, 1], [1, 2]], [3, 5, 7], [0, 1, 2]).value.round(6).tolist()
        [3.0, 2.0]
    """
    x, y = np.asarray(design, dtype=np.float64), np.asarray(value, dtype=np.float64)
    groups = _codes(cluster)
    slopes, covariance, rank = clustered_fit(x, y, groups)
    if rank < x.shape[1]:
        raise DataError(
            f"linear fit: {len(x)} rows do not determine {x.shape[1]} slopes. Give measures that vary apart from each "
            "other."
        )
    # An exact fit leaves variances that are rounding noise of either sign.
    half = t_quantile(int(groups.max()) + 1, level) * np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return Slopes(slopes, slopes - half, slopes + half)


def within_groups(x: ArrayLike, group: ArrayLike) -> FloatArray:
    """Returns values less the mean of their group, (M,) float64, such as answers less each participant's mean.

    Args:
        x: (M,) values.
        group: (M,) numbers or names.

    Example:
        >>> within_groups([1.0, 3.0, 5.0], ["ann", "ann", "bob"]).tolist()
        [-1.0, 1.0, 0.0]
    """
    values, groups = np.asarray(x, dtype=np.float64), _codes(group)
    means = np.bincount(groups, values) / np.bincount(groups)
    left: FloatArray = values - means[groups]
    return left


def _codes(cluster: ArrayLike) -> IntArray:
    # Codes without gaps, from names or numbers: bincount and cluster sums index by them.
    codes: IntArray = np.unique(np.asarray(cluster), return_inverse=True)[1]
    return codes

"""Means of answers that come in clusters: standard errors and intervals where a participant's answers depend.

Every interval here is the estimate plus or minus the t quantile with G - 1 degrees of freedom, G the number of
clusters, times a standard error from the clusters' sums with the correction G / (G - 1).

Reference:
    Liang and Zeger, Biometrika 73, 1986 (the sandwich); Cameron and Miller, Journal of Human Resources 50, 2015,
    section VI (few clusters).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hilmix.functional.information import find_coordinates

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class ClusteredMean(NamedTuple):
    """A mean over answers, each counting once, with an interval over clusters."""

    mean: float
    sd: float
    """Standard deviation of single answers (n - 1)."""
    low: float
    """Lower end of the interval; NaN for fewer than two clusters."""
    high: float
    answers: int
    clusters: int


def clustered_mean(value: ArrayLike, cluster: ArrayLike, *, level: float = 0.95) -> ClusteredMean:
    """Returns the mean, the spread of single answers, and a cluster-robust interval; NaN where there is no answer.

    Args:
        value: (M,) answers.
        cluster: (M,) whose answer it is, numbers or names.
        level: of the interval.

    Example:
        >>> clustered_mean([0.0, 0.0, 1.0, 1.0], ["ann", "ann", "bob", "bob"]).mean
        0.5
    """
    x = np.asarray(value, dtype=np.float64)
    _, who = np.unique(np.asarray(cluster), return_inverse=True)
    # `initial`: the maximum of no answers raises, and none is legal.
    clusters = int(who.max(initial=-1)) + 1
    if not len(x):
        return ClusteredMean(np.nan, np.nan, np.nan, np.nan, 0, 0)
    mean = float(x.mean())
    error = float(np.sqrt(cluster_covariance((x - mean)[:, None], who)[0, 0])) / len(x)
    half = t_quantile(clusters, level) * error
    sd = float(x.std(ddof=1)) if len(x) > 1 else np.nan
    return ClusteredMean(mean, sd, mean - half, mean + half, len(x), clusters)


def cluster_covariance(score: FloatArray, cluster: IntArray) -> FloatArray:
    """Returns the covariance of the total of the scores, (P, P): ``G / (G - 1) * sum_g s_g s_g'``, s_g a cluster's sum.

    Args:
        score: (M, P) contributions, which sum to zero at an estimate.
        cluster: (M,) int64 in [0, G), every cluster with at least one row.

    Returns:
        NaN for fewer than two clusters.
    """
    groups = int(cluster.max(initial=-1)) + 1
    sums = np.zeros((groups, score.shape[1]))
    # sums[cluster] += score would add only the last row of each cluster.
    np.add.at(sums, cluster, score)
    # Without it the sandwich is too small for few clusters: their sums are fitted, as the mean is, to the data.
    correction = groups / (groups - 1) if groups > 1 else np.nan
    covariance: FloatArray = correction * (sums.T @ sums)
    return covariance


class ClusteredFit(NamedTuple):
    """Coefficients of least squares, of the smallest norm where columns depend on each other."""

    coefficients: FloatArray
    """(P,)"""
    covariance: FloatArray
    """(P, P), cluster-robust; NaN for fewer than two clusters."""
    rank: int
    """Number of directions of the coefficients that are determined."""


def clustered_fit(design: FloatArray, value: FloatArray, cluster: IntArray) -> ClusteredFit:
    """Fits ``value = design @ coefficients`` by least squares.

    Args:
        design: (M, P).
        value: (M,).
        cluster: (M,) int64 in [0, G), every cluster with at least one row.
    """
    # In orthonormal coordinates the normal equations and the bread of the sandwich are the identity: nothing to invert.
    rows, back = find_coordinates(design)
    found = rows.T @ value
    meat = cluster_covariance(rows * (value - rows @ found)[:, None], cluster)
    return ClusteredFit(back @ found, back @ meat @ back.T, rows.shape[1])


def t_quantile(clusters: int, level: float) -> float:
    """Returns the two-sided quantile of Student's t with G - 1 degrees of freedom, NaN for fewer than two clusters."""
    return float(stats.t.ppf((1 + level) / 2, clusters - 1)) if clusters > 1 else np.nan

"""Outliers by the distance from neighbours, and by that from class means."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from hilmix.functional.aggregation.vote_table import FloatArray
from hilmix.functional.item_issues.neighbors import Neighbors

FAR = 2.7
"""Multiples of the median distance from which on an item is an outlier, as in cleanlab's Datalab."""
_LEAST = 1e-12


class Outliers(NamedTuple):
    """Scores of N items."""

    score: FloatArray
    """(N,) in [0, 1], low for outliers; NaN where nothing is known."""
    is_outlier: NDArray[np.bool_]
    """(N,)."""


def knn_outliers(neighbors: Neighbors) -> Outliers:
    """Returns exp(-mean distance from the neighbours / its median), and which distances are 2.7 medians or more.

    Args:
        neighbors: of all items.

    Reference:
        Kuan and Mueller, Back to the Basics: Revisiting Out-of-Distribution Detection Baselines, ICML workshop 2022.
    """
    if not neighbors.distance.size:
        return Outliers(np.full(len(neighbors.distance), np.nan), np.zeros(len(neighbors.distance), dtype=bool))
    mean = neighbors.distance.mean(axis=1)
    median = max(float(np.median(mean)), _LEAST)
    return Outliers(np.exp(-mean / median), mean > FAR * median)


def gaussian_outliers(squared_distance: FloatArray, features: int, *, level: float = 1e-3) -> Outliers:
    """Returns tail probabilities of squared Mahalanobis distances, and which of them are below a level.

    Calibrated for Gaussian features only; elsewhere they rank.

    Args:
        squared_distance: (N,) at least 0, NaN where unknown.
        features: number of features D, the degrees of freedom.
        level: tail probability below which an item is an outlier.
    """
    score = chi2.sf(squared_distance, features)
    return Outliers(score, score < level)

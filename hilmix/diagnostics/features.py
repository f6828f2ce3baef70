"""Neighbours and class distances of items by their features, such as those of a backbone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.errors import DataError
from hilmix.functional.item_issues import Neighbors, Outliers, gaussian_outliers

Features = NDArray[np.floating[Any]]
_LEAST = 1e-12


def nearest_neighbors(features: Features, *, k: int = 10) -> Neighbors:
    """Returns the exact nearest neighbours; time O(N^2 D), memory O(N k).

    Args:
        features: (N, D) finite, such as those of a backbone.
        k: number of neighbours; fewer where there are fewer other items.

    Raises:
        DataError: for features that are not finite.
    """
    x = np.asarray(features)
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise DataError(f"`features[{bad[0]}]` must be finite, got {np.array2string(x[bad[0]], threshold=6)}.")
    k = min(k, len(x) - 1)
    if k < 1:
        return Neighbors(np.empty((len(x), 0), dtype=np.int64), np.empty((len(x), 0)))
    from sklearn.neighbors import NearestNeighbors  # here: few commands need it

    # As cleanlab's Datalab: in few dimensions directions say little.
    metric = "cosine" if x.shape[1] > 3 else "euclidean"
    distance, index = NearestNeighbors(n_neighbors=k, metric=metric).fit(x).kneighbors()
    return Neighbors(index.astype(np.int64), np.maximum(distance, 0).astype(np.float64))


def mahalanobis_outliers(features: Features, label: IntArray, *, level: float = 1e-3) -> Outliers:
    """Returns tail probabilities of the squared Mahalanobis distance from the nearest class mean.

    All classes share one covariance, shrunk by Ledoit and Wolf's rule, so that more features than items are legal.
    Scores are calibrated for Gaussian features only; elsewhere they rank.

    Args:
        features: (N, D) finite.
        label: (N,) int64 class of each item, -1 for none: such items are judged and not fitted.
        level: tail probability below which an item is an outlier.

    Reference:
        Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples, NeurIPS 2018, equation 2.
    """
    from sklearn.covariance import LedoitWolf  # here: few commands need it

    x = np.asarray(features, dtype=np.float64)
    kept = label >= 0
    classes, place = np.unique(label[kept], return_inverse=True)
    if kept.sum() < 2 or len(classes) == kept.sum():
        return Outliers(np.full(len(x), np.nan), np.zeros(len(x), dtype=bool))
    means = np.zeros((len(classes), x.shape[1]))
    np.add.at(means, place, x[kept])
    means /= np.bincount(place)[:, None]
    # Shrunk: with more features than items the plain covariance is singular, and every item infinitely far.
    shape = LedoitWolf(assume_centered=True).fit(x[kept] - means[place])
    # The residuals have lost a degree of freedom for each class.
    freedom = kept.sum() / (kept.sum() - len(classes))
    whiten = np.linalg.eigh(shape.covariance_ * freedom)
    scale = whiten.eigenvectors / np.sqrt(np.maximum(whiten.eigenvalues, _LEAST))
    z, centers = x @ scale, means @ scale
    # |z - c|^2 expanded: no N x classes x D table.
    squared = (z**2).sum(axis=1)[:, None] - 2 * z @ centers.T + (centers**2).sum(axis=1)
    return gaussian_outliers(np.maximum(squared.min(axis=1), 0), x.shape[1], level=level)

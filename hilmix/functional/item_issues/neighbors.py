"""Neighbours of items, and a test whether they lie near each other in the data's order."""

from typing import NamedTuple

import numpy as np

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray


class Neighbors(NamedTuple):
    """The k nearest other items of N items, the nearest first."""

    rows: IntArray
    """(N, k) rows of the neighbours."""
    distance: FloatArray
    """(N, k) cosine distances in [0, 2], or Euclidean ones of up to three features."""


class OrderTest(NamedTuple):
    """Result of :func:`order_test`."""

    statistic: float
    """Largest difference of the distribution of gaps from that of random pairs, in [0, 1]."""
    p_value: float
    """Share of random orders with as large a difference; small where the order of the items is not random."""


def order_test(neighbors: Neighbors, *, draws: int = 199, seed: int = 0) -> OrderTest:
    """Returns a test of whether items that resemble each other lie near each other, or far apart, in the data.

    Sorted files, videos cut into frames and drifting sources are found; splits by position would then be wrong.

    Args:
        neighbors: of the items in the order of the data.
        draws: number of random orders.
        seed: of the orders.

    Reference:
        Cummings, Snorrason and Mueller, Detecting dataset drift and non-IID sampling via k-nearest neighbors, 2023.
        Differs from cleanlab: the p-value counts random orders of the same graph, and is exact.
    """
    size, k = neighbors.rows.shape
    if size < 3 or not k:
        return OrderTest(np.nan, np.nan)
    rng = np.random.default_rng(seed)
    found = _statistic(np.arange(size), neighbors.rows)
    random = [_statistic(rng.permutation(size), neighbors.rows) for _ in range(draws)]
    # The order found counts as one of the draws, which keeps the test exact: no number of draws earns a p-value of 0.
    return OrderTest(found, (1 + sum(value >= found for value in random)) / (1 + draws))


def _statistic(place: IntArray, index: IntArray) -> float:
    """Kolmogorov and Smirnov's distance of the gaps between neighbours from those of random pairs."""
    size = len(place)
    gap = np.abs(place[:, None] - place[index]).ravel()
    share = np.cumsum(np.bincount(gap, minlength=size)) / len(gap)
    # Of a random pair the gap is d with probability 2 (size - d) / (size (size - 1)).
    expected = np.cumsum(np.concatenate([[0], 2 * (size - np.arange(1, size)) / (size * (size - 1))]))
    return float(np.abs(share - expected).max())

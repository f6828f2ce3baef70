"""Exact and near duplicates, and those that leak from one split into another."""

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray
from hilmix.functional.item_issues.neighbors import Neighbors

NEAR = 0.13
"""Share of the median distance to the nearest neighbour below which two items are near duplicates, as in cleanlab."""
_LEAST = 1e-12


class DuplicateSets(NamedTuple):
    """Sets of items that resemble each other."""

    set: IntArray
    """(N,) number of the set of each item, in the order of their first items; -1 for items without a duplicate."""
    score: FloatArray
    """(N,) in [0, 1]; low for near duplicates, 0 for equal items."""


def near_duplicates(neighbors: Neighbors) -> DuplicateSets:
    """Returns sets of items whose distance is below 0.13 of the median distance to the nearest neighbour.

    Sets are connected: two items of one may be farther apart than that, with others between them. Of more equal items
    than there are neighbours, :func:`exact_duplicates` finds them all.

    Args:
        neighbors: of all items.

    Returns:
        The sets, and 1 - exp(-distance to the nearest neighbour / its median) as the score.
    """
    size = len(neighbors.distance)
    if not neighbors.distance.size:
        return DuplicateSets(np.full(size, -1), np.ones(size))
    nearest = neighbors.distance[:, 0]
    median = max(float(np.median(nearest)), _LEAST)
    row, column = np.nonzero(neighbors.distance < NEAR * median)
    other = neighbors.rows[row, column]
    graph = coo_array((np.ones(len(row)), (row, other)), shape=(size, size))
    return DuplicateSets(_number(connected_components(graph, directed=False)[1]), 1 - np.exp(-nearest / median))


def exact_duplicates(items: Iterable[NDArray[Any]]) -> DuplicateSets:
    """Returns sets of items that are equal byte by byte, shape and type included.

    Args:
        items: N arrays, such as images, read one by one; only a hash of 16 bytes is kept of each.
    """
    seen: dict[bytes, int] = {}
    # A loop over items: each must be read anyway, and hashing is as fast as reading.
    found = np.array([seen.setdefault(_digest(item), len(seen)) for item in items], dtype=np.int64)
    sets = _number(found)
    return DuplicateSets(sets, np.where(sets >= 0, 0.0, 1.0))


def find_leaks(duplicates: DuplicateSets, split: IntArray) -> NDArray[np.bool_]:
    """Returns which items have a duplicate in another split, (N,) bool.

    Args:
        duplicates: of the items of all splits together.
        split: (N,) int64 split of each item, such as 0 for training and 1 for test; -1 for none, which leaks nothing.
    """
    kept = (duplicates.set >= 0) & (split >= 0)
    leaks = np.zeros(len(split), dtype=bool)
    if kept.any():
        number = duplicates.set[kept]
        size = int(number.max()) + 1
        lowest, highest = np.full(size, np.iinfo(np.int64).max), np.full(size, -1)
        np.minimum.at(lowest, number, split[kept])
        np.maximum.at(highest, number, split[kept])
        leaks[kept] = (lowest < highest)[number]
    return leaks


def _digest(item: NDArray[Any]) -> bytes:
    array = np.ascontiguousarray(item)
    # Type and shape belong to the digest: the bytes of a row of zeros are those of any other zeros.
    return hashlib.blake2b(f"{array.dtype}{array.shape}".encode() + array.tobytes(), digest_size=16).digest()


def _number(group: NDArray[Any]) -> IntArray:
    """Groups of two or more, numbered by their first items; -1 for the others."""
    _, first, inverse, count = np.unique(group, return_index=True, return_inverse=True, return_counts=True)
    number = np.full(len(first), -1, dtype=np.int64)
    several = np.flatnonzero(count > 1)
    # np.unique sorts by value; the numbers shall not depend on what digests or components happen to be.
    number[several[np.argsort(first[several])]] = np.arange(len(several))
    numbered: IntArray = number[inverse]
    return numbered

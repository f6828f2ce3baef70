"""Sums and means by group, such as the annotator or the item of each label."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def sum_by_group(value: NDArray[Any], group: IntArray, num_groups: int) -> FloatArray:
    """Returns the sum of a value over each group, (G,) float64, 0 for an empty one.

    Args:
        value: (L,) numbers.
        group: (L,) int64 in [0, G).
        num_groups: G.

    Example:
        >>> sum_by_group(np.array([1.0, 2.0, 4.0]), np.array([0, 0, 2]), 3).tolist()
        [3.0, 0.0, 4.0]
    """
    # Of no values bincount returns int64 in spite of the weights.
    return np.bincount(group, value, minlength=num_groups).astype(np.float64, copy=False)


def mean_by_group(
    value: NDArray[Any], group: IntArray, num_groups: int, *, weight: FloatArray | None = None
) -> FloatArray:
    """Returns the mean of a value over each group, (G,) float64, NaN without any, or without weight.

    Args:
        value: (L,) numbers or bool.
        group: (L,) int64 in [0, G).
        num_groups: G.
        weight: (L,) at least 0; by default all count alike.

    Example:
        >>> mean_by_group(np.array([1.0, 0.0, 4.0]), np.array([0, 0, 2]), 3).tolist()
        [0.5, nan, 4.0]
    """
    # bincount: O(L + G), where a mask per group would cost O(L G).
    total = np.bincount(group, weight, minlength=num_groups)
    summed = np.bincount(group, value if weight is None else weight * value, minlength=num_groups)
    mean: FloatArray = np.divide(summed, total, out=np.full(num_groups, np.nan), where=total > 0)
    return mean


def expand_ranges(start: IntArray, count: IntArray) -> tuple[IntArray, IntArray]:
    """Returns the members of many ranges of rows at once, without a loop.

    Args:
        start: (B,) int64, first row of each range.
        count: (B,) int64, length of each range, may be 0.

    Returns:
        ``range`` (L,) int64, the range that each member belongs to, non-decreasing, and ``row`` (L,) int64.

    Example:
        >>> [part.tolist() for part in expand_ranges(np.array([7, 0, 3]), np.array([2, 0, 1]))]
        [[0, 0, 2], [7, 8, 3]]
    """
    member = np.repeat(np.arange(len(start)), count)
    # What turns the position among all members into a row: the start of the range less the members before it.
    offset = np.repeat(start - (np.cumsum(count) - count), count)
    return member, np.arange(len(member)) + offset

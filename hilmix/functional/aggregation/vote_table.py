"""The long form of votes that every aggregator reads."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Distributions = NDArray[np.float32] | NDArray[np.float64]


class Votes(Protocol):
    """The attributes that aggregators read: of a :class:`VoteTable`, or of :class:`~hilmix.annotations.Annotations`."""

    @property
    def item(self) -> IntArray: ...
    @property
    def annotator(self) -> IntArray: ...
    @property
    def label(self) -> IntArray: ...
    @property
    def probs(self) -> Distributions | None: ...
    @property
    def num_items(self) -> int: ...
    @property
    def num_annotators(self) -> int: ...
    @property
    def num_classes(self) -> int: ...
    @property
    def gold(self) -> IntArray | None: ...


@dataclass(frozen=True, eq=False)
class VoteTable:
    """Votes as plain arrays, without names; nothing is checked.

    Args:
        item: (L,) integers in [0, N), in any order.
        annotator: (L,) integers in [0, A).
        label: (L,) integers in [0, K).
        num_items: N.
        num_annotators: A.
        num_classes: K.
        probs: optional (L, K) distributions that replace ``label``: a soft label counts as fractional labels.
        gold: optional (N,) integers in [-1, K), the known classes of items, -1 where not known; see
            :func:`~hilmix.functional.aggregation.with_gold`.

    Example:
        >>> table = VoteTable(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([1, 1, 0]), 2, 2, 2)
        >>> table.num_items
        2
    """

    item: IntArray
    annotator: IntArray
    label: IntArray
    num_items: int
    num_annotators: int
    num_classes: int
    probs: Distributions | None = None
    gold: IntArray | None = None

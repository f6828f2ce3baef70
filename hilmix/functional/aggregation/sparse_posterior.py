"""Distributions over many classes, of which an item's votes name a few: the others are alike."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray
from hilmix.functional.aggregation.votes import TIE, HardLabels, best_classes, draw_places, pick_places
from hilmix.functional.grouped import expand_ranges, sum_by_group
from hilmix.functional.sizes import bytes_needed, require_memory, row_chunks

DENSE_NUMBERS = 2**27
"""Most numbers (N, K) of distributions that are stored in full: 1 GiB in float64."""


class Winners(NamedTuple):
    """Result of :meth:`SparsePosterior.best`."""

    named: NDArray[np.bool_]
    """(M,) bool, named classes that no other class of their item exceeds."""
    number: IntArray
    """(N,) number of such classes of each item, also of those that are not named."""


@dataclass(frozen=True, eq=False)
class SparsePosterior:
    """N distributions, or votes, over K classes in O(M + N): M named classes, and one probability of each other class.

    Args:
        start: (N + 1,) int64: the named classes of item n are the places ``start[n]:start[n + 1]``.
        label: (M,) int64, increasing within an item.
        prob: (M,) float64.
        other: (N,) float64, of each class that is not named.
        num_classes: K.

    Example:
        >>> one = SparsePosterior(np.array([0, 1]), np.array([2]), np.array([0.5]), np.array([0.25]), 3)
        >>> one.dense().tolist()
        [[0.25, 0.25, 0.5]]
    """

    start: IntArray
    label: IntArray
    prob: FloatArray
    other: FloatArray
    num_classes: int

    @property
    def shape(self) -> tuple[int, int]:
        """N and K."""
        return len(self.other), self.num_classes

    @property
    def item(self) -> IntArray:
        """(M,) int64 item of each named class."""
        return np.repeat(np.arange(len(self.other)), np.diff(self.start))

    @property
    def max(self) -> FloatArray:
        """(N,) the largest probability of each item."""
        named = np.diff(self.start)
        top = np.where(named < self.num_classes, self.other, 0.0)
        filled = np.flatnonzero(named)
        if len(filled):
            top[filled] = np.maximum(top[filled], np.maximum.reduceat(self.prob, self.start[filled]))
        return top

    def best(self) -> Winners:
        """Returns the classes with the largest probability; those of a tie all, none where all are 0."""
        item, others = self.item, self.num_classes - np.diff(self.start)
        least = self.max * (1 - TIE)
        named = (self.prob >= least[item]) & (self.prob > 0)
        unnamed = np.where((self.other >= least) & (self.other > 0), others, 0)
        return Winners(named, np.bincount(item[named], minlength=len(others)) + unnamed)

    def choose(self, *, seed: int | None = 0) -> HardLabels:
        """Returns the class with the largest probability of each item, see :func:`choose_classes`.

        Args:
            seed: draws between classes that tie; None takes the first.
        """
        winners = self.best()
        nth = np.ones(len(self.other), dtype=np.int64) if seed is None else draw_places(winners.number, seed=seed)
        label = np.where(winners.number > 0, nth - 1, -1)  # right where no class is named, as all are alike
        item, count = self.item, np.concatenate([[0], np.cumsum(winners.named)])
        chosen = winners.named & (count[1:] - count[self.start[item]] == nth[item])
        label[item[chosen]] = self.label[chosen]
        mixed = np.flatnonzero((winners.number > np.diff(count[self.start])) & (np.diff(self.start) > 0))
        for part in row_chunks(len(mixed), self.num_classes):  # an unnamed class ties or wins: rare
            rows = mixed[part]
            label[rows] = pick_places(best_classes(self.dense(rows)), nth[rows])
        return HardLabels(label, winners.number > 1)

    @property
    def entropy(self) -> FloatArray:
        """(N,) in nats."""
        named = sum_by_group(_surprise(self.prob), self.item, len(self.other))
        return named + (self.num_classes - np.diff(self.start)) * _surprise(self.other)

    def dense(self, rows: IntArray | None = None, *, copies: int = 1) -> FloatArray:
        """Returns the (N, K) table.

        Args:
            rows: (R,) items, by default all.
            copies: how many tables of this size must fit into the memory.

        Raises:
            SizeError: where it would fill the memory.
        """
        rows = np.arange(len(self.other)) if rows is None else rows
        sizes = {"items": len(rows), "classes": self.num_classes}
        require_memory("A probability for each item and class", bytes_needed(**sizes, per_item=copies), **sizes)
        table = np.repeat(self.other[rows][:, None], self.num_classes, axis=1)
        row, place = expand_ranges(self.start[rows], np.diff(self.start)[rows])
        table[row, self.label[place]] = self.prob[place]
        return table


Posterior: TypeAlias = FloatArray | SparsePosterior
"""Distributions (N, K) of an aggregator: in full up to :data:`DENSE_NUMBERS` numbers, sparse beyond."""


def dense_posterior(posterior: Posterior, *, copies: int = 2) -> FloatArray:
    """Returns the (N, K) table of distributions that may be sparse.

    Args:
        posterior: of an aggregator.
        copies: how many tables of this size must fit into the memory, if they are sparse.

    Raises:
        SizeError: where it would fill the memory.
    """
    return posterior.dense(copies=copies) if isinstance(posterior, SparsePosterior) else posterior


def mean_posterior(parts: list[Posterior]) -> Posterior:
    """Returns the mean of distributions that are all in full, or all sparse with the same named classes."""
    sparse = [part for part in parts if isinstance(part, SparsePosterior)]
    if len(sparse) < len(parts):
        full: FloatArray = np.mean([dense_posterior(part) for part in parts], axis=0)
        return full
    first = sparse[0]
    prob, other = (np.mean([getattr(part, name) for part in sparse], axis=0) for name in ("prob", "other"))
    return SparsePosterior(first.start, first.label, prob, other, first.num_classes)


def _surprise(prob: FloatArray) -> FloatArray:
    """-p log p, 0 for 0; absolute, as a minus sign would make -0 of it."""
    found: NDArray[np.float64] = np.abs(prob * np.log(np.where(prob > 0, prob, 1.0)))
    return found

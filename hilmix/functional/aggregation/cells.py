"""Votes by item and class, where there are any: O(L + N) in place of a table (N, K)."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.functional.aggregation.sparse_posterior import DENSE_NUMBERS, Posterior, SparsePosterior
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.aggregation.votes import Entries, HardLabels, entries
from hilmix.functional.grouped import sum_by_group


class Cells(NamedTuple):
    """The M pairs of an item and a class that occur, sorted by item, then class; a gold item has one of its class."""

    item: IntArray
    """(M,) int64."""
    label: IntArray
    """(M,) int64."""
    start: IntArray
    """(N + 1,) int64: the cells of item n are ``start[n]:start[n + 1]``."""
    of_entry: IntArray
    """(E,) int64 cell of each entry that they were made of."""
    excluded: NDArray[np.bool_] | None
    """(M,) bool, cells of gold items that are not of their class; None where no class is known."""
    gold: NDArray[np.bool_] | None
    """(N,) bool, items of known class."""
    num_classes: int

    @classmethod
    def of(cls, table: Votes, votes: Entries) -> "Cells":
        """Returns the cells of votes.

        Args:
            table: sizes and gold items.
            votes: its entries.
        """
        k, gold = table.num_classes, table.gold
        key = votes.item * k + votes.label
        known = np.empty(0, dtype=np.int64) if gold is None else np.flatnonzero(gold >= 0)
        if gold is not None:
            key = np.concatenate([key, known * k + gold[known]])
        cell, of_entry = np.unique(key, return_inverse=True)
        item, label = np.divmod(cell, k)
        start = np.searchsorted(item, np.arange(table.num_items + 1))
        excluded, is_gold = None, None
        if gold is not None:
            is_gold = gold >= 0
            excluded = is_gold[item] & (label != gold[item])
        return cls(item, label, start, of_entry[: len(votes.item)], excluded, is_gold, k)

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.start) - 1

    @property
    def others(self) -> IntArray:
        """(N,) int64 number of classes of each item without a cell."""
        return self.num_classes - np.diff(self.start)

    def sum_entries(self, weight: FloatArray) -> FloatArray:
        """Returns (M,) sums of the (E,) weights of the entries."""
        return sum_by_group(weight, self.of_entry, len(self.item))

    def sum_items(self, value: FloatArray) -> FloatArray:
        """Returns (N,) sums of (M,) values over the cells of each item."""
        return sum_by_group(value, self.item, self.num_items)

    def max_items(self, value: FloatArray, least: float) -> FloatArray:
        """Returns (N,) maxima of (M,) values over the cells of each item, ``least`` without any."""
        top = np.full(self.num_items, least)
        filled = np.flatnonzero(np.diff(self.start))
        if len(filled):
            top[filled] = np.maximum.reduceat(value, self.start[filled])
        return top

    def pin_counts(self, counts: FloatArray) -> FloatArray:
        """Gives gold items one whole vote, for their class; in place, and returned."""
        if self.gold is not None and self.excluded is not None:
            counts[self.gold[self.item]] = 1
            counts[self.excluded] = 0
        return counts

    def shares(self, counts: FloatArray) -> SparsePosterior:
        """Returns the (M,) counts as shares, uniform for items without any."""
        total = self.sum_items(counts)
        voted = total > 0
        even = 1 / self.num_classes
        prob = np.where(voted[self.item], counts / np.where(voted, total, 1)[self.item], even)
        return self.posterior(prob, np.where(voted, 0.0, even))

    def votes(self, counts: FloatArray) -> SparsePosterior:
        """Returns (M,) votes in a form that finds and draws winners."""
        return self.posterior(counts, np.zeros(self.num_items))

    def softmax(self, scores: FloatArray) -> tuple[SparsePosterior, float]:
        """Returns the softmax of (M,) scores, where the other classes score 0, and the summed log-normalisers.

        Of gold items their class alone has a score.
        """
        if self.excluded is not None:
            scores = np.where(self.excluded, -np.inf, scores)
        other = (self.others > 0) if self.gold is None else (self.others > 0) & ~self.gold
        top = self.max_items(scores, -np.inf)
        top = np.where(other, np.maximum(top, 0), top)
        prob = np.exp(scores - top[self.item])
        # the maximum, as what is not taken may overflow
        rest = np.where(other, np.exp(-np.maximum(top, 0)), 0.0)
        total = self.sum_items(prob) + self.others * rest
        prob /= total[self.item]
        return self.posterior(prob, rest / total), float((top + np.log(total)).sum())

    def posterior(self, prob: FloatArray, other: FloatArray) -> SparsePosterior:
        """Returns the distributions with (M,) probabilities of the cells, and (N,) of each other class."""
        return SparsePosterior(self.start, self.label, prob, other, self.num_classes)


def count_votes(table: Votes) -> tuple[Cells, FloatArray]:
    """Returns the cells of votes and the (M,) votes in each; a soft label counts with its probabilities."""
    votes = entries(table)
    cells = Cells.of(table, votes)
    return cells, cells.pin_counts(cells.sum_entries(votes.weight))


def majority(table: Votes, *, seed: int = 0) -> HardLabels:
    """Returns the class with the most votes per item; ties are drawn, see :func:`choose_classes`.

    Args:
        table: the votes, rows in any order.
        seed: decides ties.
    """
    cells, counts = count_votes(table)
    return cells.votes(counts).choose(seed=seed)


def soft(table: Votes) -> SparsePosterior:
    """Returns the shares of the votes, uniform for items without any.

    Args:
        table: the votes, rows in any order.
    """
    cells, counts = count_votes(table)
    return cells.shares(counts)


def one_hot(posterior: SparsePosterior, label: IntArray) -> SparsePosterior:
    """Returns distributions with the same named classes that repeat (N,) labels; -1 is uniform.

    Args:
        posterior: names every label, but those of items of which it names none.
        label: (N,) int64 in [-1, K).
    """
    even, known = 1 / posterior.num_classes, label >= 0
    item = posterior.item
    prob = np.where(known[item], (label[item] == posterior.label).astype(np.float64), even)
    return replace(posterior, prob=prob, other=np.where(known, 0.0, even))


def stored(posterior: SparsePosterior) -> Posterior:
    """Returns the distributions in full where they are few numbers, else as they are."""
    n, k = posterior.shape
    return posterior if n * k > DENSE_NUMBERS else posterior.dense()

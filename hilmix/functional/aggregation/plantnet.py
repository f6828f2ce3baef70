"""Pl@ntNet: an annotator weighs by the number of classes that they have identified."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.errors import DataError
from hilmix.functional.aggregation.gold import pin_shares
from hilmix.functional.aggregation.rounds import require_counts
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.aggregation.votes import Entries, best_classes, entries, soft_labels, weighted_counts

LEAST_WEIGHT = float(np.log(2.1))
"""Of an annotator who has identified nothing: three of them together are above the least confidence."""
_OF_OTHERS = 10
"""So many classes identified on items of others count as one."""


class Plantnet(NamedTuple):
    """Result of :func:`plantnet`."""

    posterior: FloatArray
    """(N, K) float64, shares of the weighted votes; uniform for items without votes."""
    weight: FloatArray
    """(A,) float64, what a label of the annotator counts."""
    identified: FloatArray
    """(A,) float64, whole numbers: classes identified on valid items of one's own, and a tenth of the others."""
    valid: NDArray[np.bool_]
    """(N,) bool, items whose winner has enough weight and a large enough share of it."""
    converged: bool
    """Whether further rounds would change nothing."""
    rounds: int
    """Number of times that votes were counted."""


def plantnet(
    table: Votes,
    *,
    author: IntArray | None = None,
    alpha: float = 0.5,
    beta: float = 0.2,
    least_confidence: float = 2.0,
    least_accuracy: float = 0.7,
    max_rounds: int = 100,
) -> Plantnet:
    """Returns the vote weighted by n ** alpha - n ** beta + log 2.1, n the number of classes identified.

    A class is identified by a label for the winner of its item. It counts in full on a valid item of which the
    annotator is the author, and otherwise a tenth, rounded over all such classes. Winners, valid items and weights
    follow from each other by repeated counting, each in O(L + N K). Made for very many classes: with few, all weights
    are equal, and the vote is the majority's.

    Args:
        table: the votes, rows in any order.
        author: (N,) the annotator who brought the item, -1 where none did, which is the default.
        alpha: exponent of the gain of the first identified classes.
        beta: exponent of what is taken off again, below ``alpha``.
        least_confidence: an item is valid if its winner has more weight than this,
        least_accuracy: and more than this share of all weight.
        max_rounds: at least 1; fewer where nothing changes any more.

    Raises:
        DataError: for authors that are not one per item.
        ConfigError: for no rounds.

    Reference:
        T. Lefort, A. Affouard, B. Charlier, J.-C. Lombardo, M. Chouet, H. Goeau, J. Salmon, P. Bonnet and A. Joly,
        Cooperative learning of Pl@ntNet's artificial intelligence algorithm, Methods in Ecology and Evolution 2025
        (arXiv 2406.03356), algorithm 1 and its parameters. Differs from the paper: where classes tie for the winner of
        an item, none of them is identified; soft answers; no labels by a machine. peerannot's program takes winners,
        validity and classes of every round from the first one, and with its defaults alpha = beta gives all
        annotators one weight.
    """
    require_counts("Pl@ntNet", max_rounds=max_rounds)
    if author is None:
        author = np.full(table.num_items, -1)
    if author.shape != (table.num_items,):
        raise DataError(f"`author` must be {table.num_items:,} annotators, one per item, got shape {author.shape}.")
    votes = entries(table)
    named = votes.weight > 0  # the zeros of soft answers name no class
    votes = Entries(votes.item[named], votes.annotator[named], votes.label[named], votes.weight[named])
    identified, weight = np.zeros(table.num_annotators), np.full(table.num_annotators, LEAST_WEIGHT)
    rounds, converged = 0, False
    while not converged and rounds < max_rounds:
        scaled = votes._replace(weight=votes.weight * weight[votes.annotator])
        counts = weighted_counts(scaled, num_items=table.num_items, num_classes=table.num_classes)
        pin_shares(counts, table.gold)
        best = best_classes(counts)
        # Where classes tie there is no winner to have identified.
        best[best.sum(axis=1) > 1] = False
        top = counts.max(axis=1, initial=0.0)
        valid = (top > least_confidence) & (top > least_accuracy * counts.sum(axis=1))
        if table.gold is not None:
            valid |= table.gold >= 0
        new = _identified(table, votes, best, author, valid)
        rounds, converged = rounds + 1, bool((new == identified).all()) and rounds > 0
        identified = new
        if not converged and rounds < max_rounds:
            weight = np.where(new > 0, new**alpha - new**beta, 0) + LEAST_WEIGHT
    return Plantnet(soft_labels(counts), weight, identified, valid, converged, rounds)


def _identified(
    table: Votes, votes: Entries, best: NDArray[np.bool_], author: IntArray, valid: NDArray[np.bool_]
) -> FloatArray:
    """(A,) numbers of classes, each once per annotator."""
    right = best[votes.item, votes.label]
    own = right & (author[votes.item] == votes.annotator) & valid[votes.item]
    cell = votes.annotator * table.num_classes + votes.label
    owned = np.unique(cell[own])
    voted = np.setdiff1d(cell[right], owned)
    of_own, of_others = (
        np.bincount(cells // table.num_classes, minlength=table.num_annotators) for cells in (owned, voted)
    )
    number: FloatArray = of_own + np.round(of_others / _OF_OTHERS)
    return number

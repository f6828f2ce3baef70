"""IWMV: votes with the weights that make a weighted majority right most often, found by repeated counting."""

from typing import NamedTuple

import numpy as np

from hilmix.functional.aggregation.agreement import winner_agreement
from hilmix.functional.aggregation.cells import Cells, stored
from hilmix.functional.aggregation.rounds import require_counts
from hilmix.functional.aggregation.sparse_posterior import Posterior, SparsePosterior
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import Entries, entries

_STILL = 1e-9
"""Accuracies that change by no more than this have stopped: a changed winner moves one by a share of 1 / labels."""


class Iwmv(NamedTuple):
    """Result of :func:`iwmv`."""

    posterior: Posterior
    """(N, K) float64, whose largest is the winner of the weighted vote; uniform for items without votes."""
    accuracy: FloatArray
    """(A,) float64 in [0, 1], share of an annotator's labels that name the winner; 1 / K without labels."""
    weight: FloatArray
    """(A,) float64 in [-1, K - 1], K accuracy - 1: negative where an annotator is right less often than by chance."""
    converged: bool
    """Whether further rounds would change nothing."""
    rounds: int
    """Number of times that votes were counted."""


def iwmv(table: Votes, *, max_rounds: int = 100) -> Iwmv:
    """Returns the vote weighted by K times each annotator's agreement with that same vote, minus one.

    The weights linearise, at the accuracy of chance, the log-odds with which Bayes' rule weighs the labels of
    annotators of known accuracy whose wrong classes are alike; with the factor K / (K - 1) of that expansion the
    votes are log-probabilities up to a constant, and ``posterior`` is their softmax. All start with weight 1, so that
    the first round is the plain vote. A round is O(L + N).

    Args:
        table: the votes, rows in any order.
        max_rounds: at least 1; fewer where the accuracies stop changing.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for no rounds.

    Reference:
        H. Li and B. Yu, Error rate bounds and iterative weighted majority voting for crowdsourcing, 2014
        (arXiv 1411.4086), section 4 and algorithm 1. Differs from the paper: a label for one of t classes that tie for
        an item's winner agrees with 1/t of it, where the paper draws; the distributions; soft answers.
    """
    require_counts("IWMV", max_rounds=max_rounds)
    votes = entries(table)
    cells = Cells.of(table, votes)
    k = table.num_classes
    # plain votes and weights of 1 have the same winners
    accuracy, weight = np.full(table.num_annotators, 2 / k), np.ones(table.num_annotators)
    rounds, converged = 0, False
    while not converged and rounds < max_rounds:
        posterior = _weighted_vote(votes, cells, weight)
        new = winner_agreement(table, votes, cells, posterior.best(), without=1 / k)
        converged = rounds > 0 and bool(np.abs(new - accuracy).max(initial=0.0) <= _STILL)
        accuracy, rounds = new, rounds + 1
        if not converged and rounds < max_rounds:
            weight = k * accuracy - 1
    return Iwmv(stored(posterior), accuracy, weight, converged, rounds)


def _weighted_vote(votes: Entries, cells: Cells, weight: FloatArray) -> SparsePosterior:
    """Softmax of the weighted votes, on the scale of log-probabilities."""
    k = cells.num_classes
    # With K / (K - 1) the weight is, to first order around guessing, the log-odds of right against one wrong class.
    return cells.softmax(cells.sum_entries(votes.weight * weight[votes.annotator] * (k / max(1, k - 1))))[0]

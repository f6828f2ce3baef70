"""Votes weighted by how often an annotator agrees with the vote: Wawa, and zero-based skill.

Neither draws: where t classes tie for an item's majority, a label for one of them agrees with 1/t of it, which is the
mean over all ways to break the tie.
"""

from typing import NamedTuple

import numpy as np

from hilmix.functional.aggregation.cells import Cells, stored
from hilmix.functional.aggregation.rounds import require_counts
from hilmix.functional.aggregation.sparse_posterior import Posterior, Winners
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import Entries, entries

_STILL = 1e-9
"""Skills that change by no more than this have stopped: a changed winner moves one by a share of 1 / labels."""


class WeightedVote(NamedTuple):
    """Result of :func:`wawa` and :func:`zero_based_skill`."""

    posterior: Posterior
    """(N, K) float64, shares of the weighted votes; uniform where no annotator with a positive weight voted."""
    skill: FloatArray
    """(A,) float64 in [0, 1], the weights; 0 for annotators without votes."""
    converged: bool
    """Whether further rounds would change nothing; always so for Wawa, which has two."""
    rounds: int
    """Number of times that votes were counted."""


def wawa(table: Votes) -> WeightedVote:
    """Returns the vote weighted by each annotator's expected share of labels that agree with the plain majority.

    Args:
        table: the votes, rows in any order.

    Reference:
        Worker agreement with aggregate, as described in the documentation of crowd-kit (Ustalov et al., JOSS 2024).
    """
    votes = entries(table)
    cells = Cells.of(table, votes)
    plain = cells.votes(_weighted_votes(votes, cells, np.ones(table.num_annotators))).best()
    skill = winner_agreement(table, votes, cells, plain)
    return WeightedVote(stored(cells.shares(_weighted_votes(votes, cells, skill))), skill, True, 2)


def zero_based_skill(table: Votes, *, max_rounds: int = 100) -> WeightedVote:
    """Returns the vote weighted by each annotator's agreement with that same vote, by repeated counting.

    All start alike; each round moves the skills towards the agreement with the weighted majority, at first all the way,
    from round 20 on half of it, from round 40 on a quarter, and so on, which ends oscillations.

    Args:
        table: the votes, rows in any order.
        max_rounds: at least 1; fewer where the skills stop changing.

    Raises:
        ConfigError: for no rounds.

    Reference:
        Zero-based skill, as described in the documentation of crowd-kit (Ustalov et al., JOSS 2024).
    """
    require_counts("Zero-based skill", max_rounds=max_rounds)
    votes = entries(table)
    cells = Cells.of(table, votes)
    # Any equal start makes the first round the plain vote.
    skill = np.full(table.num_annotators, 1 / table.num_classes)
    rounds, converged = 0, False
    while not converged and rounds < max_rounds:
        rounds += 1
        winners = cells.votes(_weighted_votes(votes, cells, skill)).best()
        missing = winner_agreement(table, votes, cells, winners) - skill
        skill = skill + 0.5 ** (rounds // 20) * missing
        converged = bool(np.abs(missing).max(initial=0.0) <= _STILL)
    return WeightedVote(stored(cells.shares(_weighted_votes(votes, cells, skill))), skill, converged, rounds)


def _weighted_votes(votes: Entries, cells: Cells, skill: FloatArray) -> FloatArray:
    """(M,) votes of each cell, each with the skill of its annotator."""
    return cells.pin_counts(cells.sum_entries(votes.weight * skill[votes.annotator]))


def winner_agreement(
    table: Votes, votes: Entries, cells: Cells, winners: Winners, *, without: float = 0.0
) -> FloatArray:
    """Returns (A,) the expected share of each annotator's votes that name the item's winner, ``without`` votes.

    Args:
        table: sizes.
        votes: its entries.
        cells: of these.
        winners: of each item.
        without: of annotators without votes.
    """
    # Items without a positive vote have no winner to divide by.
    share_of_win = winners.named / np.maximum(winners.number, 1)[cells.item]
    agreed = votes.weight * share_of_win[cells.of_entry]
    right, total = (np.bincount(votes.annotator, w, minlength=table.num_annotators) for w in (agreed, votes.weight))
    share: FloatArray = np.divide(right, total, out=np.full(table.num_annotators, without), where=total > 0)
    return share

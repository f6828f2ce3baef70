"""Votes weighted by how often an annotator agrees with the vote: Wawa, and zero-based skill.

Neither draws: where t classes tie for an item's majority, a label for one of them agrees with 1/t of it, which is the
mean over all ways to break the tie.
"""

from typing import NamedTuple

import numpy as np

from hilmix.functional.aggregation.gold import pin_shares
from hilmix.functional.aggregation.rounds import require_counts
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import (
    Entries,
    best_classes,
    entries,
    soft_labels,
    weighted_counts,
)

_STILL = 1e-9
"""Skills that change by no more than this have stopped: a changed winner moves one by a share of 1 / labels."""


class WeightedVote(NamedTuple):
    """Result of :func:`wawa` and :func:`zero_based_skill`."""

    posterior: FloatArray
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
    skill = winner_agreement(table, votes, _weighted_votes(table, votes, np.ones(table.num_annotators)))
    return WeightedVote(soft_labels(_weighted_votes(table, votes, skill)), skill, True, 2)


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
    # Any equal start makes the first round the plain vote.
    skill = np.full(table.num_annotators, 1 / table.num_classes)
    rounds, converged = 0, False
    while not converged and rounds < max_rounds:
        rounds += 1
        missing = winner_agreement(table, votes, _weighted_votes(table, votes, skill)) - skill
        skill = skill + 0.5 ** (rounds // 20) * missing
        converged = bool(np.abs(missing).max(initial=0.0) <= _STILL)
    return WeightedVote(soft_labels(_weighted_votes(table, votes, skill)), skill, converged, rounds)


def _weighted_votes(table: Votes, votes: Entries, skill: FloatArray) -> FloatArray:
    """(N, K) votes, each with the skill of its annotator."""
    scaled = votes._replace(weight=votes.weight * skill[votes.annotator])
    counts = weighted_counts(scaled, num_items=table.num_items, num_classes=table.num_classes)
    return pin_shares(counts, table.gold)


def winner_agreement(table: Votes, votes: Entries, counts: FloatArray, *, without: float = 0.0) -> FloatArray:
    """Returns (A,) the expected share of each annotator's votes that name the item's winner, ``without`` votes."""
    best = best_classes(counts)
    # Items without a positive vote have no winner to divide by.
    agreed = votes.weight * best[votes.item, votes.label] / np.maximum(best.sum(axis=1), 1)[votes.item]
    right, total = (np.bincount(votes.annotator, w, minlength=table.num_annotators) for w in (agreed, votes.weight))
    share: FloatArray = np.divide(right, total, out=np.full(table.num_annotators, without), where=total > 0)
    return share

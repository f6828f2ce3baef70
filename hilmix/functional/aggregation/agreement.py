"""Votes weighted by how often an annotator agrees with the vote: Wawa, and zero-based skill.

Neither draws: where t classes tie for an item's majority, a label for one of them agrees with 1/t of it, which is the
mean over all ways to break the tie.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.errors import ConfigError
from hilmix.functional.aggregation.votes import (
    Entries,
    FloatArray,
    IntArray,
    best_classes,
    entries,
    soft_labels,
    weighted_counts,
)

_STILL = 1e-9
"""Skills that change by no more than this have stopped: a changed winner moves one by a share of 1 / labels."""


class WeightedVote(NamedTuple):
    """What :func:`wawa` and :func:`zero_based_skill` return."""

    posterior: FloatArray
    """(N, K) float64, shares of the weighted votes; uniform where nobody with a positive weight voted."""
    skill: FloatArray
    """(A,) float64 in [0, 1], the weights; 0 for annotators without votes."""
    converged: bool
    """Whether further rounds would change nothing; always so for Wawa, which has two."""
    rounds: int
    """How often votes were counted."""


def wawa(
    item: IntArray,
    annotator: IntArray,
    label: IntArray,
    *,
    num_items: int,
    num_annotators: int,
    num_classes: int,
    probs: NDArray[np.floating] | None = None,
) -> WeightedVote:
    """Returns the vote weighted by each annotator's expected share of labels that agree with the plain majority.

    Args:
        item: (L,) integers in [0, N), in any order.
        annotator: (L,) integers in [0, A).
        label: (L,) integers in [0, K).
        num_items: N.
        num_annotators: A.
        num_classes: K.
        probs: optional (L, K) distributions that replace ``label``; an answer then counts as fractional labels.

    Reference:
        Worker agreement with aggregate, as described in the documentation of crowd-kit (Ustalov et al., JOSS 2024).
    """
    votes = entries(item, annotator, label, num_classes, probs)
    size = _Size(num_items, num_annotators, num_classes)
    skill = _agreement(votes, _weighted(votes, np.ones(num_annotators), size), size)
    return WeightedVote(soft_labels(_weighted(votes, skill, size)), skill, True, 2)


def zero_based_skill(
    item: IntArray,
    annotator: IntArray,
    label: IntArray,
    *,
    num_items: int,
    num_annotators: int,
    num_classes: int,
    probs: NDArray[np.floating] | None = None,
    max_rounds: int = 100,
) -> WeightedVote:
    """Returns the vote weighted by each annotator's agreement with that same vote, by repeated counting.

    All start alike; each round moves the skills towards the agreement with the weighted majority, at first all the way,
    from round 20 on half of it, from round 40 on a quarter, and so on, which ends oscillations.

    Args:
        item: (L,) integers in [0, N), in any order.
        annotator: (L,) integers in [0, A).
        label: (L,) integers in [0, K).
        num_items: N.
        num_annotators: A.
        num_classes: K.
        probs: optional (L, K) distributions that replace ``label``; an answer then counts as fractional labels.
        max_rounds: at least 1; fewer where the skills stop changing.

    Raises:
        ConfigError: for no rounds.

    Reference:
        Zero-based skill, as described in the documentation of crowd-kit (Ustalov et al., JOSS 2024).
    """
    if max_rounds < 1:
        raise ConfigError(f"Zero-based skill's max_rounds is {max_rounds}; at least 1 is needed.")
    votes = entries(item, annotator, label, num_classes, probs)
    size = _Size(num_items, num_annotators, num_classes)
    skill = np.full(num_annotators, 1 / num_classes)
    rounds, converged = 0, False
    while not converged and rounds < max_rounds:
        rounds += 1
        missing = _agreement(votes, _weighted(votes, skill, size), size) - skill
        skill = skill + 0.5 ** (rounds // 20) * missing
        converged = bool(np.abs(missing).max(initial=0.0) <= _STILL)
    return WeightedVote(soft_labels(_weighted(votes, skill, size)), skill, converged, rounds)


class _Size(NamedTuple):
    items: int
    annotators: int
    classes: int


def _weighted(votes: Entries, skill: FloatArray, size: _Size) -> FloatArray:
    """(N, K) votes, each with the skill of its annotator."""
    scaled = votes._replace(weight=votes.weight * skill[votes.annotator])
    return weighted_counts(scaled, num_items=size.items, num_classes=size.classes)


def _agreement(votes: Entries, counts: FloatArray, size: _Size) -> FloatArray:
    """(A,) expected share of each annotator's votes that name the item's winner, 0 without votes."""
    best = best_classes(counts)
    agreed = votes.weight * best[votes.item, votes.label] / np.maximum(best.sum(axis=1), 1)[votes.item]
    right, total = (np.bincount(votes.annotator, w, minlength=size.annotators) for w in (agreed, votes.weight))
    share: FloatArray = np.divide(right, total, out=np.zeros(size.annotators), where=total > 0)
    return share

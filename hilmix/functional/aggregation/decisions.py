"""One class per item from an aggregate, and what to do where classes tie."""

from dataclasses import replace
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from hilmix.checks import check_choice
from hilmix.functional.aggregation.cells import soft
from hilmix.functional.aggregation.gold import pin_shares
from hilmix.functional.aggregation.registry import Aggregate
from hilmix.functional.aggregation.sparse_posterior import Posterior, SparsePosterior
from hilmix.functional.aggregation.vote_table import IntArray, Votes
from hilmix.functional.aggregation.votes import best_classes, choose_classes, soft_labels, vote_counts

Ties = Literal["draw", "abstain", "first"]
"""Rule for classes that tie: one drawn by the seed, no label, or the first of them in the order of the classes."""


class Decision(NamedTuple):
    """One class per item, and the distribution that it was chosen from."""

    label: IntArray
    """(N,) int64, -1 without votes unless the class is known, and where classes tie under ``abstain``."""
    posterior: Posterior
    """(N, K) float64, that of the aggregate; of ``majority`` one-hot where there is a label."""
    tied: NDArray[np.bool_]
    """(N,) bool, items with votes whose best classes tie."""


def decide(method: str, result: Aggregate, votes: Votes, *, ties: Ties = "draw", seed: int = 0) -> Decision:
    """Returns the most probable class of each item.

    Args:
        method: of the aggregate.
        result: of :func:`~hilmix.functional.aggregation.aggregate` with this seed.
        votes: the annotations that were aggregated.
        ties: rule for classes that tie.
        seed: draws between them.

    Raises:
        ConfigError: for another rule.

    Example:
        >>> from hilmix.annotations import Annotations
        >>> from hilmix.functional.aggregation import aggregate
        >>> votes = Annotations.from_dense([[0, 1], [1, 1]])
        >>> decide("majority", aggregate("majority", votes), votes, ties="abstain").label.tolist()
        [-1, 1]
    """
    check_choice("ties", ties, get_args(Ties))
    if isinstance(result.posterior, SparsePosterior):
        return _decide_sparse(method, result.posterior, votes, ties, seed)
    voted = np.bincount(votes.item, minlength=votes.num_items) > 0
    # The posterior of a majority repeats what the seed drew, and shows no tie.
    scores = pin_shares(vote_counts(votes), votes.gold) if method == "majority" else result.posterior
    best = best_classes(scores)
    tied = voted & (best.sum(axis=1) > 1)
    label = choose_classes(scores, seed=seed).label if ties == "draw" else best.argmax(axis=1)
    # Without votes the posterior is the prior: its best class is no label of the item.
    if votes.gold is not None:
        voted |= votes.gold >= 0
    label = np.where(voted & ~(tied & (ties == "abstain")), label, -1).astype(np.int64)
    posterior = result.posterior
    if method == "majority":
        chosen = label[:, None] == np.arange(votes.num_classes)
        posterior = soft_labels(np.where((label >= 0)[:, None], chosen, best).astype(np.float64))
    return Decision(label, posterior, tied)


def _decide_sparse(method: str, posterior: SparsePosterior, votes: Votes, ties: Ties, seed: int) -> Decision:
    voted = np.bincount(votes.item, minlength=votes.num_items) > 0
    scores = soft(votes) if method == "majority" else posterior
    winners = scores.best()
    tied = voted & (winners.number > 1)
    chosen = scores.choose(seed=seed if ties == "draw" else None).label
    if votes.gold is not None:
        voted |= votes.gold >= 0
    label = np.where(voted & ~(tied & (ties == "abstain")), chosen, -1)
    if method == "majority":
        item = scores.item
        split = winners.named / np.maximum(winners.number, 1)[item]
        prob = np.where(label[item] >= 0, label[item] == scores.label, split)
        posterior = replace(scores, prob=prob)
    return Decision(label, posterior, tied)

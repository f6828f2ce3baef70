"""WDS: shares of the votes, each weighted by how often Dawid-Skene finds such labels of the annotator right."""

from typing import NamedTuple

import numpy as np

from hilmix.functional.aggregation.dawid_skene import dawid_skene
from hilmix.functional.aggregation.gold import pin_shares
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import OnRound, entries, soft_labels, weighted_counts


class Wds(NamedTuple):
    """Result of :func:`wds`."""

    posterior: FloatArray
    """(N, K) float64, shares of the weighted votes; uniform for items without votes."""
    recall: FloatArray
    """(A, K) float64, the weights: p(label k | true class k) by Dawid-Skene."""
    prior: FloatArray
    """(K,) float64, class prior of Dawid-Skene, which the shares do not use."""
    converged: bool
    """Whether Dawid-Skene converged."""
    rounds: int
    """Rounds of Dawid-Skene."""


def wds(
    table: Votes,
    *,
    right: float = 2.0,
    wrong: float = 1.0,
    class_count: float = 1.0,
    tolerance: float = 1e-6,
    max_rounds: int = 200,
    on_round: OnRound | None = None,
) -> Wds:
    """Returns the vote weighted by the diagonals of the confusion matrices of Dawid-Skene.

    A label k of annotator a counts ``recall[a, k]``. Softer than the posterior of Dawid-Skene, which multiplies
    likelihoods: a distribution to train on rather than a better label.

    Args:
        table: the votes, rows in any order.
        right: as of :func:`~hilmix.functional.aggregation.dawid_skene`, as are all that follow.
        wrong: pseudo-count of wrong answers in each row.
        class_count: pseudo-count of each class in the class prior.
        tolerance: stop when a round gains no more than this much log-likelihood per label.
        max_rounds: at least 1.
        on_round: called with the number of rounds done.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for a pseudo-count that is not positive, or no rounds.

    Reference:
        WDS of the library peerannot; T. Lefort, B. Charlier, A. Joly and J. Salmon, Peerannot: classification for
        crowdsourced image datasets with Python, Computo 2024. Differs from it: pseudo-counts (with ever smaller ones
        the weights are its), soft answers, and uniform instead of empty rows for items whose votes weigh nothing.
    """
    fit = dawid_skene(
        table,
        right=right,
        wrong=wrong,
        class_count=class_count,
        tolerance=tolerance,
        max_rounds=max_rounds,
        on_round=on_round,
    )
    recall = np.diagonal(fit.confusion, axis1=1, axis2=2).copy()  # the matrices can go
    votes = entries(table)
    weighted = votes._replace(weight=votes.weight * recall[votes.annotator, votes.label])
    counts = weighted_counts(weighted, num_items=table.num_items, num_classes=table.num_classes)
    posterior = soft_labels(pin_shares(counts, table.gold))
    return Wds(posterior, recall, fit.prior, fit.converged, fit.rounds)

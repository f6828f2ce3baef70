"""The ensemble: the mean of three models of annotators, or the plain vote where the votes refute such models."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from hilmix.functional.aggregation.dawid_skene import DawidSkene, dawid_skene
from hilmix.functional.aggregation.ebcc import ebcc
from hilmix.functional.aggregation.gold import pin_shares
from hilmix.functional.aggregation.ptbcc import ptbcc
from hilmix.functional.aggregation.rounds import require_counts
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import OnRound, entries, soft_labels, vote_counts

_SUBTYPES = 3
"""Easy, middling and hard items: the fewest with a middle."""
_SAME = 0.01
"""Relative change of the dispersion at which it has settled."""
_MOST_FITS = 10
_TOLERANCE = 1e-5
"""Gain per label at which a fit stops: prototypes creep on long after the means have settled."""


class Ensemble(NamedTuple):
    """Result of :func:`ensemble`."""

    posterior: FloatArray
    """(N, K) float64, mean of the members' distributions; shares of the votes where ``refuted``."""
    skill: FloatArray
    """(A,) float64 in [0, 1], probability that a label is right, by the Dawid-Skene member."""
    dispersion: float
    """At least 1, how much more the number of right labels of an item varies than that of independent ones."""
    refuted: bool
    """Whether the labels of an item depend on each other so much that the plain vote is returned."""
    converged: bool
    """Whether every fit converged."""
    rounds: int
    """Rounds of all fits."""


def ensemble(table: Votes, *, max_rounds: int = 500, on_round: OnRound | None = None) -> Ensemble:
    """Returns the mean of three posteriors, each of which relaxes Dawid-Skene in one direction; nothing is drawn.

    Dawid-Skene takes the labels of an item for independent given its class, and learns each annotator from their own
    labels alone. The members are

    * Dawid-Skene in which a label counts 1 / phi of an independent one, phi the dispersion of :func:`dispersion`: where
      labels depend on each other its posteriors are less sure, and it follows agreement less far;
    * :func:`~hilmix.functional.aggregation.ptbcc` with that weight, whose annotators share what is learned;
    * :func:`~hilmix.functional.aggregation.ebcc` with three subtypes of each class, started from easy, middling and
      hard items, whose items of a class differ.

    All of them find the K groups of items that explain the votes best, and name them by the vote. If something else
    than the class of an item drives its votes, groups and classes part, and every such model follows the error of the
    crowd further than the vote does. Votes alone show it: a common factor of an item's labels with dispersion phi
    carries log(phi) / 2 nats, the capacity of a Gaussian channel, and the class at most log K. With phi above K squared
    the votes are more about that factor than about the class; the models are refuted, and the shares of the votes
    are returned.

    Args:
        table: the votes, rows in any order.
        max_rounds: of each fit, at least 1.
        on_round: called with the number of rounds done over all fits.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for no rounds.

    Reference:
        Ours. The weight 1 / phi is the quasi-likelihood of overdispersed counts: P. McCullagh and J. A. Nelder,
        Generalized linear models, 1989, section 4.5. experiments/aggregation says which decisions saw which data.
    """
    require_counts("Ensemble", max_rounds=max_rounds)
    done, fits = 0, 0
    settings: dict[str, Any] = {"tolerance": _TOLERANCE, "max_rounds": max_rounds}

    def count(rounds: int) -> None:
        if on_round is not None:
            on_round(done + rounds)

    phi, change = 1.0, np.inf
    while change > _SAME and fits < _MOST_FITS:
        fit = dawid_skene(table, label_weight=1 / phi, on_round=count, **settings)
        new = max(1.0, dispersion(table, fit))
        change, phi, done, fits = abs(new / phi - 1), new, done + fit.rounds, fits + 1
    skill = np.einsum("akk,k->a", fit.confusion, fit.prior)
    if phi > table.num_classes**2 > 1:
        posterior = soft_labels(pin_shares(vote_counts(table), table.gold))
        return Ensemble(posterior, skill, phi, True, fit.converged, done)
    shared = ptbcc(table, label_weight=1 / phi, on_round=count, **settings)
    done += shared.rounds
    split = ebcc(table, subtypes=_SUBTYPES, start="easiness", on_round=count, **settings)
    mean = (fit.posterior + shared.posterior + split.posterior) / 3
    converged = fit.converged and shared.converged and split.converged
    return Ensemble(mean, skill, phi, False, converged, done + split.rounds)


def dispersion(table: Votes, fit: DawidSkene) -> float:
    """Returns the mean squared number of surplus right labels of an item over its variance if labels were independent.

    1 if labels are independent given the class; 1 + (n - 1) rho for n labels per item whose being right correlates with
    rho. Both sums run over items and classes, weighted by the posterior. 1 where nothing varies.

    Args:
        table: the votes.
        fit: Dawid-Skene on them.
    """
    recall = np.diagonal(fit.confusion, axis1=1, axis2=2)
    votes = entries(table)
    index, size = (votes.item, votes.annotator), (table.num_items, table.num_annotators)
    answers = sparse.csr_array((votes.weight, index), shape=size)
    surplus = vote_counts(table) - answers @ recall
    variance = float((fit.posterior * (answers @ (recall * (1 - recall)))).sum())
    return float((fit.posterior * surplus**2).sum()) / variance if variance > 0 else 1.0

"""The ensemble: the mean of three models of annotators, or the plain vote where the votes refute such models."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from hilmix.functional.aggregation.bwa import bwa
from hilmix.functional.aggregation.dawid_skene import DawidSkene, dawid_skene
from hilmix.functional.aggregation.ebcc import ebcc
from hilmix.functional.aggregation.gold import pin_shares
from hilmix.functional.aggregation.rounds import require_counts
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import OnRound, entries, soft_labels, vote_counts

_SUBTYPES = 3
"""Easy, middling and hard items: the fewest with a middle."""


class Ensemble(NamedTuple):
    """Result of :func:`ensemble`."""

    posterior: FloatArray
    """(N, K) float64, mean of the members' distributions; shares of the votes where ``refuted``."""
    skill: FloatArray
    """(A,) float64 in [0, 1], probability that a label is right, by the Dawid-Skene member."""
    dispersion: float
    """Variance of the number of right labels of an item, relative to that of independent ones, see
    :func:`dispersion`."""
    refuted: bool
    """Whether the labels of an item depend on each other so much that the plain vote is returned."""
    converged: bool
    """Whether every fit converged."""
    rounds: int
    """Rounds of all fits."""


def ensemble(table: Votes, *, max_rounds: int = 500, on_round: OnRound | None = None) -> Ensemble:
    """Returns the mean of three distributions, of models that err in different ways; nothing is drawn.

    * :func:`~hilmix.functional.aggregation.dawid_skene` knows the habits of annotators, and takes the labels of an item
      for independent given its class. It needs labels to learn them, and then is very sure.
    * :func:`~hilmix.functional.aggregation.bwa` knows only weights, one per annotator and class. It cannot invert the
      vote on the strength of habits, and its scores are never surer than the weighted vote, so that it decides where
      the other two disagree.
    * :func:`~hilmix.functional.aggregation.ebcc` with three subtypes of each class, started from easy, middling and
      hard items, knows that the items of a class differ.

    Models of habits find the K groups of items that explain the votes best, and name them by the vote. If something
    else than the class of an item drives its votes, groups and classes part, and the models follow the error of the
    crowd further than the vote does. Votes alone show it: a common factor of an item's labels with dispersion phi
    carries log(phi) / 2 nats, the capacity of a Gaussian channel, and the class at most log K. With phi above K squared
    the votes are more about that factor than about the class: the models are refuted, and the shares of the votes are
    returned.

    Args:
        table: the votes, rows in any order.
        max_rounds: of each fit, at least 1.
        on_round: called with the number of rounds done over all fits that count them.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for no rounds.

    Reference:
        Ours. experiments/aggregation says which of its decisions saw which data.
    """
    require_counts("Ensemble", max_rounds=max_rounds)
    done = 0

    def count(rounds: int) -> None:
        if on_round is not None:
            on_round(done + rounds)

    # First and alone: it decides whether the votes refute such models, and then the other two are not fitted.
    habits = dawid_skene(table, max_rounds=max_rounds, on_round=count)
    done += habits.rounds
    phi = dispersion(table, habits)
    skill = np.einsum("akk,k->a", habits.confusion, habits.prior)
    # The second comparison is for one class, where every dispersion would refute.
    if phi > table.num_classes**2 > 1:
        posterior = soft_labels(pin_shares(vote_counts(table), table.gold))
        return Ensemble(posterior, skill, phi, True, habits.converged, done)
    weights = bwa(table, max_rounds=max_rounds)
    done += weights.rounds
    split = ebcc(table, subtypes=_SUBTYPES, start="easiness", max_rounds=max_rounds, on_round=count)
    # Equal weights: without truth there is nothing to fit others to, see experiments/aggregation.
    mean = (habits.posterior + weights.posterior + split.posterior) / 3
    converged = habits.converged and weights.converged and split.converged
    return Ensemble(mean, skill, phi, False, converged, done + split.rounds)


def dispersion(table: Votes, fit: DawidSkene) -> float:
    """Returns the mean squared number of surplus right labels of an item over its variance if labels were independent.

    1 if labels are independent given the class; 1 + (n - 1) rho for n labels per item whose being right correlates with
    rho. Both sums run over items and classes, weighted by the posterior. 1 where nothing varies.

    Args:
        table: the votes.
        fit: Dawid-Skene on them.

    Reference:
        Pearson's estimate of overdispersion: P. McCullagh and J. A. Nelder, Generalized linear models, 1989, section
        4.5, with the class unknown.
    """
    recall = np.diagonal(fit.confusion, axis1=1, axis2=2)
    votes = entries(table)
    index, size = (votes.item, votes.annotator), (table.num_items, table.num_annotators)
    answers = sparse.csr_array((votes.weight, index), shape=size)
    surplus = vote_counts(table) - answers @ recall
    variance = float((fit.posterior * (answers @ (recall * (1 - recall)))).sum())
    return float((fit.posterior * surplus**2).sum()) / variance if variance > 0 else 1.0

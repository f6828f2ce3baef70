"""Every aggregator under its name, with one signature and one report."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hilmix.checks import check_choice
from hilmix.errors import DataError
from hilmix.functional.aggregation.agreement import WeightedVote, wawa, zero_based_skill
from hilmix.functional.aggregation.bwa import bwa
from hilmix.functional.aggregation.cells import majority, one_hot, soft, stored
from hilmix.functional.aggregation.dawid_skene import dawid_skene
from hilmix.functional.aggregation.ebcc import Ebcc, ebcc
from hilmix.functional.aggregation.ensemble import ensemble
from hilmix.functional.aggregation.glad import glad
from hilmix.functional.aggregation.gold import with_gold
from hilmix.functional.aggregation.ibcc import Ibcc, ibcc
from hilmix.functional.aggregation.iwmv import iwmv
from hilmix.functional.aggregation.kos import kos
from hilmix.functional.aggregation.mace import mace
from hilmix.functional.aggregation.mmsr import mmsr
from hilmix.functional.aggregation.one_coin import OneCoin, one_coin, zencrowd
from hilmix.functional.aggregation.plantnet import plantnet
from hilmix.functional.aggregation.ptbcc import Ptbcc, ptbcc
from hilmix.functional.aggregation.shared_dawid_skene import shared_dawid_skene
from hilmix.functional.aggregation.sparse_posterior import DENSE_NUMBERS, Posterior, mean_posterior
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.aggregation.votes import OnRound
from hilmix.functional.aggregation.wds import Wds, wds


class Aggregate(NamedTuple):
    """Result of an aggregator, in the form common to all."""

    posterior: Posterior
    """(N, K) float64, a distribution for every item; what it is without votes depends on the aggregator. Beyond 2^27
    numbers a :class:`~hilmix.functional.aggregation.SparsePosterior`, of ``majority``, ``soft``, ``dawid-skene``,
    ``mace``, ``glad``, ``wawa``, ``zero-based-skill``, ``iwmv`` and ``average``."""
    hard: bool = False
    """Whether the method decides for one class and ``posterior`` only repeats it (even where it cannot decide)."""
    skill: FloatArray | None = None
    """(A,) float64, higher is more trusted; None where the method treats all annotators alike."""
    skill_name: str = ""
    """Meaning of ``skill``."""
    ties: int | None = None
    """Items that the seed decided; None where the method gives distributions."""
    rounds: int | None = None
    """Rounds run; None where there are none."""
    converged: bool | None = None
    """None where the method has no such notion."""
    structure: str = ""
    """Form of the confusion matrices, where the size has chosen another one than the method's own."""


Aggregator = Callable[[Votes, int, OnRound | None], Aggregate]
AVERAGED = ("soft", "dawid-skene", "glad", "mace", "wawa", "zero-based-skill")
"""Of the distributions; majority is ``soft`` rounded, KOS gives sides and for two classes only."""


def aggregate(
    method: str, votes: Votes, *, gold: IntArray | None = None, seed: int = 0, on_round: OnRound | None = None
) -> Aggregate:
    """Runs an aggregator with its default settings.

    Args:
        method: a key of ``AGGREGATORS``.
        votes: the annotations; items without votes and annotators without labels are legal.
        gold: (N,) integers in [-1, K), known classes of items, -1 where not known: the distribution of such an item is
            that class, and annotators are judged by it. In place of those of ``votes``, if it has any.
        seed: decides ties of hard labels, and where a fit starts.
        on_round: called with the number of rounds done, where a method has several.

    Raises:
        ConfigError: for another method, or one that does not support these votes.
        DataError: for votes without a class, or known classes that do not fit the votes.

    Example:
        >>> from hilmix.annotations import Annotations
        >>> votes = Annotations.from_dense([[0, 0, 1], [1, 1, 1], [0, 0, 0]])
        >>> aggregate("dawid-skene", votes).posterior.argmax(axis=1).tolist()
        [0, 1, 0]
    """
    check_choice("method", method, AGGREGATORS)
    if votes.num_classes < 1:
        raise DataError("There is no class to aggregate into, as there are no votes. Give votes, or list the classes.")
    return AGGREGATORS[method](votes if gold is None else with_gold(votes, gold), seed, on_round)


def _majority(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    label, tied = majority(votes, seed=seed)
    return Aggregate(stored(one_hot(soft(votes), label)), hard=True, ties=int(tied.sum()))


def _soft(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    return Aggregate(stored(soft(votes)))


def _dawid_skene(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    n, a, k = votes.num_items, votes.num_annotators, votes.num_classes
    if max(n * k, a * k**2) > DENSE_NUMBERS:
        shared = shared_dawid_skene(votes, on_round=on_round)
        form = f"one matrix ({k:,} x {k:,}) shared by all and one number per annotator, in place of {a:,} matrices"
        found = Aggregate(stored(shared.posterior), False, shared.right, "p(right)", structure=form)
        return found._replace(rounds=shared.rounds, converged=shared.converged)
    fit = dawid_skene(votes, on_round=on_round)
    # Over the class prior: an annotator is as good as on the items at hand, not on equally frequent classes.
    right = np.einsum("akk,k->a", fit.confusion, fit.prior)
    return Aggregate(fit.posterior, False, right, "p(right)", rounds=fit.rounds, converged=fit.converged)


def _glad(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    fit = glad(votes, on_round=on_round)
    meaning = "ability (0: right half the time)"
    return Aggregate(fit.posterior, False, fit.ability, meaning, rounds=fit.rounds, converged=fit.converged)


def _mace(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    fit = mace(votes, seed=seed, on_round=on_round)
    return Aggregate(fit.posterior, False, fit.knows, "p(knows)", rounds=fit.rounds, converged=fit.converged)


def _agreement(fit: WeightedVote) -> Aggregate:
    return Aggregate(fit.posterior, False, fit.skill, "agreement", rounds=fit.rounds, converged=fit.converged)


def _wawa(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    return _agreement(wawa(votes))


def _zero_based_skill(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    return _agreement(zero_based_skill(votes))


def _iwmv(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    fit = iwmv(votes)
    return Aggregate(fit.posterior, False, fit.accuracy, "agreement", rounds=fit.rounds, converged=fit.converged)


def _one_accuracy(fit: OneCoin) -> Aggregate:
    return Aggregate(fit.posterior, False, fit.accuracy, "p(right)", rounds=fit.rounds, converged=fit.converged)


def _one_coin(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    return _one_accuracy(one_coin(votes, on_round=on_round))


def _zencrowd(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    return _one_accuracy(zencrowd(votes, on_round=on_round))


def _combination(fit: Ibcc | Ebcc | Ptbcc | Wds) -> Aggregate:
    right = fit.recall @ fit.prior
    return Aggregate(fit.posterior, False, right, "p(right)", rounds=fit.rounds, converged=fit.converged)


def _ibcc(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    return _combination(ibcc(votes, on_round=on_round))


def _ebcc(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    return _combination(ebcc(votes, seed=seed, on_round=on_round))


def _ptbcc(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    return _combination(ptbcc(votes, on_round=on_round))


def _wds(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    return _combination(wds(votes, on_round=on_round))


def _bwa(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    fit = bwa(votes)
    weight = fit.precision.mean(axis=1)
    return Aggregate(fit.posterior, False, weight, "mean precision", rounds=fit.rounds, converged=fit.converged)


def _mmsr(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    fit = mmsr(votes)
    return Aggregate(fit.posterior, False, fit.accuracy, "p(right)", rounds=fit.rounds, converged=fit.converged)


def _plantnet(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    fit = plantnet(votes)
    return Aggregate(fit.posterior, False, fit.weight, "weight", rounds=fit.rounds, converged=fit.converged)


def _ensemble(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    fit = ensemble(votes, on_round=on_round)
    return Aggregate(fit.posterior, False, fit.skill, "p(right)", rounds=fit.rounds, converged=fit.converged)


def _kos(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    fit = kos(votes, seed=seed)
    voted = np.bincount(votes.item, minlength=votes.num_items) > 0
    # Items without votes are even, too, but no tie.
    ties = int((voted & (fit.posterior[:, 0] == fit.posterior[:, 1])).sum())
    return Aggregate(fit.posterior, True, fit.reliability, "reliability (0: guesses)", ties=ties)


def _average(votes: Votes, seed: int, on_round: OnRound | None) -> Aggregate:
    parts = [AGGREGATORS[name](votes, seed, on_round) for name in AVERAGED]
    mean = mean_posterior([part.posterior for part in parts])
    structure = "; ".join(part.structure for part in parts if part.structure)
    # None, of methods without rounds, is not a failure to converge.
    return Aggregate(mean, converged=all(part.converged is not False for part in parts), structure=structure)


AGGREGATORS: dict[str, Aggregator] = {
    "majority": _majority,
    "soft": _soft,
    "dawid-skene": _dawid_skene,
    "one-coin": _one_coin,
    "zencrowd": _zencrowd,
    "ibcc": _ibcc,
    "ebcc": _ebcc,
    "ptbcc": _ptbcc,
    "wds": _wds,
    "bwa": _bwa,
    "m-msr": _mmsr,
    "glad": _glad,
    "mace": _mace,
    "wawa": _wawa,
    "zero-based-skill": _zero_based_skill,
    "iwmv": _iwmv,
    "plantnet": _plantnet,
    "kos": _kos,
    "average": _average,
    "ensemble": _ensemble,
}

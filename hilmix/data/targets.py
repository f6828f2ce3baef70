"""Targets of training: every annotation, one aggregated label per item, or the truth."""

import logging
from abc import ABC, abstractmethod
from typing import Literal

import numpy as np

from hilmix.annotations import Annotations, IntArray
from hilmix.checks import NonNegativeInt
from hilmix.errors import ConfigError
from hilmix.functional import aggregation
from hilmix.parts import Part
from hilmix.types import UNKNOWN

Method = Literal[
    "majority",
    "soft",
    "dawid-skene",
    "one-coin",
    "zencrowd",
    "ibcc",
    "ebcc",
    "ptbcc",
    "wds",
    "bwa",
    "m-msr",
    "glad",
    "mace",
    "wawa",
    "zero-based-skill",
    "iwmv",
    "plantnet",
    "kos",
    "average",
    "ensemble",
]
"""Names of the aggregators, for the help and the checks of the command line."""

log = logging.getLogger(__name__)


class Targets(Part, ABC):
    """Maps the annotations of the training items to those that the model is trained on."""

    aggregates = True
    """Whether one annotator, the crowd, stands for all."""

    @abstractmethod
    def apply(self, annotations: Annotations, target: IntArray, items: IntArray) -> Annotations:
        """Return the table to train on: same N, classes and meaning of the rows.

        Args:
            annotations: the votes on N items; only those of the training items are used.
            target: (N,) int64 true class, -1 where unknown.
            items: (T,) int64 rows of the training items.

        Raises:
            ConfigError: if the data lack what these targets need.
        """


class Pairs(Targets):
    """Every annotation counts, with its annotator."""

    aggregates = False

    def apply(self, annotations: Annotations, target: IntArray, items: IntArray) -> Annotations:
        return annotations.subset(items)


class Aggregated(Targets):
    """One aggregated label per item that has votes, and one annotator, the crowd.

    Args:
        by: the aggregator, see :data:`hilmix.functional.aggregation.AGGREGATORS`. ``majority`` (ties are drawn and
            their number logged) and ``kos`` (two classes only) give hard labels. All others give distributions over
            the true class, as ``probs``: ``soft`` (shares of the votes), ``dawid-skene``, ``glad``, ``mace``,
            ``wawa``, ``zero-based-skill``, and ``average``, the mean of these six; ``one-coin``, ``zencrowd``,
            ``ibcc``, ``ebcc``, ``ptbcc``, ``wds``, ``bwa``, ``m-msr``, ``iwmv``, ``plantnet``, and ``ensemble``, the
            default of ``hilmix aggregate``.
        seed: decides ties, and the random starts of ``ebcc``, ``mace`` and ``kos``.

    Raises:
        ConfigError: for another ``by``.
    """

    def __init__(self, by: Method = "majority", seed: NonNegativeInt = 0) -> None:
        self.by, self.seed = by, seed

    def apply(self, annotations: Annotations, target: IntArray, items: IntArray) -> Annotations:
        # Of training items alone: votes on test items must not decide which annotators are trusted.
        votes = annotations.subset(items)
        voted = np.flatnonzero(votes.labels_per_item > 0)
        result = aggregation.aggregate(self.by, votes, seed=self.seed)
        log.info("Aggregated %d items by %s%s.", len(voted), self.by, _describe_result(result))
        posterior = result.posterior
        if isinstance(posterior, aggregation.SparsePosterior):
            if not result.hard:
                # That of float64, of float32, and its rows in order.
                return _build_one_per_item(votes, voted, probs=posterior.dense(voted, copies=2))
            return _build_one_per_item(votes, voted, label=posterior.choose(seed=self.seed).label[voted])
        if not result.hard:
            return _build_one_per_item(votes, voted, probs=posterior[voted])
        return _build_one_per_item(
            votes, voted, label=aggregation.choose_classes(posterior, seed=self.seed).label[voted]
        )


class TrueLabels(Targets):
    """The truth of every training item, as the only annotator: an upper bound, not a method."""

    def apply(self, annotations: Annotations, target: IntArray, items: IntArray) -> Annotations:
        unknown = items[target[items] == UNKNOWN]
        if len(unknown):
            raise ConfigError(
                f"`target` must be known for every training item, got {len(unknown)} of {len(items)} unknown "
                f"(first: row {unknown.min()}). Fill the column 'target', or train on Pairs or Aggregated."
            )
        return _build_one_per_item(annotations, items, label=target[items])


def _describe_result(result: aggregation.Aggregate) -> str:
    form = f"; {result.structure}" * bool(result.structure)
    if result.ties is not None:
        return f"; the seed decided {result.ties} ties"
    if result.converged is None:
        return form
    state = "converged" if result.converged else "not converged"
    return f"{form}; {state}" + ("" if result.rounds is None else f" after {result.rounds} rounds")


def _build_one_per_item(
    like: Annotations, items: IntArray, *, label: IntArray | None = None, probs: np.ndarray | None = None
) -> Annotations:
    return Annotations.build(
        items,
        np.zeros(len(items), dtype=np.int64),
        label,
        num_items=like.num_items,
        classes=like.classes,
        annotators=["crowd"],
        probs=probs,
        exchangeable=True,
    )

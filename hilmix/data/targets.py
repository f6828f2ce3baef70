"""What a model is trained on: every annotation, one aggregated label per item, or the truth."""

import logging
from abc import ABC, abstractmethod
from typing import Literal

import numpy as np

from hilmix.annotations import Annotations, IntArray
from hilmix.errors import ConfigError
from hilmix.functional import aggregation
from hilmix.parts import Part
from hilmix.types import UNKNOWN

log = logging.getLogger(__name__)


class Targets(Part, ABC):
    """Maps the annotations of the training items to those that the model is trained on."""

    aggregates = True
    """Whether one annotator, the crowd, stands for all."""

    @abstractmethod
    def apply(self, annotations: Annotations, target: IntArray, items: IntArray) -> Annotations:
        """Returns the table to train on: same N, classes and meaning of the rows.

        Args:
            annotations: the votes on N items; only those of the training items are looked at.
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
    """One label per item that anybody labelled, and one annotator, the crowd.

    Args:
        by: ``majority``: the class with the most votes, hard; ties are drawn and their number logged.
            ``soft``: the shares of the votes, as ``probs``.
            ``dawid-skene``: the posterior over the true class given all training labels, as ``probs``; see
            :func:`~hilmix.functional.aggregation.dawid_skene`.
        seed: decides ties of the majority.

    Raises:
        ConfigError: for another ``by``.
    """

    def __init__(self, by: Literal["majority", "soft", "dawid-skene"] = "majority", seed: int = 0) -> None:
        if by not in ("majority", "soft", "dawid-skene"):
            raise ConfigError(f"Aggregated: by is '{by}'; allowed are 'majority', 'soft' and 'dawid-skene'.")
        self.by, self.seed = by, seed

    def apply(self, annotations: Annotations, target: IntArray, items: IntArray) -> Annotations:
        votes = annotations.subset(items)
        counts = votes.counts()
        voted = np.flatnonzero(counts.sum(axis=1) > 0)
        if self.by == "majority":
            winner = aggregation.majority(counts, seed=self.seed)
            log.info("Majority vote: the seed decided %d ties among %d items.", winner.tied.sum(), len(voted))
            return _one_per_item(votes, voted, label=winner.label[voted])
        if self.by == "soft":
            return _one_per_item(votes, voted, probs=aggregation.soft_labels(counts)[voted])
        return _one_per_item(votes, voted, probs=_dawid_skene(votes)[voted])


class TrueLabels(Targets):
    """The truth of every training item, as the only annotator: an upper bound, not a method."""

    def apply(self, annotations: Annotations, target: IntArray, items: IntArray) -> Annotations:
        unknown = items[target[items] == UNKNOWN]
        if len(unknown):
            raise ConfigError(
                f"TrueLabels needs the target of every training item, but {len(unknown)} of {len(items)} are unknown "
                f"(first: row {unknown.min()}). Fill the column 'target', or train on Pairs or Aggregated."
            )
        return _one_per_item(annotations, items, label=target[items])


def _dawid_skene(votes: Annotations) -> np.ndarray:
    fit = aggregation.dawid_skene(
        votes.item, votes.annotator, votes.label, num_items=votes.num_items, num_annotators=votes.num_annotators,
        num_classes=votes.num_classes, probs=votes.probs,
    )  # fmt: skip
    log.info("Dawid-Skene: %s after %d rounds.", "converged" if fit.converged else "not converged", fit.rounds)
    return fit.posterior


def _one_per_item(
    like: Annotations, items: IntArray, *, label: IntArray | None = None, probs: np.ndarray | None = None
) -> Annotations:
    return Annotations.build(
        items, np.zeros(len(items), dtype=np.int64), label, num_items=like.num_items, classes=like.classes,
        annotators=["crowd"], probs=probs, exchangeable=True,
    )  # fmt: skip

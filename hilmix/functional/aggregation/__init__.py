"""Many annotators into one label, or one distribution, per item.

Every aggregator takes one :class:`VoteTable`: aligned vectors ``item``, ``annotator``, ``label`` of length L (or
``probs`` (L, K) for annotators who answer with a distribution) and the sizes N, A, K;
:class:`~hilmix.annotations.Annotations` can stand for one. Nothing is dense in N x A. :func:`aggregate` runs any of
them by name.
"""

from hilmix.functional.aggregation.agreement import WeightedVote, wawa, zero_based_skill
from hilmix.functional.aggregation.dawid_skene import DawidSkene, dawid_skene
from hilmix.functional.aggregation.glad import Glad, glad
from hilmix.functional.aggregation.kos import Kos, kos
from hilmix.functional.aggregation.mace import Mace, mace
from hilmix.functional.aggregation.registry import AGGREGATORS, Aggregate, aggregate
from hilmix.functional.aggregation.vote_table import Votes, VoteTable
from hilmix.functional.aggregation.votes import (
    HardLabels,
    best_classes,
    choose_classes,
    majority,
    soft_labels,
    vote_counts,
)

__all__ = [
    "AGGREGATORS",
    "Aggregate",
    "DawidSkene",
    "Glad",
    "HardLabels",
    "Kos",
    "Mace",
    "VoteTable",
    "Votes",
    "WeightedVote",
    "aggregate",
    "best_classes",
    "choose_classes",
    "dawid_skene",
    "glad",
    "kos",
    "mace",
    "majority",
    "soft_labels",
    "vote_counts",
    "wawa",
    "zero_based_skill",
]

"""Many annotators into one label, or one distribution, per item.

Every aggregator takes one :class:`VoteTable`: aligned vectors ``item``, ``annotator``, ``label`` of length L (or
``probs`` (L, K) for annotators who answer with a distribution) and the sizes N, A, K;
:class:`~hilmix.annotations.Annotations` can stand for one. Nothing is dense in N x A. :func:`aggregate` runs any of
them by name.
"""

from hilmix.functional.aggregation.agreement import WeightedVote, wawa, zero_based_skill
from hilmix.functional.aggregation.dawid_skene import DawidSkene, dawid_skene
from hilmix.functional.aggregation.ebcc import Ebcc, ebcc
from hilmix.functional.aggregation.glad import Glad, glad
from hilmix.functional.aggregation.ibcc import Ibcc, ibcc
from hilmix.functional.aggregation.iwmv import Iwmv, iwmv
from hilmix.functional.aggregation.kos import Kos, kos
from hilmix.functional.aggregation.mace import Mace, mace
from hilmix.functional.aggregation.one_coin import OneCoin, one_coin, zencrowd
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
    "Ebcc",
    "Glad",
    "HardLabels",
    "Ibcc",
    "Iwmv",
    "Kos",
    "Mace",
    "OneCoin",
    "VoteTable",
    "Votes",
    "WeightedVote",
    "aggregate",
    "best_classes",
    "choose_classes",
    "dawid_skene",
    "ebcc",
    "glad",
    "ibcc",
    "iwmv",
    "kos",
    "mace",
    "majority",
    "one_coin",
    "soft_labels",
    "vote_counts",
    "wawa",
    "zencrowd",
    "zero_based_skill",
]

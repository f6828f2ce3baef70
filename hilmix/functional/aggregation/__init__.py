"""Many annotators into one label, or one distribution, per item.

Everything works on the long form: aligned vectors ``item``, ``annotator``, ``label`` of length L (or ``probs`` (L, K)
for annotators who answer with a distribution) and the sizes N, A, K. Nothing is dense in N x A. :func:`aggregate` runs
any of them by name.
"""

from hilmix.functional.aggregation.agreement import WeightedVote, wawa, zero_based_skill
from hilmix.functional.aggregation.dawid_skene import DawidSkene, dawid_skene
from hilmix.functional.aggregation.glad import Glad, glad
from hilmix.functional.aggregation.kos import Kos, kos
from hilmix.functional.aggregation.mace import Mace, mace
from hilmix.functional.aggregation.registry import AGGREGATORS, Aggregate, VoteTable, aggregate
from hilmix.functional.aggregation.votes import Majority, best_classes, majority, soft_labels, vote_counts

__all__ = [
    "AGGREGATORS",
    "Aggregate",
    "DawidSkene",
    "Glad",
    "Kos",
    "Mace",
    "Majority",
    "VoteTable",
    "WeightedVote",
    "aggregate",
    "best_classes",
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

"""Many annotators into one label, or one distribution, per item.

Every aggregator takes one :class:`VoteTable`: aligned vectors ``item``, ``annotator``, ``label`` of length L (or
``probs`` (L, K) for annotators who answer with a distribution) and the sizes N, A, K;
:class:`~hilmix.annotations.Annotations` can stand for one. Nothing is dense in N x A. :func:`aggregate` runs any of
them by name.
"""

from hilmix.functional.aggregation.agreement import WeightedVote, wawa, zero_based_skill
from hilmix.functional.aggregation.bwa import Bwa, bwa
from hilmix.functional.aggregation.cells import majority
from hilmix.functional.aggregation.dawid_skene import DawidSkene, dawid_skene
from hilmix.functional.aggregation.ebcc import Ebcc, ebcc
from hilmix.functional.aggregation.ensemble import Ensemble, dispersion, ensemble
from hilmix.functional.aggregation.glad import Glad, glad
from hilmix.functional.aggregation.gold import with_gold
from hilmix.functional.aggregation.ibcc import Ibcc, ibcc
from hilmix.functional.aggregation.intervals import Intervals, accuracy_intervals, label_sets
from hilmix.functional.aggregation.iwmv import Iwmv, iwmv
from hilmix.functional.aggregation.kos import Kos, kos
from hilmix.functional.aggregation.mace import Mace, mace
from hilmix.functional.aggregation.mmsr import Mmsr, mmsr
from hilmix.functional.aggregation.one_coin import OneCoin, one_coin, zencrowd
from hilmix.functional.aggregation.plantnet import Plantnet, plantnet
from hilmix.functional.aggregation.ptbcc import Ptbcc, ptbcc
from hilmix.functional.aggregation.registry import AGGREGATORS, Aggregate, aggregate
from hilmix.functional.aggregation.shared_dawid_skene import SharedDawidSkene, shared_dawid_skene
from hilmix.functional.aggregation.sparse_posterior import SparsePosterior
from hilmix.functional.aggregation.vote_table import Votes, VoteTable
from hilmix.functional.aggregation.votes import (
    HardLabels,
    best_classes,
    choose_classes,
    soft_labels,
    vote_counts,
)
from hilmix.functional.aggregation.wds import Wds, wds

__all__ = [
    "AGGREGATORS",
    "Aggregate",
    "Bwa",
    "DawidSkene",
    "Ebcc",
    "Ensemble",
    "Glad",
    "HardLabels",
    "Ibcc",
    "Intervals",
    "Iwmv",
    "Kos",
    "Mace",
    "Mmsr",
    "OneCoin",
    "Plantnet",
    "Ptbcc",
    "SharedDawidSkene",
    "SparsePosterior",
    "VoteTable",
    "Votes",
    "Wds",
    "WeightedVote",
    "accuracy_intervals",
    "aggregate",
    "best_classes",
    "bwa",
    "choose_classes",
    "dawid_skene",
    "dispersion",
    "ebcc",
    "ensemble",
    "glad",
    "ibcc",
    "iwmv",
    "kos",
    "label_sets",
    "mace",
    "majority",
    "mmsr",
    "one_coin",
    "plantnet",
    "ptbcc",
    "shared_dawid_skene",
    "soft_labels",
    "vote_counts",
    "wawa",
    "wds",
    "with_gold",
    "zencrowd",
    "zero_based_skill",
]

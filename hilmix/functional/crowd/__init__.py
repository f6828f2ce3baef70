"""Agreement, quality and identification of annotators, on the sparse table of labels; nothing is dense in N x A.

Every function takes a :class:`~hilmix.functional.aggregation.VoteTable`, for which
:class:`~hilmix.annotations.Annotations` can stand. Of soft labels the most probable class counts.
"""

from hilmix.functional.crowd.active_lab import activelab, fit_crowd_temperature
from hilmix.functional.crowd.alpha import Alpha, Level, bootstrap_alpha, krippendorff_alpha, leave_one_out_alpha
from hilmix.functional.crowd.crowdlab import Crowdlab, HardCounts, crowdlab, majority_with_model
from hilmix.functional.crowd.identification import (
    confusion_entropy,
    confusion_trace,
    label_consistency,
    label_uncertainty,
    spammer_score,
)
from hilmix.functional.crowd.kappa import CohenPairs, cohen_kappas, fleiss_kappa

__all__ = [
    "Alpha",
    "CohenPairs",
    "Crowdlab",
    "HardCounts",
    "Level",
    "activelab",
    "bootstrap_alpha",
    "cohen_kappas",
    "confusion_entropy",
    "confusion_trace",
    "crowdlab",
    "fit_crowd_temperature",
    "fleiss_kappa",
    "krippendorff_alpha",
    "label_consistency",
    "label_uncertainty",
    "leave_one_out_alpha",
    "majority_with_model",
    "spammer_score",
]

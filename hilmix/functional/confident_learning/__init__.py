"""Confident learning: which labels are wrong, how often each class is taken for another, from class probabilities.

Every statistic is a sum over samples, worked out in chunks of rows and additive over parts of the data and ranks: the
sums of :func:`threshold_sums` first, then the K x K counts of :func:`confident_counts`. No step holds a second N x K
table. The probabilities must be of models that have not seen the labels (out of fold, held out): in-sample ones drive
the thresholds to 1 and the joint to its diagonal.

Reference:
    Northcutt, Jiang and Chuang, Confident Learning, JAIR 2021. Layout, constants and tie rules are those of cleanlab
    2.9, so that values can be compared; ties are broken by row.
"""

from hilmix.functional.confident_learning.classes import (
    ClassQuality,
    class_quality,
    label_health,
    overlapping_classes,
)
from hilmix.functional.confident_learning.issues import (
    FILTERS,
    IssueFilter,
    count_issues,
    find_label_issues,
    off_diagonal,
)
from hilmix.functional.confident_learning.joint import (
    ThresholdSums,
    add_sums,
    calibrate_joint,
    class_thresholds,
    confident_counts,
    confident_joint,
    estimate_joint,
    threshold_sums,
)
from hilmix.functional.confident_learning.noise import NoiseEstimate, PriorMethod, estimate_noise
from hilmix.functional.confident_learning.quality import (
    EnsembleWeights,
    adjusted_probs,
    confidence_weighted_entropy,
    ensemble_quality,
    ensemble_weights,
)

__all__ = [
    "FILTERS",
    "ClassQuality",
    "EnsembleWeights",
    "IssueFilter",
    "NoiseEstimate",
    "PriorMethod",
    "ThresholdSums",
    "add_sums",
    "adjusted_probs",
    "calibrate_joint",
    "class_quality",
    "class_thresholds",
    "confidence_weighted_entropy",
    "confident_counts",
    "confident_joint",
    "count_issues",
    "ensemble_quality",
    "ensemble_weights",
    "estimate_joint",
    "estimate_noise",
    "find_label_issues",
    "label_health",
    "off_diagonal",
    "overlapping_classes",
    "threshold_sums",
]

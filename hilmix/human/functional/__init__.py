"""Mathematics of judgments of mixed images: curves, fits, agreement with labels, statistics of images."""

from hilmix.human.functional.image_statistics import image_statistics
from hilmix.human.functional.perception import logistic_curve, logit_curve, probit_curve, smooth_uniformly
from hilmix.human.functional.soft_targets import entropy, kl_divergence, soft_cross_entropy, total_variation

__all__ = [
    "entropy",
    "image_statistics",
    "kl_divergence",
    "logistic_curve",
    "logit_curve",
    "probit_curve",
    "smooth_uniformly",
    "soft_cross_entropy",
    "total_variation",
]

"""torchmetrics shells over :mod:`hilmix.functional`: states and reductions, no maths of their own."""

from hilmix.metrics.annotators import AnnotatorAUROC
from hilmix.metrics.base import MeanMetric, SumMetric
from hilmix.metrics.calibrated import CalibratedNLL
from hilmix.metrics.calibration import (
    Accuracy,
    AdaptiveCalibrationError,
    BinaryCalibrationError,
    BinnedCalibrationError,
    BrierScore,
    CalibrationError,
    NegativeLogLikelihood,
)
from hilmix.metrics.collection import ClassMetrics
from hilmix.metrics.groups import GroupAccuracy
from hilmix.metrics.suite import CalibrationSuite, HumanCalibration

__all__ = [
    "Accuracy",
    "AdaptiveCalibrationError",
    "AnnotatorAUROC",
    "BinaryCalibrationError",
    "BinnedCalibrationError",
    "BrierScore",
    "CalibratedNLL",
    "CalibrationError",
    "CalibrationSuite",
    "ClassMetrics",
    "GroupAccuracy",
    "HumanCalibration",
    "MeanMetric",
    "NegativeLogLikelihood",
    "SumMetric",
]

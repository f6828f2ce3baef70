"""Perception policies: which label participants would give a mix of two images.

Example:
    >>> import torch
    >>> from hilmix.human.perception import GlobalCurve, Mixes
    >>> cat, dog = torch.eye(2).split(1)
    >>> GlobalCurve("logistic", (4.5, 0.5))(Mixes(cat, dog, torch.tensor([0.75]))).round(decimals=2).tolist()
    [[0.75, 0.25]]
"""

from typing import TYPE_CHECKING

from hilmix.human.perception.base import Mixes, Perception, SavedPerception, to_mixes
from hilmix.human.perception.classes import HMIX_STRENGTHS, HMIX_STRENGTHS_SLOPE, ClassStrengths, LabelPairs
from hilmix.human.perception.curves import GlobalCurve, Identity
from hilmix.human.perception.evaluation import POLICIES, cross_validate
from hilmix.human.perception.hmix import HMixPerception
from hilmix.human.perception.judgments import MixJudgments
from hilmix.human.perception.learned import LearnedPerception
from hilmix.human.perception.mix_features import MixFeaturePerception
from hilmix.human.perception.off_endpoints import HMIX_OFF, OffEndpoints
from hilmix.human.perception.participants import ParticipantCurves
from hilmix.human.perception.smoothing import ConfidenceSmoothing, Smoothed, UniformSmoothing
from hilmix.human.perception.table import ImageTable
from hilmix.moved import former_names

__all__ = [
    "HMIX_OFF",
    "HMIX_STRENGTHS",
    "HMIX_STRENGTHS_SLOPE",
    "POLICIES",
    "ClassStrengths",
    "ConfidenceSmoothing",
    "GlobalCurve",
    "HMixPerception",
    "Identity",
    "ImageTable",
    "LabelPairs",
    "LearnedPerception",
    "MixFeaturePerception",
    "MixJudgments",
    "Mixes",
    "OffEndpoints",
    "ParticipantCurves",
    "Perception",
    "SavedPerception",
    "Smoothed",
    "UniformSmoothing",
    "cross_validate",
    "to_mixes",
]

if not TYPE_CHECKING:  # a type checker that sees __getattr__ would accept any name
    __getattr__ = former_names(__name__, {"LookingPerception": "MixFeaturePerception"})

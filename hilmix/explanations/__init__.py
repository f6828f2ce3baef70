"""Explanation losses: inputs are marked that must not matter, one method per file; terms of several add up."""

from typing import TYPE_CHECKING

from hilmix.explanations.avg_ex import AvgEx
from hilmix.explanations.base import Explanation, TrainedModel, TrainingPass
from hilmix.explanations.cdep import CDEP
from hilmix.explanations.ibp_ex import IBPEx
from hilmix.explanations.pgd_ex import PGDEx
from hilmix.explanations.propagated import PropagatedExplanation
from hilmix.explanations.r4 import R4
from hilmix.explanations.rrr import RRR
from hilmix.moved import former_names

__all__ = [
    "CDEP",
    "R4",
    "RRR",
    "AvgEx",
    "Explanation",
    "IBPEx",
    "PGDEx",
    "PropagatedExplanation",
    "TrainedModel",
    "TrainingPass",
]

if not TYPE_CHECKING:  # a type checker that sees __getattr__ would accept any name
    __getattr__ = former_names(__name__, {"Propagated": "PropagatedExplanation"})

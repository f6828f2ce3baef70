"""Explanation losses: inputs are marked that must not matter, one method per file; terms of several add up."""

from hilmix.explanations.avg_ex import AvgEx
from hilmix.explanations.base import Explanation, TrainedModel, TrainingPass
from hilmix.explanations.cdep import CDEP
from hilmix.explanations.ibp_ex import IBPEx
from hilmix.explanations.pgd_ex import PGDEx
from hilmix.explanations.propagated import Propagated
from hilmix.explanations.r4 import R4
from hilmix.explanations.rrr import RRR

__all__ = ["CDEP", "R4", "RRR", "AvgEx", "Explanation", "IBPEx", "PGDEx", "Propagated", "TrainedModel", "TrainingPass"]

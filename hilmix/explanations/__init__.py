"""Explanation losses: people mark what must not matter, one method per file; terms of several add up."""

from hilmix.explanations.avg_ex import AvgEx
from hilmix.explanations.base import Explanation, TrainingPass
from hilmix.explanations.pgd_ex import PGDEx
from hilmix.explanations.rrr import RRR

__all__ = ["RRR", "AvgEx", "Explanation", "PGDEx", "TrainingPass"]

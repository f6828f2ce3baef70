"""Training dynamics of items and of single annotations: statistics of the predictions of a label over training.

Moments, not histories: :class:`DynamicsSums` holds 32 bytes per row whatever the number of epochs. A row is an item
with its label, or an annotation. Rows that were never visited are NaN in every score, as 0 would rank them worst.
"""

from hilmix.functional.dynamics.mixture import CleanMixture, clean_probability
from hilmix.functional.dynamics.scores import DynamicsScores, aum_cutoff, dynamics_scores, waum, waum_per_annotator
from hilmix.functional.dynamics.sums import (
    DynamicsSums,
    SampleStatistics,
    merge_dynamics,
    reduce_dynamics,
    sample_statistics,
)

__all__ = [
    "CleanMixture",
    "DynamicsScores",
    "DynamicsSums",
    "SampleStatistics",
    "aum_cutoff",
    "clean_probability",
    "dynamics_scores",
    "merge_dynamics",
    "reduce_dynamics",
    "sample_statistics",
    "waum",
    "waum_per_annotator",
]

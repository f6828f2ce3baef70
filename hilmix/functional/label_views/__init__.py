"""Evidence of neighbours, predictions, other annotators and training dynamics about labels, and its fusion."""

from hilmix.functional.label_views.dynamics import dynamics_log_odds
from hilmix.functional.label_views.fusion import Fusion, Verdict, fit_fusion, judge_labels, label_prior
from hilmix.functional.label_views.neighbors import NeighborLabels, neighbor_labels, rank_flags, vote_flags
from hilmix.functional.label_views.transition import Transition, fit_transition, right_shares

__all__ = [
    "Fusion",
    "NeighborLabels",
    "Transition",
    "Verdict",
    "dynamics_log_odds",
    "fit_fusion",
    "fit_transition",
    "judge_labels",
    "label_prior",
    "neighbor_labels",
    "rank_flags",
    "right_shares",
    "vote_flags",
]

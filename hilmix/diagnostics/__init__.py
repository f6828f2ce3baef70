"""Diagnostics as a library: clean predictions, calibration, tables of labels, items and annotators.

All but :func:`clean_pass` and :func:`clean_outputs` work on arrays and tables and need no Trainer.
"""

from typing import TYPE_CHECKING

from hilmix.diagnostics.annotators import annotator_table, choose_annotators, confusion_table, rank_annotators
from hilmix.diagnostics.audit import Audit, audit
from hilmix.diagnostics.calibration import calibration_metrics, fit_pass_temperature, reliability_panels
from hilmix.diagnostics.clean_pass import CleanPass, Collector
from hilmix.diagnostics.crowd import CrowdTables, agreement_table, crowdlab_tables
from hilmix.diagnostics.dynamics import DynamicsTracker
from hilmix.diagnostics.features import mahalanobis_outliers, nearest_neighbors
from hilmix.diagnostics.fold_temperature import fold_temperatures, temper
from hilmix.diagnostics.item_issues import ItemIssues, find_item_issues
from hilmix.diagnostics.label_errors import (
    LabelErrorRanking,
    choose_label_errors,
    detection_table,
    item_table,
    label_table,
)
from hilmix.diagnostics.label_health import LabelHealth, label_health, label_issue_table
from hilmix.diagnostics.label_issues import judge_pass, ranked_issues
from hilmix.diagnostics.label_scores import LABEL_SCORES, LabelEvidence, LabelScore, find_score
from hilmix.diagnostics.mask_sensitivity import MaskSensitivityTracker
from hilmix.diagnostics.out_of_fold import out_of_fold_scores
from hilmix.diagnostics.predictions import prediction_table
from hilmix.diagnostics.tracker import CalibrationTracker, Score
from hilmix.diagnostics.trainer_pass import clean_outputs, clean_pass
from hilmix.moved import former_names

__all__ = [
    "LABEL_SCORES",
    "Audit",
    "CalibrationTracker",
    "CleanPass",
    "Collector",
    "CrowdTables",
    "DynamicsTracker",
    "ItemIssues",
    "LabelErrorRanking",
    "LabelEvidence",
    "LabelHealth",
    "LabelScore",
    "MaskSensitivityTracker",
    "Score",
    "agreement_table",
    "annotator_table",
    "audit",
    "calibration_metrics",
    "choose_annotators",
    "choose_label_errors",
    "clean_outputs",
    "clean_pass",
    "confusion_table",
    "crowdlab_tables",
    "detection_table",
    "find_item_issues",
    "find_score",
    "fit_pass_temperature",
    "fold_temperatures",
    "item_table",
    "judge_pass",
    "label_health",
    "label_issue_table",
    "label_table",
    "mahalanobis_outliers",
    "nearest_neighbors",
    "out_of_fold_scores",
    "prediction_table",
    "rank_annotators",
    "ranked_issues",
    "reliability_panels",
    "temper",
]

if not TYPE_CHECKING:  # a type checker that sees __getattr__ would accept any name
    __getattr__ = former_names(
        __name__, {"SuspectRanking": "LabelErrorRanking", "choose_suspects": "choose_label_errors"}
    )

"""Diagnostics as a library: clean predictions, calibration, tables of labels, items and annotators."""

from hilmix.diagnostics.clean_pass import CleanPass, Collector, clean_outputs, clean_pass
from hilmix.diagnostics.tables import annotator_table, confusion_table, item_table, label_table, prediction_table
from hilmix.diagnostics.tracker import CalibrationTracker, Score

__all__ = [
    "CalibrationTracker",
    "CleanPass",
    "Collector",
    "Score",
    "annotator_table",
    "clean_outputs",
    "clean_pass",
    "confusion_table",
    "item_table",
    "label_table",
    "prediction_table",
]

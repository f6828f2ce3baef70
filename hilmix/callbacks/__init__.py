"""Lightning callbacks: diagnostics that end up in the run folder and, with a W&B logger, on the board."""

from hilmix.callbacks.annotators import AnnotatorReport
from hilmix.callbacks.calibration import CalibrationReport
from hilmix.callbacks.epoch_calibration import EpochCalibration
from hilmix.callbacks.epoch_curves import EpochCurves
from hilmix.callbacks.epoch_line import EpochLine
from hilmix.callbacks.finite_loss import FiniteLoss
from hilmix.callbacks.fit_report import FitReport
from hilmix.callbacks.label_errors import LabelErrors
from hilmix.callbacks.label_issues import LabelIssues
from hilmix.callbacks.last_checkpoint import LastCheckpoint
from hilmix.callbacks.mask_sensitivity import MaskSensitivity
from hilmix.callbacks.metrics_file import MetricsFile
from hilmix.callbacks.out_of_fold import OutOfFoldFile
from hilmix.callbacks.predictions import PredictionFile
from hilmix.callbacks.report_files import ReportFiles
from hilmix.callbacks.training_dynamics import TrainingDynamics

__all__ = [
    "AnnotatorReport",
    "CalibrationReport",
    "EpochCalibration",
    "EpochCurves",
    "EpochLine",
    "FiniteLoss",
    "FitReport",
    "LabelErrors",
    "LabelIssues",
    "LastCheckpoint",
    "MaskSensitivity",
    "MetricsFile",
    "OutOfFoldFile",
    "PredictionFile",
    "ReportFiles",
    "TrainingDynamics",
]

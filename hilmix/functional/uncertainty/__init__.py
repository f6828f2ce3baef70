"""Calibration beyond the binned error: fixed-size sums, human label distributions, calibrators, label sets."""

from hilmix.functional.uncertainty.brier import BrierParts, BrierSums, brier_decomposition, brier_sums
from hilmix.functional.uncertainty.calibrators import (
    CALIBRATORS,
    Calibrator,
    CalibratorName,
    calibrate,
    fit_calibrator,
)
from hilmix.functional.uncertainty.conformal import (
    SetScore,
    conformal_threshold,
    crowd_threshold,
    prediction_sets,
    set_scores,
)
from hilmix.functional.uncertainty.curves import (
    chance_calibration_error,
    risk_coverage_curve,
    smooth_reliability,
    wilson_interval,
)
from hilmix.functional.uncertainty.errors import average_calibration_error, debiased_calibration_error
from hilmix.functional.uncertainty.humans import (
    entropy_correlation,
    entropy_difference,
    jensen_shannon,
    panel_entropy,
    ranking_agreement,
    soft_hits,
    squared_distance,
    total_variation,
)
from hilmix.functional.uncertainty.ranked import (
    RISK_CELLS,
    equal_mass_bins,
    fine_sums,
    generalized_risk_area,
    risk_coverage_area,
    smooth_calibration_error,
)

__all__ = [
    "CALIBRATORS",
    "RISK_CELLS",
    "BrierParts",
    "BrierSums",
    "Calibrator",
    "CalibratorName",
    "SetScore",
    "average_calibration_error",
    "brier_decomposition",
    "brier_sums",
    "calibrate",
    "chance_calibration_error",
    "conformal_threshold",
    "crowd_threshold",
    "debiased_calibration_error",
    "entropy_correlation",
    "entropy_difference",
    "equal_mass_bins",
    "fine_sums",
    "fit_calibrator",
    "generalized_risk_area",
    "jensen_shannon",
    "panel_entropy",
    "prediction_sets",
    "ranking_agreement",
    "risk_coverage_area",
    "risk_coverage_curve",
    "set_scores",
    "smooth_calibration_error",
    "smooth_reliability",
    "soft_hits",
    "squared_distance",
    "total_variation",
    "wilson_interval",
]

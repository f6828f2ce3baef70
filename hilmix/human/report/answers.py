"""Tables of answers: by generating weight, as fitted curves, and in the midpoint tasks."""

import numpy as np
import pandas as pd

from hilmix.human.functional.association import clustered_slopes
from hilmix.human.functional.curve_fits import PARAMETERS, Criterion, CurveFit, FittedKind, fit_curve
from hilmix.human.report.frame import ALL, build_answer_frame, build_estimates, compute_means
from hilmix.human.study import MixStudy

CRITERIA: tuple[Criterion, ...] = ("likelihood", "squares")


def compute_weight_table(study: MixStudy, *, level: float = 0.95) -> pd.DataFrame:
    """Returns the means of answer, deviation, its absolute value, confidence and seconds, in all and by generating
    weight; the table of :func:`~hilmix.human.report.frame.compute_means`. Midpoint tasks have no generating weights.
    """
    quantities = ("answer", "deviation", "absolute_deviation", "confidence", "seconds")
    return compute_means(study, build_answer_frame(study), quantities, "generating_weight", level=level)


def fit_study_curve(study: MixStudy, kind: FittedKind, criterion: Criterion, *, level: float = 0.95) -> CurveFit:
    """Returns the relabelling curve of a study; pure images are left out where the curve is 0 and 1 there anyway.

    Raises:
        DataError: as :func:`~hilmix.human.functional.curve_fits.fit_curve`.
    """
    frame = build_answer_frame(study)
    if kind != "logistic":
        frame = frame[frame["generating_weight"].between(0, 1, inclusive="neither")]
    columns = (frame[name].to_numpy() for name in ("generating_weight", "answer", "participant"))
    return fit_curve(kind, *columns, criterion=criterion, level=level)


def compute_curve_table(
    study: MixStudy, kind: FittedKind, criterion: Criterion, *, level: float = 0.95
) -> pd.DataFrame:
    """Returns the two parameters of a relabelling curve, ``logit_a`` for example, the criterion as group.

    Raises:
        DataError: as :func:`fit_study_curve`.
    """
    fit = fit_study_curve(study, kind, criterion, level=level)
    names = [f"{kind}_{name}" for name in PARAMETERS[kind]]
    rows = [
        (name, criterion, *values, fit.answers)
        for name, *values in zip(names, fit.parameters, fit.low, fit.high, strict=True)
    ]
    return build_estimates(study, rows).assign(mean_squared_error=fit.mean_squared_error, participants=fit.participants)


def compute_midpoint_table(study: MixStudy, *, level: float = 0.95) -> pd.DataFrame:
    """Returns the mean weight of the midpoint (by start value where there is one), its distance from one half, and
    the share of answers of exactly one half; the table of :func:`~hilmix.human.report.frame.compute_means`.
    """
    frame = build_answer_frame(study)
    frame = frame.assign(exactly_half=np.isclose(frame["answer"], 0.5).astype(np.float64))
    by = None if study.judgments.start is None else "start"
    columns = {"answer": "midpoint", "absolute_deviation": "distance_from_half"}
    return compute_means(
        study, frame.rename(columns=columns), ("midpoint", "distance_from_half", "exactly_half"), by, level=level
    )


def compute_anchoring_table(study: MixStudy, *, level: float = 0.95) -> pd.DataFrame:
    """Returns how far the answer moves per unit of start value: 0, no effect of the start; 1, participants stay there.

    Raises:
        DataError: if all answers have one start value.
    """
    frame = build_answer_frame(study)
    design = np.column_stack([np.ones(len(frame)), frame["start"]])
    slopes = clustered_slopes(design, frame["answer"], frame["participant"], level=level)
    return build_estimates(study, [("anchoring", ALL, slopes.value[1], slopes.low[1], slopes.high[1], len(frame))])

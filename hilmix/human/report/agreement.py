"""Tables of the agreement between and within participants, and of how much of it simple rules explain."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.functional.agreement import ExplainedShare, explained_share, intraclass_correlation, repeat_reliability
from hilmix.functional.clusters import clustered_mean
from hilmix.human.functional.association import clustered_correlation
from hilmix.human.functional.curve_fits import CurveFit
from hilmix.human.report.answers import fit_study_curve
from hilmix.human.report.classes import build_pair_frame, fit_strengths
from hilmix.human.report.frame import ALL, build_answer_frame, build_estimates, drop_repeated_answers
from hilmix.human.study import MixStudy

FloatArray = NDArray[np.float64]


def compute_agreement_table(study: MixStudy, frame: pd.DataFrame, measure: str, *, level: float = 0.95) -> pd.DataFrame:
    """Returns ``icc_single`` and ``icc_average`` of a measure (the group), and the effective ``answers_per_stimulus``.

    Args:
        study: names the rows.
        frame: one row per judgment with ``participant``, ``stimulus``, ``repeat`` and ``trial``, repeats included or
            not; of each participant and stimulus the first counts.
        measure: a column.
        level: of the intervals.

    Raises:
        DataError: as :func:`~hilmix.functional.agreement.intraclass_correlation`.
    """
    once = drop_repeated_answers(frame[~frame["repeat"] & frame[measure].notna()])
    found = intraclass_correlation(
        once[measure], once["stimulus"].to_numpy(), num_groups=len(study.stimuli), level=level
    )
    rows = [
        ("icc_single", measure, found.single, found.low, found.high, len(once)),
        ("icc_average", measure, found.average, found.average_low, found.average_high, len(once)),
        ("answers_per_stimulus", measure, found.k, np.nan, np.nan, len(once)),
    ]
    return build_estimates(study, rows)


def find_repeat_pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the trials flagged as shown once more beside the same participant's first answer: each measure twice, as
    ``<measure>`` and ``<measure>_again``."""
    first = drop_repeated_answers(frame[~frame["repeat"]])
    return first.merge(frame[frame["repeat"]], on=["participant", "stimulus"], suffixes=("", "_again"))


def compute_repeat_table(study: MixStudy, frame: pd.DataFrame, measure: str, *, level: float = 0.95) -> pd.DataFrame:
    """Returns ``correlation``, ``concordance``, ``mean_absolute_difference`` and the share of ``equal`` answers to
    trials shown once more; the measure is the group, ``n`` counts pairs. Empty without repeats.
    """
    pairs = find_repeat_pairs(frame.dropna(subset=[measure]))
    if pairs.empty:
        return build_estimates(study, [])
    first, again, participant = pairs[measure], pairs[f"{measure}_again"], pairs["participant"]
    correlation = clustered_correlation(first, again, participant, level=level)
    # isclose: equal answers may differ by float noise of sliders and key steps.
    same = clustered_mean(np.isclose(first, again), participant, level=level)
    apart = clustered_mean(np.abs(first - again), participant, level=level)
    concordance = repeat_reliability(first, again).concordance
    rows = [
        ("correlation", measure, *correlation, len(pairs)),
        ("concordance", measure, concordance, np.nan, np.nan, len(pairs)),
        ("mean_absolute_difference", measure, apart.mean, apart.low, apart.high, len(pairs)),
        ("equal", measure, same.mean, same.low, same.high, len(pairs)),
    ]
    return build_estimates(study, rows)


def compute_explained_table(study: MixStudy, predictor: str, *, level: float = 0.95) -> pd.DataFrame:
    """Returns the ``explained_share`` of the mean squared deviation that a rule removes, fitted on the same answers,
    and its ``share_of_ceiling``; the rule is the group.

    Args:
        study: with deviations.
        predictor: a name in :data:`PREDICTORS`.
        level: of the intervals.

    Raises:
        DataError: where the rule cannot be fitted, or no stimulus has two answers.
    """
    frame = drop_repeated_answers(build_answer_frame(study))
    found = _explained(study, frame, PREDICTORS[predictor](study, frame), level)
    rows = [
        ("explained_share", predictor, found.share, found.low, found.high, len(frame)),
        ("share_of_ceiling", predictor, found.of_ceiling, np.nan, np.nan, len(frame)),
    ]
    return build_estimates(study, rows)


def compute_ceiling_table(study: MixStudy) -> pd.DataFrame:
    """Returns the ``noise_ceiling``: the share of the mean squared deviation that answers to the same stimulus have in
    common, which no rule that sees the stimulus only can exceed.

    Raises:
        DataError: where no stimulus has two answers.
    """
    frame = drop_repeated_answers(build_answer_frame(study))
    # The baseline: no deviation, the weight itself.
    found = _explained(study, frame, np.zeros(len(frame)), 0.95)
    return build_estimates(study, [("noise_ceiling", ALL, found.ceiling, np.nan, np.nan, len(frame))])


def _explained(study: MixStudy, frame: pd.DataFrame, expected: FloatArray, level: float) -> ExplainedShare:
    return explained_share(
        frame["deviation"],
        expected,
        np.zeros(len(frame)),
        participant=frame["participant"],
        group=frame["stimulus"].to_numpy(),
        num_groups=len(study.stimuli),
        level=level,
    )


def _common_mean(study: MixStudy, frame: pd.DataFrame) -> FloatArray:
    return np.full(len(frame), frame["deviation"].mean())


def _logit_curve(study: MixStudy, frame: pd.DataFrame) -> FloatArray:
    return _curve_deviations(fit_study_curve(study, "logit", "likelihood"), frame)


def _logistic_curve(study: MixStudy, frame: pd.DataFrame) -> FloatArray:
    return _curve_deviations(fit_study_curve(study, "logistic", "squares"), frame)


def _curve_deviations(curve: CurveFit, frame: pd.DataFrame) -> FloatArray:
    deviations: FloatArray = curve(frame["generating_weight"]) - frame["generating_weight"].to_numpy()
    return deviations


def _weight_means(study: MixStudy, frame: pd.DataFrame) -> FloatArray:
    means: FloatArray = frame.groupby("generating_weight")["deviation"].transform("mean").to_numpy()
    return means


def _strengths(study: MixStudy, frame: pd.DataFrame) -> FloatArray:
    used, strengths = fit_strengths(study)
    expected, mixed = np.zeros(len(frame)), (frame["label1"] != frame["label2"]).to_numpy()
    # Strengths are by place among the classes that were mixed, which are sorted.
    expected[mixed] = strengths(*(np.searchsorted(used, frame[name][mixed]) for name in ("label1", "label2")))
    return expected


def _pairs(study: MixStudy, frame: pd.DataFrame) -> FloatArray:
    pairs = build_pair_frame(study, frame)
    # Mixes within a class are in no pair: no deviation is expected of them.
    deviations: FloatArray = (pairs["sign"] * pairs["shrunk"]).reindex(frame.index, fill_value=0.0).to_numpy()
    return deviations


PREDICTORS: Mapping[str, Callable[[MixStudy, pd.DataFrame], FloatArray]] = {
    "common_mean": _common_mean,
    "logit_curve": _logit_curve,
    "logistic_curve": _logistic_curve,
    "weight_means": _weight_means,
    "class_strengths": _strengths,
    "label_pairs": _pairs,
}
"""Rules that see the generating weight, or the two classes, but not the images."""
WEIGHT_PREDICTORS = ("logit_curve", "logistic_curve", "weight_means")
"""Those that need generating weights."""

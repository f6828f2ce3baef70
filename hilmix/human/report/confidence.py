"""Correlations of confidence with the one-sidedness of the answer and its deviation from the weight."""

import numpy as np
import pandas as pd

from hilmix.functional.clusters import clustered_mean
from hilmix.human.functional.association import clustered_correlation, clustered_slopes, within_groups
from hilmix.human.report.frame import COLUMNS, build_answer_frame, build_estimates
from hilmix.human.study import MixStudy

MEASURES = ("one_sidedness", "absolute_deviation")
"""``|2h - 1|`` and ``|h - lambda|``, h the answer and lambda the generating weight."""
BINS = np.array([0, 0.2, 0.4, 0.6, 0.8, 1.0])


def build_confidence_frame(study: MixStudy) -> pd.DataFrame:
    """Returns the answers with ``one_sidedness``, and ``generating_one_sidedness`` of the weight that was shown."""
    frame = build_answer_frame(study)
    return frame.assign(
        one_sidedness=np.abs(2 * frame["answer"] - 1),
        generating_one_sidedness=np.abs(2 * frame["generating_weight"] - 1),
    )


def compute_confidence_table(study: MixStudy, *, level: float = 0.95) -> pd.DataFrame:
    """Returns ``correlation`` of confidence with each measure, the same ``within_participants`` (less their
    own means), and ``joint_slope`` of confidence, within participants, on both :data:`MEASURES` at once.

    Raises:
        DataError: where the measures do not vary apart from each other.
    """
    frame = build_confidence_frame(study)
    participant, confidence = frame["participant"], frame["confidence"]
    own = {
        name: within_groups(frame[name], participant) for name in ("confidence", "generating_one_sidedness", *MEASURES)
    }
    rows = []
    for measure in (*MEASURES, "generating_one_sidedness"):
        overall = clustered_correlation(confidence, frame[measure], participant, level=level)
        within = clustered_correlation(own["confidence"], own[measure], participant, level=level)
        rows += [("correlation", measure, *overall, len(frame)), ("within_participants", measure, *within, len(frame))]
    slopes = clustered_slopes(np.column_stack([own[m] for m in MEASURES]), own["confidence"], participant, level=level)
    rows += [("joint_slope", measure, *values, len(frame)) for measure, *values in zip(MEASURES, *slopes, strict=True)]
    return build_estimates(study, rows)


def confidence_bins(study: MixStudy, *, level: float = 0.95) -> pd.DataFrame:
    """Returns the mean ``confidence`` in five bins of each measure, with their ends as ``bin_low`` and ``bin_high``;
    an upper end belongs to the next bin, except the last. Empty bins are left out.
    """
    frame = build_confidence_frame(study)
    rows = []
    for measure in MEASURES:
        # Rounded: |2h - 1| of .6 falls just below .2 and belongs above it. Clipped: 1 belongs to the last bin.
        place = np.clip(np.searchsorted(BINS, frame[measure].round(9), side="right") - 1, 0, len(BINS) - 2)
        for k, part in frame.groupby(place):
            found = clustered_mean(part["confidence"], part["participant"], level=level)
            rows.append(
                (
                    study.task,
                    "confidence",
                    f"{measure} {BINS[k]:g}-{BINS[k + 1]:g}",
                    found.mean,
                    found.low,
                    found.high,
                    found.answers,
                    measure,
                    BINS[k],
                    BINS[k + 1],
                    found.clusters,
                )
            )
    return pd.DataFrame(rows, columns=[*COLUMNS, "measure", "bin_low", "bin_high", "participants"])

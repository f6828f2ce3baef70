"""A study as one table of answers, and the one form that all tables of estimates have."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hilmix.functional.clusters import clustered_mean
from hilmix.human.study import MIDPOINT_TASKS, MixStudy

COLUMNS = ("study", "quantity", "group", "value", "low", "high", "n")
"""Columns of every table of estimates; ``n`` counts answers. Some have more columns after these."""
ALL = "all"
"""The group that holds every answer."""


def build_answer_frame(study: MixStudy, *, repeats: bool = False) -> pd.DataFrame:
    """Returns one row per judgment, participants, stimuli and classes as codes.

    Columns: ``participant``, ``stimulus``, ``label1``, ``label2``, ``generating_weight``, ``answer`` (as weight of
    image 1), ``confidence``, ``seconds``, ``repeat``, ``trial``, ``start`` (NaN outside construct), ``deviation`` (how
    much further towards image 1 the mix was seen than it was mixed) and ``absolute_deviation``. The deviation is the
    answer less the generating weight; in the midpoint tasks, where participants look for the weight that shows half of
    each, it is one half less the answer. What a task does not ask for is NaN.

    Args:
        study: any.
        repeats: whether trials shown once more stay in.
    """
    judgments, shown = (study if repeats else study.without_repeats()).judgments, study.stimuli
    at = judgments.stimulus
    deviation = 0.5 - judgments.weight if study.task in MIDPOINT_TASKS else judgments.weight - shown.weight[at]
    return pd.DataFrame(
        {
            "participant": judgments.participant,
            "stimulus": at,
            "label1": shown.label1[at],
            "label2": shown.label2[at],
            "generating_weight": shown.weight[at],
            "answer": judgments.weight,
            "confidence": judgments.confidence,
            "seconds": judgments.seconds.astype(np.float64),
            "repeat": judgments.repeat,
            "trial": judgments.trial,
            "start": np.nan if judgments.start is None else judgments.start,
            "deviation": deviation,
            "absolute_deviation": np.abs(deviation),
        }
    )


def drop_repeated_answers(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the first answer of each participant to each stimulus, flagged as repeat or not.

    A second answer of the same participant says nothing about agreement between participants.
    """
    # The first by order of trials, then back into the order of the rows.
    return frame.sort_values("trial", kind="stable").drop_duplicates(["participant", "stimulus"]).sort_index()


def compute_means(
    study: MixStudy, frame: pd.DataFrame, quantities: Sequence[str], by: str | None = None, *, level: float
) -> pd.DataFrame:
    """Returns means with participant-clustered intervals, over all rows and within the groups of a column.

    Args:
        study: names the rows.
        frame: with ``participant``; missing values are left out.
        quantities: columns; those without any value are left out.
        by: column of numbers that groups.
        level: of the intervals.

    Returns:
        :data:`COLUMNS`, ``sd`` of single answers and number of ``participants``.
    """
    rows: list[dict[str, Any]] = []
    for quantity in quantities:
        there = frame[frame[quantity].notna()]
        groups = [(ALL, there), *((f"{key:g}", part) for key, part in (there.groupby(by) if by else []))]
        for group, part in groups if len(there) else []:
            found = clustered_mean(part[quantity], part["participant"], level=level)
            rows.append(
                {
                    "study": study.task,
                    "quantity": quantity,
                    "group": group,
                    "value": found.mean,
                    "low": found.low,
                    "high": found.high,
                    "n": found.answers,
                    "sd": found.sd,
                    "participants": found.clusters,
                }
            )
    return pd.DataFrame(rows, columns=[*COLUMNS, "sd", "participants"])


def build_estimates(study: MixStudy, rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """Returns a table of :data:`COLUMNS` from rows that leave out the study."""
    return pd.DataFrame([(study.task, *row) for row in rows], columns=list(COLUMNS))

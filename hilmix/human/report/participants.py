"""Counts and flags of participants and their sessions. Every trial counts here, those shown once more included."""

import numpy as np
import pandas as pd

from hilmix.human.report.frame import build_answer_frame
from hilmix.human.study import MixStudy

STRAIGHT_LINER = 0.8
"""Share of a participant's trials with one and the same answer from which the flag ``straight_liner`` is set."""
UNTOUCHED = 0.2
"""Share of a participant's trials that look untouched from which the flag ``untouched`` is set."""
FAST = 1 / 3
"""Median seconds per trial, as part of the study's median, below which the flag ``fast`` is set."""
SLIDER_START = 0.5
"""Start of both sliders of the infer task; its page takes them as an answer even if they were not moved."""


def compute_count_table(study: MixStudy) -> pd.DataFrame:
    """Returns one row: how many participants, batches, stimuli, judgments, repeats, and so on.

    ``judgments`` do not contain the ``repeats``. ``shown_twice`` counts judgments of a stimulus that the participant
    had judged before though nothing flags a repeat.
    """
    frame = build_answer_frame(study, repeats=True)
    once = frame[~frame["repeat"]]
    per_participant = once.groupby("participant").size()
    seen = once.drop_duplicates(["participant", "stimulus"]).groupby("stimulus").size()
    participants = compute_participant_table(study)
    return pd.DataFrame(
        [
            {
                "study": study.task,
                "participants": len(per_participant),
                "batches": int(pd.Series(study.judgments.batch).nunique()),
                "stimuli": len(seen),
                "judgments": len(once),
                "repeats": int(frame["repeat"].sum()),
                "shown_twice": len(once) - int(seen.sum()),
                "min_judgments_per_participant": int(per_participant.min()),
                "max_judgments_per_participant": int(per_participant.max()),
                "min_participants_per_stimulus": int(seen.min()),
                "mean_participants_per_stimulus": float(seen.mean()),
                "max_participants_per_stimulus": int(seen.max()),
                "median_seconds": float(once["seconds"].median()),
                "untouched_trials": int(participants["untouched_trials"].sum()),
                "flagged_participants": int((participants["flags"] != "").sum()),
            }
        ]
    )


def compute_participant_table(study: MixStudy) -> pd.DataFrame:
    """Returns one row per participant: trials, repeats, the commonest answer and its share, trials that look untouched,
    median seconds, mean deviation and confidence, and ``flags`` joined by spaces, empty for most.

    A flag is a hint for a reader. No table leaves a participant out because of one.
    """
    frame = build_answer_frame(study, repeats=True).assign(
        answer_text=_answer_texts(study), untouched=_untouched(study)
    )
    by_participant = frame.groupby("participant")
    counts = frame.groupby(["participant", "answer_text"]).size().rename("same").reset_index()
    common = counts.sort_values("same", ascending=False, kind="stable").drop_duplicates("participant")
    common = common.set_index("participant").sort_index()
    trials = by_participant.size()
    table = pd.DataFrame(
        {
            "study": study.task,
            "participant": [study.participants[k] for k in trials.index],
            "trials": trials,
            "repeats": by_participant["repeat"].sum(),
            "commonest_answer": common["answer_text"],
            "commonest_trials": common["same"],
            "commonest_share": common["same"] / trials,
            "untouched_trials": by_participant["untouched"].sum(),
            "median_seconds": by_participant["seconds"].median(),
            "mean_deviation": by_participant["deviation"].mean(),
            "mean_confidence": by_participant["confidence"].mean(),
        }
    )
    typical = table["median_seconds"].median()
    flags = pd.DataFrame(
        {
            "straight_liner": (table["commonest_share"] >= STRAIGHT_LINER) & (trials > 1),
            "untouched": table["untouched_trials"] >= UNTOUCHED * trials,
            "fast": table["median_seconds"] < FAST * typical,
        }
    )
    table["flags"] = [" ".join(flags.columns[row]) for row in flags.to_numpy()]
    return table.reset_index(drop=True)


def _answer_texts(study: MixStudy) -> np.ndarray:
    """(L,) text of each answer; without the confidence and, in the categorical task, all but the top class."""
    answers = study.judgments.answers
    if answers is not None:
        return np.asarray(study.classes, dtype=object)[answers.top]
    return np.array([f"{weight:g}" for weight in study.judgments.weight], dtype=object)


def _untouched(study: MixStudy) -> np.ndarray:
    """(L,) bool, answers that equal what the page showed first; those of select and categorical show nothing."""
    judgments = study.judgments
    if judgments.start is not None:
        return np.isclose(judgments.weight, judgments.start)
    return np.isclose(judgments.weight, SLIDER_START) & np.isclose(judgments.confidence, SLIDER_START)

"""The native export: judgments, participants and stimuli as Parquet, of one schema whatever the study asks.

Neither the codes of participants nor what they wrote in the survey is in there.
"""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from hilmix.human.elicit.answers import quality
from hilmix.human.elicit.answers.read import Judgment, StudyAnswers, format_participant_name
from hilmix.human.elicit.design.manifest import Manifest
from hilmix.human.elicit.store.rows import Participant

_WHO = [("participant", pa.string()), ("task", pa.string()), ("batch", pa.int64())]
_SHOWN = [
    ("item1", pa.string()),
    ("item2", pa.string()),
    ("id1", pa.int64()),
    ("id2", pa.int64()),
    ("label1", pa.string()),
    ("label2", pa.string()),
    ("generating_weight", pa.float64()),
]
# Schemas are spelled out: inferred ones would turn a column that no task of the study fills into type null.
JUDGMENTS = pa.schema(
    [
        *_WHO,
        ("place", pa.int64()),
        ("trial", pa.int64()),
        ("kind", pa.string()),
        ("repeat_of", pa.int64()),
        ("start", pa.float64()),
        ("stimulus", pa.int64()),
        *_SHOWN,
        ("weight", pa.float64()),
        ("position", pa.int64()),
        ("confidence", pa.float64()),
        ("top", pa.string()),
        ("top_percent", pa.float64()),
        ("second", pa.string()),
        ("second_percent", pa.float64()),
        ("impossible", pa.list_(pa.string())),
        ("label", pa.string()),
        ("seconds", pa.float64()),
        ("received", pa.float64()),
        ("touched", pa.string()),
        ("times", pa.string()),
    ]
)
"""One row per answer, those to practice and catch trials too. Columns that a task does not ask for are null."""
PARTICIPANTS = pa.schema(
    [
        *_WHO,
        ("phase", pa.string()),
        ("joined", pa.float64()),
        ("consented", pa.float64()),
        ("failed_checks", pa.int64()),
        ("answers", pa.int64()),
        ("clarity", pa.int64()),
        ("difficulty", pa.int64()),
        ("flags", pa.list_(pa.string())),
        ("excluded", pa.string()),
    ]
)
"""One row per participant, excluded ones too: ``excluded`` is the rule and its numbers."""
STIMULI = pa.schema(
    [
        ("stimulus", pa.int64()),
        ("task", pa.string()),
        *_SHOWN,
        ("weights", pa.list_(pa.float64())),
        ("images", pa.list_(pa.string())),
    ]
)
"""One row per stimulus of the manifest."""


def build_tables(collected: StudyAnswers, *, with_excluded: bool) -> dict[str, pa.Table]:
    """Returns the three tables by name.

    Args:
        collected: the study's answers.
        with_excluded: judgments of participants whom the rules of quality exclude, too.
    """
    manifest = collected.manifest
    given = [one for one in collected.judgments if with_excluded or one.participant.excluded is None]
    return {
        "judgments": pa.Table.from_pylist([_judgment(manifest, one) for one in given], JUDGMENTS),
        "participants": pa.Table.from_pylist(_participants(collected), PARTICIPANTS),
        "stimuli": pa.Table.from_pylist(
            [
                _shown(manifest, shown.id) | {"weights": shown.weights, "images": shown.images}
                for shown in manifest.stimuli
            ],
            STIMULI,
        ),
    }


def build_answer_table(collected: StudyAnswers) -> pd.DataFrame:
    """Returns one row per answer, of excluded participants too, with the reason in ``excluded``; lists as text."""
    table = build_tables(collected, with_excluded=True)["judgments"].to_pandas()
    excluded = {format_participant_name(one.number): one.excluded for one in collected.participants}
    table["excluded"] = table["participant"].map(excluded)
    table["impossible"] = [None if one is None else ", ".join(one) for one in table["impossible"]]
    return table


def _judgment(manifest: Manifest, one: Judgment) -> dict[str, Any]:
    classes, answer = manifest.dataset.classes, dict(one.row.answer)
    for name in ("top", "second", "label"):
        if answer.get(name) is not None:
            answer[name] = classes[answer[name]]
    if "impossible" in answer:
        answer["impossible"] = [classes[label] for label in answer["impossible"]]
    return (
        answer
        | _shown(manifest, one.shown.id)
        | {
            "participant": format_participant_name(one.participant.number),
            "batch": one.batch,
            "place": one.place,
            "trial": one.trial.id,
            "kind": one.trial.kind,
            "repeat_of": one.trial.of,
            "start": one.trial.start,
            "seconds": one.row.seconds,
            "received": one.row.received,
            # As text: the names of controls differ between tasks, and a struct column would unite them.
            "touched": json.dumps(one.row.touched),
            "times": json.dumps(one.row.times),
        }
    )


def _shown(manifest: Manifest, stimulus: int) -> dict[str, Any]:
    shown, classes = manifest.stimuli[stimulus], manifest.dataset.classes
    return {
        "stimulus": shown.id,
        "task": shown.task,
        "item1": shown.item1,
        "item2": shown.item2,
        "id1": shown.id1,
        "id2": shown.id2,
        "label1": classes[shown.label1],
        "label2": classes[shown.label2],
        "generating_weight": shown.weight,
    }


def _participants(collected: StudyAnswers) -> list[dict[str, Any]]:
    answers: dict[int, list[Judgment]] = {participant.number: [] for participant in collected.participants}
    for one in collected.judgments:
        answers[one.participant.number].append(one)
    surveys = {survey.participant: survey for survey in collected.surveys}
    out = []
    for participant in collected.participants:
        survey = surveys.get(participant.number)
        out.append(
            {
                "participant": format_participant_name(participant.number),
                "task": None if participant.batch is None else collected.manifest.batches[participant.batch].task,
                "batch": participant.batch,
                "phase": participant.phase,
                "joined": participant.created,
                "consented": participant.consented,
                "failed_checks": participant.attempts,
                "answers": len(answers[participant.number]),
                "clarity": None if survey is None else survey.clarity,
                "difficulty": None if survey is None else survey.difficulty,
                "flags": _flags(collected.manifest, participant, answers[participant.number]),
                "excluded": participant.excluded,
            }
        )
    return out


def _flags(manifest: Manifest, participant: Participant, answers: Sequence[Judgment]) -> list[str]:
    judged = [
        quality.AnsweredTrial(one.trial, one.shown, one.row) for one in answers if one.trial.id in participant.order
    ]
    found = quality.find_flags(judged, minimum_seconds=manifest.settings.minimum_seconds)
    return [f"{flag.rule}: {flag.detail}" for flag in found]

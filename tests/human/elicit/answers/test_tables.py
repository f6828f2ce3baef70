"""The native tables: every answer, no code, no free text."""

import json

import pytest

from hilmix.human.elicit.answers.read import collect_answers
from hilmix.human.elicit.answers.tables import JUDGMENTS, build_tables
from hilmix.human.elicit.design.manifest import TASKS
from hilmix.human.elicit.store.rows import Rows
from tests.human.elicit.answers.test_read import KINDS, SURVEY, exclude, session
from tests.human.elicit.studies import CLASSES, make_study, post


@pytest.mark.parametrize("task", TASKS)
def test_a_row_per_answer(task, tmp_path, serve):
    served = serve(make_study(tmp_path / "s", task, target_judgments=1))
    _, shown = session(served.client)
    rows = build_tables(collect_answers(served.folder), with_excluded=False)["judgments"].to_pylist()
    assert [(row["trial"], row["kind"], row["place"]) for row in rows] == [
        (trial, KINDS[trial], place) for place, trial in enumerate(shown)
    ]
    last = rows[-1]
    fixed = {
        "participant": "p001",
        "task": task,
        "batch": 0,
        "repeat_of": 1,
        "seconds": 7.5,
        "received": 1000.0,
        "item1": "two",
        "item2": "five",
        "id1": 2,
        "id2": 5,
        "label1": "dog",
        "label2": "horse",
    }
    answers = {
        "construct": {"weight": 0.5, "start": 0.0},
        "select": {"weight": 0.5},
        "infer": {"weight": 0.8, "confidence": 0.25},
        "categorical": {
            "top": "dog",
            "top_percent": 60,
            "second": "horse",
            "second_percent": 12.5,
            "impossible": ["cat"],
        },
        "vote": {"label": "dog", "confidence": 1},
    }
    assert {name: last[name] for name in fixed | answers[task]} == fixed | answers[task]
    assert last["generating_weight"] == (None if task in ("construct", "select") else 0.5)
    assert (json.loads(last["touched"]), json.loads(last["times"])) == ({"mix": True}, {"mix": 1.25})
    everything = {name for columns in answers.values() for name in columns}
    silent = everything - set(answers[task])
    assert all(last[name] is None for name in silent)


def test_participants_are_all_there_and_their_secrets_are_not(served):
    first, _ = session(served.client)
    post(served.client, f"{first}/survey", SURVEY)
    session(served.client, stop=2)
    exclude(served, 2, "fast: 2 of 2")
    collected = collect_answers(served.folder)
    found = build_tables(collected, with_excluded=False)
    one, two = found["participants"].to_pylist()
    assert (one["participant"], one["phase"], one["answers"], one["clarity"], one["difficulty"]) == (
        "p001",
        "done",
        7,
        1,
        None,
    )
    assert (two["participant"], two["phase"], two["excluded"], two["clarity"]) == (
        "p002",
        "trials",
        "fast: 2 of 2",
        None,
    )
    assert one["flags"] == [], "0.8 for 1 is near enough"
    assert found["judgments"].num_rows == 7
    assert build_tables(collected, with_excluded=True)["judgments"].num_rows == 9
    text = str([table.to_pylist() for table in found.values()])
    for secret in ("secret", *(person.code for person in served.rows(Rows.read_participants))):
        assert secret not in text
    assert found["judgments"].schema == JUDGMENTS


def test_stimuli_are_those_of_the_manifest(tmp_path, serve):
    served = serve(make_study(tmp_path / "s", "select"))
    session(served.client)
    collected = collect_answers(served.folder)
    rows = build_tables(collected, with_excluded=False)["stimuli"].to_pylist()
    assert [row["stimulus"] for row in rows] == list(range(len(collected.manifest.stimuli)))
    assert [tuple(row["images"]) for row in rows] == [shown.images for shown in collected.manifest.stimuli]
    assert {row["label1"] for row in rows} <= set(CLASSES)

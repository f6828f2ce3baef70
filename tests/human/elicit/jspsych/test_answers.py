"""What the jsPsych pages save, made here by hand (test_jspsych_run.py makes it in a browser), back in the study."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hilmix.cli import main
from hilmix.errors import DataError
from hilmix.human.elicit.answers.read import collect_answers, read_answers, read_votes
from hilmix.human.elicit.design.manifest import Task, hash_manifest, read_manifest
from hilmix.human.elicit.jspsych.answers import import_answers
from hilmix.human.elicit.store.database import read_rows
from hilmix.human.elicit.store.rows import Rows
from tests.human.elicit.studies import at_trials, make_study, post, submission

STARTED = 1.7e9
ANSWERS: dict[Task, dict[str, Any]] = {
    "construct": {"weight": 0.75},
    "select": {"weight": 0.5, "position": 1},
    "infer": {"weight": 0.9, "confidence": 0.25},
    "categorical": {"top": 1, "top_percent": 62.5, "impossible": [0], "second": None, "second_percent": None},
    "vote": {"label": 1, "confidence": 1},
}
CATCH: dict[Task, dict[str, Any]] = {"construct": {"weight": 0.5}}


def saved(
    folder: Path, who: str = "abc123", batch: int = 0, *, trials: int = 99, fails: int = 0
) -> list[dict[str, Any]]:
    """The rows of one participant, as jsPsych 8.3 saves them, up to some trial."""
    chosen = read_manifest(folder).batches[batch]
    shared = {
        "participant": who,
        "batch": batch,
        "task": chosen.task,
        "manifest": hash_manifest(folder),
        "started": STARTED,
        "plugin_version": "1.0.0",
    }
    rows: list[dict[str, Any]] = [{"trial_type": "hilmix-text"}]
    rows += [{"trial_type": "hilmix-text", "right": False}] * fails + [
        {"trial_type": "hilmix-text", "right": trials > 0}
    ]
    for trial in chosen.trials[:trials]:
        catch = CATCH.get(chosen.task, {}) if trial.kind == "catch" else {}
        answer = {"task": chosen.task} | ANSWERS[chosen.task] | catch
        rows.append(
            {
                "trial_type": "hilmix-trial",
                "kind": trial.kind,
                "trial": trial.id,
                "answer": answer,
                "seconds": 2.5,
                "touched": {"mix": 1.5},
            }
        )
    return [row | shared | {"trial_index": i, "time_elapsed": 1000 * i} for i, row in enumerate(rows)]


def written(path: Path, *people: Any) -> Path:
    path.write_text("\n".join(json.dumps(rows) for rows in people) + "\n")
    return path


@pytest.mark.parametrize("task", ANSWERS)
def test_answers_come_back(task, tmp_path):
    study = make_study(tmp_path / "s", task)
    assert import_answers(study, [written(tmp_path / "a", saved(study, fails=1))]) == {"abc123": 7}
    collected = collect_answers(study)
    (person,) = collected.participants
    assert (person.phase, person.attempts, person.excluded, person.consented) == ("done", 1, None, STARTED)
    assert [one.trial.id for one in collected.judgments] == list(person.order) == list(range(7))
    first = collected.judgments[0].row
    assert first.answer == {"task": task} | ANSWERS[task]
    assert (first.seconds, first.times, first.received) == (2.5, {"mix": 1.5}, STARTED + 3)
    assert first.touched["mix"]
    assert all(first.touched[name] == (name == "mix") for name in first.touched)
    if task == "vote":
        assert read_votes(study).label.tolist() == [1, 1, 1]
    else:
        assert len(read_answers(study)[task].without_repeats().judgments.participant) == 3


def test_many_people_at_once_into_a_study_that_is_served(served, tmp_path):
    """One in each line and file; rules of quality exclude them as others; those who failed the check gave nothing."""
    me, state = at_trials(served.client)
    post(served.client, f"{me}/answers", submission(state))
    careless = [row | {"seconds": 0.1} if "trial" in row else row for row in saved(served.folder, "careless", 1)]
    lines = written(tmp_path / "lines", saved(served.folder, "one"), saved(served.folder, "failed", trials=0, fails=1))
    files = [
        lines,
        written(tmp_path / "file", careless),
        written(tmp_path / "more", saved(served.folder, "left", trials=3)),
    ]
    assert import_answers(served.folder, files) == {"one": 7, "failed": 0, "careless": 7, "left": 3}
    people = served.rows(Rows.read_participants)
    assert [one.phase for one in people] == ["trials", "done", "failed_check", "done", "trials"]
    assert [one.attempts for one in people] == [0, 0, 2, 0, 0]
    assert [one.excluded for one in people] == [None] * 3 + ["fast: 6 of 6 trials took less than 0.3 s", None]
    assert len(read_answers(served.folder)["infer"].participants) == 2, "the excluded and the unready are left out"
    reply = served.client.get(f"/api/p/{people[1].code}")
    assert reply.status_code == 404, "no page leads to them"


def test_the_summary_of_h_mix_takes_it(tmp_path, capsys):
    study = make_study(tmp_path / "s", batches=1, mains=6)
    people = [saved(study, f"p{i}") for i in range(4)]
    for rows, weight in zip(people, (0.3, 0.4, 0.6, 0.7), strict=True):
        for row in rows[2:]:
            row["answer"] = row["answer"] | {"weight": 1.0 if row["kind"] == "catch" else weight}
    file = written(tmp_path / "a.json", *people)
    assert main(["elicit", "import", str(study), str(file)]) == 0
    assert "4 participants taken into" in (printed := capsys.readouterr().out)
    assert "with 40 answers" in printed
    assert main(["hmix", "summary", str(study), "-o", str(tmp_path / "out")]) == 0
    assert main(["elicit", "import", str(study), str(file)]) == 2
    assert "participant p0 is in" in capsys.readouterr().err


Change = Callable[[list[dict[str, Any]]], Any]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: {}, "expected a list of rows in each line"),
        (lambda rows: [], "expected a list of rows in each line"),
        (lambda rows: [1], "expected a list of rows in each line"),
        (lambda rows: [{**row, "manifest": "0" * 64} for row in rows], "are to another study.json"),
        (lambda rows: [{**row, "batch": 2} for row in rows], "are to another study.json"),
        (lambda rows: [*rows, {**rows[0], "participant": "other"}], "rows of several participants"),
        (lambda rows: [*rows, rows[-1]], "a trial was answered twice"),
        (lambda rows: [{**rows[-1], "trial": 7}], "trial 7 is not in batch 0"),
        (lambda rows: [{**rows[-1], "answer": {"task": "vote", "label": 0, "confidence": 1}}], "is of task vote"),
        (lambda rows: [{**rows[-1], "answer": {"task": "infer", "weight": 2, "confidence": 1}}], "row 0: answer.infer"),
        (lambda rows: [{**rows[-1], "seconds": "2"}], "row 0: seconds is refused: Input should be a valid number"),
        (lambda rows: [{**rows[0], "participant": "=1+1"}], "row 0: participant is refused"),
        (lambda rows: [{**rows[-1], "touched": {"<b>": 1}}], "row 0: touched"),
    ],
)
def test_what_does_not_fit_is_refused_as_a_whole(change: Change, message, tmp_path):
    study = make_study(tmp_path / "s")
    good, bad = saved(study, "good"), change(saved(study))
    with pytest.raises(DataError, match=message):
        import_answers(study, [written(tmp_path / "a", good, bad)])
    assert not (study / "answers.sqlite").exists() or not read_rows(study / "answers.sqlite", Rows.read_participants)


def test_files_without_json_or_missing_are_refused(tmp_path):
    study = make_study(tmp_path / "s")
    (tmp_path / "a").write_text("[\n{")
    for name in ("a", "missing"):
        with pytest.raises(DataError, match=f"{name} cannot be read as what jsPsych saves"):
            import_answers(study, [tmp_path / name])


def test_a_mix_that_was_not_offered_was_not_chosen(tmp_path):
    study = make_study(tmp_path / "s", "select")
    for change in ({"weight": 0.3}, {"position": 5}):
        rows = saved(study)
        rows[2]["answer"] = rows[2]["answer"] | change
        with pytest.raises(DataError, match="not the one that was shown at that position"):
            import_answers(study, [written(tmp_path / "a", rows)])

"""A review of suspicious labels: from the audit's files through the pages back into a data folder."""

import numpy as np
import pandas as pd
import pytest

from hilmix.cli import main
from hilmix.data.folder import read_folder, write_folder
from hilmix.errors import DataError
from hilmix.human.elicit.design.review import Review, build_review
from tests.human.elicit.studies import joined, post, submission
from tests.human.elicit.study_data import CLASSES, pictures


def table(rows: int) -> pd.DataFrame:
    items = [pictures().items[row] for row in range(rows)]
    given = [CLASSES[row % 2] for row in range(rows)]
    return pd.DataFrame({"item": items, "label": given, "suggested": CLASSES[2], "p_wrong": 0.9})


def test_every_image_is_shown_with_its_label_and_suggestion_in_batches_of_equal_size(tmp_path):
    study = build_review(pictures(), table(7), tmp_path / "review", Review(per_batch=4, repeats=1, judgments=2))
    assert [(s.item1, s.label1, s.suggested) for s in study.stimuli] == [
        (row.item, CLASSES.index(row.label), 2) for row in table(7).itertuples()
    ]
    assert all(s.single for s in study.stimuli)
    kinds = [[trial.kind for trial in batch.trials] for batch in study.batches]
    assert kinds == [["main"] * 4 + ["repeat"], ["main"] * 3 + ["repeat"]]
    mains = [trial.stimulus for batch in study.batches for trial in batch.trials if trial.kind == "main"]
    assert sorted(mains) == list(range(7))
    assert (study.wording, study.settings.target_judgments) == ("first", 2)
    assert "may be wrong" in study.instructions["vote"]


def test_faults_of_the_table_are_named_together(tmp_path):
    wrong = pd.concat([table(2), table(1), table(1).assign(item="stranger", suggested="unicorn")])
    with pytest.raises(DataError) as refused:
        build_review(pictures(), wrong, tmp_path / "review", Review())
    for part in ("3 faults", "'stranger'", "'unicorn'", "twice"):
        assert part in str(refused.value)
    with pytest.raises(DataError, match="suggested"):
        build_review(pictures(), table(1).drop(columns="suggested"), tmp_path / "review", Review())
    with pytest.raises(DataError, match="no row"):
        build_review(pictures(), table(1).head(0), tmp_path / "review", Review())
    assert not (tmp_path / "review").exists()


def test_answers_come_back_as_votes_by_participant(tmp_path, serve):
    write_folder(pictures(), tmp_path / "audit" / "review")
    table(3).to_csv(tmp_path / "audit" / "review.csv", index=False)
    folder, given = tmp_path / "again", read_folder(tmp_path / "audit" / "review")
    assert main(["elicit", "review", str(tmp_path / "audit"), "-o", str(folder), "--repeats", "0"]) == 0
    served = serve(folder)
    client, study = served.client, served.app.state.context.study.manifest
    me = joined(client)
    post(client, f"{me}/consent", {"accepted": True})
    post(client, f"{me}/instructions", {"read": True})
    state = post(client, f"{me}/check", {"answers": [one.right for one in study.checks["vote"]]})
    labels = {}
    for label in (2, None, 0):  # the suggestion, cannot tell, another class
        trial = state["trial"]
        shown = served.app.state.context.study.stimulus(trial["id"])
        assert (trial["given"], trial["suggested"]) == (shown.label1, 2)
        answer = {"task": "vote", "label": label, "confidence": 0.9}
        state = post(client, f"{me}/answers", submission(state, answer=answer))["state"]
        labels[shown.item1] = label
    assert state["phase"] == "survey"
    out = tmp_path / "out"
    arguments = ["--format", "folder", "--data", str(tmp_path / "audit" / "review")]
    assert main(["elicit", "export", str(folder), "-o", str(out), *arguments]) == 0
    notes = read_folder(out).annotations
    mine = notes.annotator == notes.annotators.index("again-p001")
    found = {read_folder(out).items[i]: int(k) for i, k in zip(notes.item[mine], notes.label[mine], strict=True)}
    assert found == {item: label for item, label in labels.items() if label is not None}
    assert len(notes.item) == len(given.annotations.item) + 2
    assert np.isin(given.annotations.annotators, notes.annotators).all()
    tables = tmp_path / "tables"
    assert main(["elicit", "export", str(folder), "-o", str(tables)]) == 0
    rows = pd.read_parquet(tables / "judgments.parquet")
    assert {row.item1: None if pd.isna(row.label) else row.label for row in rows.itertuples()} == {
        item: None if label is None else given.classes[label] for item, label in labels.items()
    }


def test_no_class_is_no_answer_where_nothing_is_suggested(tmp_path, serve):
    from tests.human.elicit.studies import at_trials, make_study, refused

    served = serve(make_study(tmp_path / "study", "vote"))
    me, state = at_trials(served.client)
    reply = served.client.post(
        f"{me}/answers", json=submission(state, answer={"task": "vote", "label": None, "confidence": 1})
    )
    refused(reply, 422, "must be a class")

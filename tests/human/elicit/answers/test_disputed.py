"""Pictures about which participants disagree, and the download of the answers, by the researcher's link alone."""

import io
from pathlib import Path

import pandas as pd
import pytest

from tests.human.elicit.studies import STATUS_TOKEN, at_trials, fitting_answer, make_study, post, submission

STATUS = f"/api/status/{STATUS_TOKEN}"


def take_part(served, **changes) -> None:
    """Answers with the changes in main trials, and rightly in the others: who fails catch trials does not count."""
    client, study = served.client, served.app.state.context.study
    me, state = at_trials(client)
    while state["trial"]:
        kind = study.trials[state["trial"]["id"]].kind
        answer = fitting_answer(state) | (changes if kind in ("main", "repeat") else {})
        state = post(client, f"{me}/answers", submission(state, answer=answer))["state"]


def test_the_widest_spread_comes_first(tmp_path: Path, serve):
    served = serve(make_study(tmp_path / "s", "infer", batches=1, mains=2))
    for weight in (0.25, 0.75):
        take_part(served, weight=weight)
    first, second = served.client.get(STATUS).json()["disputed"]
    assert first["spread"] == second["spread"] == 0.25  # of .25 and .75 around their mean
    assert first["answers"] == ["0.25", "0.75"]
    assert first["shown"] == "dog 0.50, horse"
    assert served.client.get(f"{STATUS}/images/{first['image']}").headers["content-type"] == "image/png"


def test_classes_are_counted_and_agreement_is_no_dispute(tmp_path: Path, serve):
    served = serve(make_study(tmp_path / "s", "vote", batches=1, mains=1))
    for label in (2, 2, 0):
        take_part(served, label=label)
    (only,) = served.client.get(STATUS).json()["disputed"]
    assert only["answers"] == ["frog: 2", "cat: 1"]
    assert only["spread"] == pytest.approx(1 / 3, abs=1e-4)
    agreed = serve(make_study(tmp_path / "t", "vote", batches=1, mains=1))
    for _ in range(2):
        take_part(agreed, label=2)
    assert agreed.client.get(STATUS).json()["disputed"] == []


def test_all_answers_are_downloaded_without_codes(tmp_path: Path, serve):
    served = serve(make_study(tmp_path / "s", "infer", batches=1, mains=1))
    empty = served.client.get(f"{STATUS}/answers.csv")
    assert len(pd.read_csv(io.StringIO(empty.text))) == 0
    take_part(served)
    reply = served.client.get(f"{STATUS}/answers.csv")
    assert reply.headers["content-disposition"] == 'attachment; filename="answers.csv"'
    table = pd.read_csv(io.StringIO(reply.text))
    # Practice, main, two catch trials and the repeat.
    assert table["kind"].value_counts().to_dict() == {"catch": 2, "practice": 1, "main": 1, "repeat": 1}
    assert table["weight"].tolist() == [0.8] * 5
    assert "excluded" in table
    code = served.rows(lambda rows: rows.read_participants())[0].code
    assert code not in reply.text


@pytest.mark.parametrize(
    "name", ["..%2Fstudy.json", "%2e%2e%2f%2e%2e%2fstudy.json", "answers.sqlite", "0000000000000000.png"]
)
def test_only_pictures_of_the_study_are_given_and_only_by_the_right_link(served, name):
    assert served.client.get(f"{STATUS}/images/{name}").status_code in (404, 405)
    image = next((served.folder / "images").iterdir()).name
    for address in (f"images/{image}", "answers.csv"):
        assert served.client.get(f"/api/status/wrong-token/{address}").status_code == 404

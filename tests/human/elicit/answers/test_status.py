"""The numbers of a study, against judgments counted by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from hilmix.errors import DataError
from hilmix.human.elicit.answers.status import read_status
from hilmix.human.elicit.store.database import read_rows
from tests.human.elicit.studies import STATUS_TOKEN, at_trials, fitting_answer, joined, make_study, post, submission


def numbers(client: httpx.Client) -> dict[str, Any]:
    return client.get(f"/api/status/{STATUS_TOKEN}").json()


def take_part(client: httpx.Client, answer: Callable[[dict[str, Any]], dict[str, Any]], seconds: float) -> None:
    """Goes through a batch; ``answer`` maps a state to what differs from the fitting answer."""
    me, state = at_trials(client)
    while state["trial"]:
        given = fitting_answer(state) | answer(state)
        state = post(client, f"{me}/answers", submission(state, answer=given, seconds=seconds))["state"]


def test_an_empty_study(served):
    assert numbers(served.client) == {
        "name": "Cats & dogs",
        "now": 1000.0,
        "phases": {},
        "withdrawn": 0,
        "participants": [],
        "disputed": [],
        "tasks": [
            {
                "task": "infer",
                "stimuli": 6,
                "complete": 0,
                "counts": [6, 0],
                "batches": 2,
                "complete_batches": 0,
                "judgments": 0,
                "wanted": 6,
                "median_seconds": None,
                "agreement": None,
                "difference": None,
                "icc": None,
            }
        ],
    }


def test_weights_three_people_one_batch(tmp_path: Path, serve):
    """Weights .2, .5 and .6 of three mixes by three people: pairs differ by .3, .4 and .1, mean 4/15."""
    client = serve(make_study(tmp_path / "s", batches=1, target_judgments=3)).client
    for weight, seconds in ((0.2, 1), (0.5, 2), (0.6, 9)):
        right = {3: 1.0, 4: 1.0, 5: 1.0}  # trials 4 and 5 are catch trials: image 1 alone
        take_part(client, lambda s, w=weight, r=right: {"weight": r.get(s["trial"]["id"], w)}, seconds)
    (task,) = numbers(client)["tasks"]
    # Trial 3 is a main one where all answered 1, so one of three stimuli has no difference.
    assert task.pop("difference") == pytest.approx((0.3 + 0.4 + 0.1) * 2 / 9)
    between, within = 3 * (2 * (1.3 / 3 - 5.6 / 9) ** 2 + (1 - 5.6 / 9) ** 2) / 2, 2 * (0.65 - 1.3**2 / 3) / 6
    assert task.pop("icc") == pytest.approx((between - within) / (between + 2 * within))
    assert task == {
        "task": "infer",
        "stimuli": 3,
        "complete": 3,
        "counts": [0, 0, 0, 3],
        "batches": 1,
        "complete_batches": 1,
        "judgments": 9,
        "wanted": 9,
        "median_seconds": 2,
        "agreement": None,
    }


def test_some_of_two_batches(tmp_path: Path, serve):
    client = serve(make_study(tmp_path / "s", batches=2, target_judgments=2)).client
    for _ in range(3):  # two for one batch, one for the other
        take_part(client, lambda s: {"weight": 1.0 if s["trial"]["weights"] is None else 0.5}, 1)
    (task,) = numbers(client)["tasks"]
    assert (task["counts"], task["complete"]) == ([0, 3, 3], 3)
    assert (task["batches"], task["complete_batches"]) == (2, 1)
    assert task["icc"] is None, "all answers are the same"


def test_the_folder_gives_the_numbers_of_the_page(served):
    take_part(served.client, lambda _: {}, 2)
    assert read_status(served.folder, 1000.0).model_dump(mode="json") == numbers(served.client)


def test_a_folder_without_answers_or_with_others(served, tmp_path: Path):
    with pytest.raises(DataError, match=r"was not served yet\. Serve it: hilmix elicit serve"):
        read_status(make_study(tmp_path / "other"), 0.0)
    text = (served.folder / "study.json").read_text()
    (served.folder / "study.json").write_text(text.replace("Cats & dogs", "Dogs"))
    with pytest.raises(DataError, match="holds the answers to another study"):
        read_status(served.folder, 0.0)


def test_classes_two_of_three_agree_and_the_fourth_does_not_count(tmp_path: Path, serve):
    client = serve(make_study(tmp_path / "s", "vote", batches=1, target_judgments=4)).client
    for label in (1, 1, 2):
        take_part(client, lambda s, named=label: {"label": 1 if s["trial"]["id"] in (4, 5) else named}, 1)
    take_part(client, lambda s: {"label": 2}, 1)
    (task,) = numbers(client)["tasks"]
    assert task["agreement"] == pytest.approx(1 / 3), "one of three pairs"
    assert task["difference"] is None
    assert (task["complete"], task["judgments"], task["wanted"]) == (0, 9, 12), "who failed both catch trials is out"


def test_people(served):
    client = served.client
    take_part(client, lambda _: {}, 3)
    me, state = at_trials(client)
    client.get(me)
    post(client, f"{me}/answers", submission(state, seconds=5, touched={"mix": False}))
    gone = joined(client)
    client.delete(gone)
    shown = numbers(client)
    assert shown["withdrawn"] == 1
    assert shown["phases"] == {"survey": 1, "trials": 1}
    first, second = shown["participants"]
    assert first == {
        "number": 1,
        "phase": "survey",
        "task": "infer",
        "joined": 1000.0,
        "done": 7,
        "total": 7,
        "median_seconds": 3,
        "loads": 0,
        "flags": [],
        "excluded": None,
    }
    assert (second["done"], second["total"], second["loads"], second["median_seconds"]) == (1, 7, 1, 5)
    assert "code" not in str(shown)


def test_it_reads_beside_a_server(served):
    at_trials(served.client)
    assert read_rows(served.folder / "answers.sqlite", lambda rows: len(rows.read_participants())) == 1

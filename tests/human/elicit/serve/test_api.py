"""The participant's way through a study, over HTTP."""

import uuid

import pytest

from hilmix.human.elicit.design.build import CATCH_OFFERED, build_study
from hilmix.human.elicit.design.manifest import read_manifest
from hilmix.human.elicit.design.settings import Design
from hilmix.human.elicit.store.rows import Rows
from tests.human.elicit.studies import (
    OFFERED,
    STATUS_TOKEN,
    answer_all,
    at_trials,
    fitting_answer,
    joined,
    make_study,
    post,
    refused,
    submission,
)
from tests.human.elicit.study_data import pictures

SURVEY = {"clarity": 9, "difficulty": None, "strategy": "I looked <b>hard</b>", "comments": ""}


def test_from_the_link_to_the_completion_code(served):
    client = served.client
    me = joined(client)
    state = client.get(me).json()
    assert (state["phase"], state["task"], state["trial"], state["completion_code"]) == ("consent", None, None, None)
    assert state["study"] | {"consent": ""} == {
        "name": "Cats & dogs",
        "wording": "third",
        "classes": ["cat", "dog", "frog", "horse"],
        "consent": "",
        "statements": ["I agree &lt;b&gt;to all&lt;/b&gt;."],
        "instructions": None,
        "thanks": None,
        "example": None,
        "contact": None,
        "minutes": None,
        "pay": None,
    }
    state = post(client, f"{me}/consent", {"accepted": True})
    assert (state["phase"], state["task"], state["study"]["consent"]) == ("instructions", "infer", None)
    assert state["attempts_left"] is None, "nothing was wrong yet"
    state = post(client, f"{me}/instructions", {"read": True})
    assert state["check"] == [{"question": "What?", "choices": ["a", "b"]}]
    assert state["attempts_left"] == 2
    state = post(client, f"{me}/check", {"answers": [1]})
    assert (state["phase"], state["progress"]) == ("practice", {"done": 0, "total": 1})
    seen = []
    while state["trial"]:
        assert client.get(me).json() == state, "a reload shows the same"
        trial = state["trial"]
        seen.append(trial["id"])
        assert trial["kind"] == ("practice" if trial["id"] == 0 else "trial")
        assert (trial["labels"], trial["weights"], trial["class_order"]) == ([1, 3], None, None)
        sent = submission(state)
        saved = post(client, f"{me}/answers", sent)
        assert (saved["trial"], saved["key"], saved["answer"]) == (trial["id"], sent["key"], sent["answer"])
        state = saved["state"]
        if state["trial"]:
            assert (state["phase"], state["progress"]) == ("trials", {"done": len(seen) - 1, "total": 6})
    assert (seen[0], sorted(seen[1:-1]), seen[-1]) == (0, [1, 2, 3, 4, 5], 6)
    assert state["phase"] == "survey"
    state = post(client, f"{me}/survey", SURVEY)
    assert (state["phase"], state["completion_code"], state["study"]["thanks"]) == ("done", "C0DE", "<p>Thanks!</p>\n")
    assert [(one.clarity, one.strategy) for one in served.rows(Rows.read_surveys)] == [(9, "I looked <b>hard</b>")]
    assert [one.answer for one in served.rows(Rows.read_answers)] == [
        fitting_answer({"task": "infer", "trial": {}})
    ] * 7


def test_markdown_of_the_researcher_brings_no_markup_of_its_own(served):
    me = joined(served.client)
    text = served.client.get(me).json()["study"]["consent"]
    assert "<strong>this</strong>" in text
    assert "<script" not in text
    assert "- [ ]" not in text


@pytest.mark.parametrize("task", ["construct", "select", "infer", "categorical", "vote"])
def test_every_task_from_end_to_end(task, tmp_path, serve):
    served = serve(make_study(tmp_path / "s", task))
    me, state = at_trials(served.client)
    trial = state["trial"]
    assert (trial["start"] is not None) == (task == "construct")
    if task in ("construct", "select"):
        assert sorted(trial["weights"]) == list(OFFERED)
        assert len(set(trial["images"])) == len(OFFERED)
    if task in ("categorical", "vote"):
        assert sorted(trial["class_order"]) == [0, 1, 2, 3]
        assert trial["labels"] is None, "classes are not named"
    for address in trial["images"]:
        assert served.client.get(address).status_code == 200
    assert answer_all(served.client, me, state)["phase"] == "survey"


def test_thumbnails_stand_in_another_order_each_time_and_the_position_is_checked(tmp_path, serve):
    served = serve(make_study(tmp_path / "s", "select", mains=8))
    me, state = at_trials(served.client)
    orders = set()
    while state["trial"]:
        orders.add(tuple(state["trial"]["weights"]))
        wrong = fitting_answer(state) | {"position": (state["trial"]["weights"].index(0.5) + 1) % 3}
        refused(served.client.post(f"{me}/answers", json=submission(state, answer=wrong)), 422, "position")
        state = post(served.client, f"{me}/answers", submission(state))["state"]
    assert len(orders) > 5


def test_a_wrong_check_leads_back_and_two_end_it(served):
    client = served.client
    me = joined(client)
    post(client, f"{me}/consent", {"accepted": True})
    for attempt, then in enumerate(["instructions", "failed_check"]):
        state = post(client, f"{me}/instructions", {"read": True})
        assert state["attempts_left"] == 2 - attempt
        state = post(client, f"{me}/check", {"answers": [0]})
        assert (state["phase"], state["attempts_left"]) == (then, None if attempt else 1)
        assert client.get(me).json() == state, "also after a reload"
        refused(client.post(f"{me}/check", json={"answers": [1]}), 409, f"'{then}'")
    assert "right" not in str(state)
    refused(client.post(f"{me}/instructions", json={"read": True}), 409, "failed_check")
    _, state = at_trials(client)
    assert state["trial"]["id"] == 0, "a participant who fails gives the batch back"
    assert [e.detail for e in served.rows(Rows.read_events) if e.what == "failed check"] == [
        "attempt 1: [0]",
        "attempt 2: [0]",
    ]


def test_a_check_of_the_wrong_form_costs_no_attempt(served):
    me = joined(served.client)
    post(served.client, f"{me}/consent", {"accepted": True})
    post(served.client, f"{me}/instructions", {"read": True})
    refused(served.client.post(f"{me}/check", json={"answers": []}), 422, "0")
    refused(served.client.post(f"{me}/check", json={"answers": [2]}), 422, "must be in [0, 1]")
    assert served.client.get(me).json()["attempts_left"] == 2


def test_an_answer_sent_again_is_stored_once_and_a_second_tab_learns_it(served):
    client = served.client
    me, state = at_trials(client)
    sent = submission(state)
    first = post(client, f"{me}/answers", sent)
    changed = sent | {"answer": fitting_answer(state) | {"weight": 0.1}, "seconds": 99}
    assert post(client, f"{me}/answers", changed) == first, "what is stored, not what was sent"
    refused(client.post(f"{me}/answers", json=sent | {"key": str(uuid.uuid4())}), 409, "answered already")
    assert served.answers() == [(1, 0)]
    answer_all(client, me, first["state"])
    assert post(client, f"{me}/answers", sent)["state"]["phase"] == "survey", "also later"


def test_trials_come_in_order_and_only_ones_own(served):
    client = served.client
    me, state = at_trials(client)
    _, others_state = at_trials(client)
    assert (state["trial"]["id"], others_state["trial"]["id"]) == (0, 7)
    refused(client.post(f"{me}/answers", json=submission(state, trial=1)), 409, "order")
    for trial in (7, 8, 14, 2**31 - 1):
        refused(client.post(f"{me}/answers", json=submission(state, trial=trial)), 403, "not among yours")
    early = joined(client)
    refused(client.post(f"{early}/answers", json=submission(state)), 403, "not among yours")
    assert served.answers() == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("consent", {"accepted": True}),
        ("instructions", {"read": True}),
        ("check", {"answers": [1]}),
        ("survey", SURVEY),
        ("batch", {"wanted": True}),
    ],
)
def test_every_step_is_taken_once_and_in_its_phase(served, path, body):
    client = served.client
    me, state = at_trials(client)
    refused(client.post(f"{me}/{path}", json=body), 409, "'practice'")
    answer_all(client, me, state)
    if path != "survey":
        refused(client.post(f"{me}/{path}", json=body), 409, "'survey'")
    post(client, f"{me}/survey", SURVEY)
    refused(client.post(f"{me}/{path}", json=body), 409, "'done'")


def test_withdrawal_deletes_every_row_at_any_time(served):
    client = served.client
    me, state = at_trials(client)
    kept, kept_state = at_trials(client)
    post(client, f"{kept}/answers", submission(kept_state))
    answer_all(client, me, state)
    post(client, f"{me}/survey", SURVEY)
    state = client.delete(me).json()
    assert (state["phase"], state["trial"]) == ("withdrawn", None)
    refused(client.get(me), 404, "after a withdrawal nothing of it is kept")
    refused(client.delete(me), 404, "not known")
    assert [one.number for one in served.rows(Rows.read_participants)] == [2]
    assert served.answers() == [(2, 7)]
    assert served.rows(Rows.read_surveys) == []
    assert [e.participant for e in served.rows(Rows.read_events) if e.participant != 2] == [None]
    _, state = at_trials(client)
    assert state["trial"]["id"] == 0, "the batch is free again"


def test_a_restart_continues_where_each_participant_was(served, serve):
    me, state = at_trials(served.client)
    state = post(served.client, f"{me}/answers", submission(state))["state"]
    served.app.state.context.store.close()
    again = serve(served.folder)
    assert again.client.get(me).json() == state


def test_straight_liners_are_excluded_visibly_and_others_make_up_for_them(tmp_path, serve):
    served = serve(make_study(tmp_path / "s", batches=1, mains=12, target_judgments=1, minimum_seconds=1))
    client = served.client
    me, state = at_trials(client)
    while state["trial"]:
        state = post(client, f"{me}/answers", submission(state, seconds=0.5, touched={"mix": False}))["state"]
    assert state["phase"] == "survey", "no participant learns of it"
    reason = "fast: 15 of 15 trials took less than 1 s; straight: 12 of 12 answers are 0.8"
    assert served.rows(Rows.read_participants)[0].excluded == reason
    events = [(e.what, e.detail) for e in served.rows(Rows.read_events) if e.what.startswith(("flag", "excl"))]
    assert events[-1] == ("excluded", reason)
    assert [what for what, _ in events] == ["flag fast", "flag straight", "flag untouched", "excluded"]
    numbers = client.get(f"/api/status/{STATUS_TOKEN}").json()
    assert numbers["participants"][0]["excluded"] == reason
    assert (numbers["tasks"][0]["judgments"], len(served.answers())) == (0, 16)
    assert at_trials(client)[1]["trial"]["id"] == 0, "the batch is wanted again"


def test_reloads_during_the_trials_are_noted_up_to_a_limit(served):
    me, _ = at_trials(served.client)
    for _ in range(130):
        served.client.get(me)
    assert sum(e.what == "loaded" for e in served.rows(Rows.read_events)) == 100


@pytest.mark.parametrize("task", ["construct", "select"])
def test_what_is_stored_is_the_weight_of_the_mix_and_not_the_one_in_the_answer(task, tmp_path, serve):
    build_study(pictures(), tmp_path / "s", Design(tasks=(task,), pairs=2, per_batch=2, practice=0))
    served = serve(tmp_path / "s")
    me = joined(served.client)
    post(served.client, f"{me}/consent", {"accepted": True})
    state = post(served.client, f"{me}/instructions", {"read": True})
    rights = [one.right for one in read_manifest(tmp_path / "s").checks[task]]
    state = post(served.client, f"{me}/check", {"answers": rights})
    while state["trial"]:
        answer = {"task": task, "weight": 0.1}
        answer |= {"position": state["trial"]["weights"].index(0.1)} if task == "select" else {}
        sent = submission(state, answer=answer)
        saved = post(served.client, f"{me}/answers", sent)
        assert saved["answer"] == post(served.client, f"{me}/answers", sent)["answer"] == answer
        state = saved["state"]
    kinds = {trial.id: trial.kind for trial in read_manifest(tmp_path / "s").batches[0].trials}
    stored = {(kinds[one.trial], one.answer["weight"]) for one in served.rows(Rows.read_answers)}
    assert stored == {("main", 0.1), ("repeat", 0.1), ("catch", CATCH_OFFERED[1])}

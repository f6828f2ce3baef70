"""Leases that run out, batches that are reassigned, and studies that are full, over HTTP."""

from tests.human.elicit.studies import answer_all, at_trials, joined, post, refused, submission


def test_an_abandoned_batch_is_given_on_and_the_late_one_gets_another(served):
    client = served.client
    late, state = at_trials(client)
    post(client, f"{late}/answers", submission(state))
    second, _ = at_trials(client)
    assert post(client, f"{joined(client)}/consent", {"accepted": True})["phase"] == "full"
    served.clock.now += 3601
    third, state3 = at_trials(client)
    assert state3["trial"]["id"] == 0
    state = client.get(late).json()
    assert (state["phase"], state["trial"]) == ("expired", None)
    refused(client.post(f"{late}/answers", json=submission({"task": "infer", "trial": {"id": 1}})), 409, "ran out")
    state = post(client, f"{late}/batch", {"wanted": True})
    assert (state["phase"], state["trial"]["id"]) == ("practice", 7), "the check was passed before"
    assert client.get(second).json()["phase"] == "expired"
    assert post(client, f"{second}/batch", {"wanted": True})["phase"] == "full"
    assert answer_all(client, late, state)["phase"] == "survey"
    assert answer_all(client, third, state3)["phase"] == "survey"


def test_an_expired_lease_continues_when_no_other_took_it(served):
    client = served.client
    me, state = at_trials(client)
    served.clock.now += 3601
    assert client.get(me).json()["phase"] == "practice"
    state = post(client, f"{me}/answers", submission(state))["state"]
    _, others_state = at_trials(client)
    assert others_state["trial"]["id"] == 7, "the lease runs again"
    assert answer_all(client, me, state)["phase"] == "survey"


def test_answers_before_leaving_count(served):
    """The late one has judged two of three; the next to take the batch judges all; then nothing is left to judge."""
    client = served.client
    late, state = at_trials(client)
    while state["progress"]["done"] < 4:
        state = post(client, f"{late}/answers", submission(state))["state"]
    served.clock.now += 3601
    for _ in range(2):
        me, state = at_trials(client)
        answer_all(client, me, state)
    assert client.get(late).json()["phase"] in ("expired", "trials")
    assert post(client, f"{joined(client)}/consent", {"accepted": True})["phase"] == "full"


def test_the_full_may_ask_again(served):
    client = served.client
    at_trials(client), at_trials(client)
    me = joined(client)
    assert post(client, f"{me}/consent", {"accepted": True})["phase"] == "full"
    assert post(client, f"{me}/batch", {"wanted": True})["phase"] == "full"
    served.clock.now += 3601
    assert post(client, f"{me}/batch", {"wanted": True})["phase"] == "instructions"

"""The page on which a researcher follows a study, in headless Chromium."""

import httpx
import pytest

from tests.human.elicit.serve.browser import NEEDS_CHROMIUM, RIGHT, SIZES, Person, Server, check_access
from tests.human.elicit.studies import STATUS_TOKEN, answer_all, at_trials, fitting_answer, joined, post, submission

pytestmark = NEEDS_CHROMIUM
NONE = "\N{EN DASH}"


def looked_at(watching: Person, server: Server) -> str:
    """What the page says once the numbers are there."""
    watching.page.goto(f"{server.origin}/status/{STATUS_TOKEN}")
    watching.page.locator("table").first.wait_for()
    check_access(watching)
    assert not watching.problems
    return watching.page.locator("main").inner_text()


def cells(watching: Person, part: str) -> list[list[str]]:
    rows = watching.page.locator(f"#{part} tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


@pytest.mark.parametrize("size", SIZES)
def test_the_researcher_sees_numbers(size, host, person):
    """Two who agree up to .1, one who fails both catch trials, one who is on the way, one who has left."""
    server, participant = host("infer", target_judgments=2, batches=1), person()
    participant.to_trials(server.link, RIGHT)
    participant.answer_all("infer")  # 80 % of image 1
    with httpx.Client(base_url=server.origin) as client:
        me, state = at_trials(client)
        while state["trial"]:
            off = fitting_answer(state) | {"weight": 0.1}
            state = post(client, f"{me}/answers", submission(state, answer=off))["state"]
        me, state = at_trials(client)
        while state["trial"]:
            near = fitting_answer(state) | {"weight": 0.9}
            state = post(client, f"{me}/answers", submission(state, answer=near, seconds=7, touched={"mix": False}))
            state = state["state"]
        joined(client)
        client.delete(joined(client))
    watching = person(**SIZES[size])
    text = looked_at(watching, server)
    shown = {row[0]: row[1] for row in cells(watching, "tasks")}
    assert shown[""] == "infer"
    assert shown["Judgments"].strip() == "100 % (2 of 2)"
    assert shown["Complete mixes"].strip() == shown["Complete batches"].strip() == "100 % (1 of 1)"
    assert shown["Mixes by judgments"] == "1 with 2 or more"
    assert shown["Agreement"] in {f"ICC {NONE}, differ by {difference}" for difference in ("0.09", "0.10", "0.11")}
    assert cells(watching, "phases")[1:] == [["consent", "1"], ["survey", "3"], ["withdrawn, all deleted", "1"]]
    assert cells(watching, "flags")[1:] == [
        ["p002", "catch", "catch: 2 of 2 catch trials failed"],
        ["p003", NONE, "untouched: a control was not touched in 4 of 4 trials"],
    ]
    assert [row[:4] for row in cells(watching, "participants")[1:]] == [
        ["p001", "survey", "infer", "5 of 5"],
        ["p002", "survey", "infer", "5 of 5"],
        ["p003", "survey", "infer", "5 of 5"],
        ["p004", "consent", NONE, "0 of 0"],
    ]
    assert "7.0 s" in text


def test_an_empty_study(host, person):
    text = looked_at(person(), host("vote"))
    assert "No participant has joined yet." in text
    assert "No participant is flagged." in text


def test_new_numbers_come_by_themselves_and_leave_the_place(host, person):
    server, watching = host("infer"), person(**SIZES["phone"])
    watching.page.clock.install()
    looked_at(watching, server)
    with httpx.Client(base_url=server.origin) as client:
        answer_all(client, *at_trials(client))
        watching.page.clock.fast_forward(10_000)
        participants = watching.page.locator("#participants")
        participants.get_by_text("p001").wait_for()
        participants.evaluate("node => (node.scrollLeft = 30)")
        joined(client)
        watching.page.clock.fast_forward(10_000)
        participants.get_by_text("p002").wait_for()
    assert participants.evaluate("node => node.scrollLeft") == 30
    server.stop()
    watching.page.clock.fast_forward(10_000)
    watching.page.get_by_text("trying again").wait_for()
    server.start()
    watching.page.clock.fast_forward(10_000)
    watching.page.get_by_text("as of").wait_for()

"""Reloads, windows, the back button, lost connections and leases, in headless Chromium: nothing is lost or doubled."""

import json
from typing import Any

import pytest

from hilmix.human.elicit.store.database import read_rows
from hilmix.human.elicit.store.rows import Rows
from tests.human.elicit.serve.browser import NEEDS_CHROMIUM, RIGHT, SIZES, Person, check_access, serious_findings

pytestmark = NEEDS_CHROMIUM


def test_reload_and_a_new_window_land_where_the_person_was(host, person):
    server, participant = host("infer"), person()
    participant.to_trials(server.link, RIGHT)
    participant.answer("infer")
    participant.start()
    participant.answer("infer")
    trial, heading = participant.trial(), participant.heading
    assert heading == "Picture 2 of 4"
    participant.page.reload()
    assert (participant.trial(), participant.heading) == (trial, heading)
    other = Person(participant.page.context.new_page())
    other.page.goto(participant.page.url)
    assert (other.trial(), other.heading) == (trial, heading)
    participant.answer("infer")
    other.page.bring_to_front()
    other.answer("infer")  # it is answered already
    assert "another window" in other.page.locator(".notice").inner_text()
    assert other.heading == participant.heading == "Picture 3 of 4"
    assert len(server.answers()) == 3


@pytest.mark.parametrize("size", SIZES)
def test_the_back_button_stays_once_and_then_leaves(size, host, person):
    server, participant = host("infer"), person(**SIZES[size])
    participant.page.goto("about:blank")
    participant.to_trials(server.link, RIGHT)
    participant.answer("infer")
    participant.start()
    trial = participant.trial()
    participant.page.go_back()
    participant.page.locator(".notice").wait_for()
    assert participant.trial() == trial
    participant.answer("infer")
    assert participant.trial() != trial
    participant.page.go_back()
    participant.page.locator(".notice").wait_for()
    participant.page.go_back()
    assert participant.page.url == "about:blank"
    participant.page.go_forward()
    assert participant.trial() != trial
    assert len(server.answers()) == 2


def test_a_lost_connection_loses_and_doubles_nothing(host, person):
    server, participant = host("infer"), person()
    page = participant.page
    participant.to_trials(server.link, RIGHT)
    first = participant.trial()
    server.stop()
    participant.slide("mix", 0.2)
    participant.slide("confidence", 0.9)
    participant.button("Continue").click()
    page.get_by_text("Your answer is kept on this device").wait_for()
    participant.button("Continue").click(no_wait_after=True)
    kept = json.loads(page.evaluate("Object.values(localStorage)[0]"))
    assert page.locator("main").get_attribute("aria-busy") == "true"
    assert not serious_findings(participant)
    server.start()
    participant.button("Try now").click()
    page.locator(f'main:not([data-page="{first}"])').wait_for()
    assert page.locator("#connection").inner_text() == ""
    assert page.evaluate("localStorage.length") == 0
    assert [one.key for one in server.answers()] == [kept["key"]]


def test_an_answer_outlives_its_page(host, person):
    server, participant = host("infer"), person()
    page = participant.page
    participant.to_trials(server.link, RIGHT)
    participant.trial()
    page.route("**/answers", lambda route: route.abort())
    participant.slide("mix", 0.2)
    participant.slide("confidence", 0.9)
    participant.button("Continue").click()
    page.get_by_text("Your answer is kept").wait_for()
    page.unroute("**/answers")
    page.reload()
    participant.button("Start").wait_for()
    assert len(server.answers()) == 1


def test_a_lost_reply_is_asked_for_again_with_the_same_key(host, person):
    server, participant = host("infer"), person()
    participant.to_trials(server.link, RIGHT)
    keys = []

    def lose_the_first(route: Any) -> None:
        keys.append(route.request.post_data_json["key"])
        route.fetch()
        if len(keys) == 1:
            route.abort()
        else:
            route.continue_()

    participant.page.route("**/answers", lose_the_first)
    participant.answer("infer")
    participant.button("Start").wait_for()
    assert len(keys) == 2
    assert [one.key for one in server.answers()] == keys[:1] == keys[1:]


@pytest.mark.parametrize("size", SIZES)
def test_an_expired_lease_offers_new_pictures_and_a_full_study_waits(size, host, person):
    now = [1000.0]
    server = host("infer", clock=lambda: now[0], batches=2, target_judgments=1, lease_minutes=60)
    late, other, third, fourth = (person(**SIZES[size]) for _ in range(4))
    late.to_trials(server.link, RIGHT)
    other.page.goto(server.link)
    other.consent()
    third.page.goto(server.link)
    third.at("full")  # before any consent
    check_access(third)
    third.button("Try again").click()
    assert "still none" in third.page.locator(".notice").inner_text()
    now[0] += 3601
    third.button("Try again").click()
    third.consent()
    third.instructions()
    third.check(RIGHT)
    third.start()
    third.answer_all("infer")
    late.trial()
    late.slide("mix", 0.2)
    late.slide("confidence", 0.9)
    late.button("Continue").click()
    late.at("expired")
    assert "came too late" in late.page.locator(".notice").inner_text()
    check_access(late)
    late.button("Go on with new pictures").click()
    late.at("trial")
    fourth.page.goto(server.link)
    fourth.at("full")


def test_what_is_written_in_the_survey_outlives_its_page_until_it_is_sent(host, person):
    server, participant = host("infer"), person()
    page = participant.page
    participant.to_trials(server.link, RIGHT)
    participant.answer_all("infer")
    page.get_by_label("How did you decide?").fill('I <b>looked</b>.\n"Long"')
    page.get_by_role("radiogroup", name="How difficult").get_by_label("10").check()
    page.reload()
    participant.at("survey")
    assert page.get_by_label("How did you decide?").input_value() == 'I <b>looked</b>.\n"Long"'
    assert page.get_by_label("Anything else?").input_value() == ""
    page.get_by_label("Anything else?").fill("No.")
    page.reload()
    participant.at("survey")
    other = Person(page.context.new_page())
    other.page.goto(page.url)
    other.at("survey")
    participant.button("Finish").click()
    participant.at("done")
    (survey,) = read_rows(server.folder / "answers.sqlite", Rows.read_surveys)
    assert survey[1:] == (None, 10, 'I <b>looked</b>.\n"Long"', "No.")
    other.page.get_by_label("Anything else?").fill("Yes?")
    other.button("Finish").click()
    other.at("done")
    assert page.evaluate("localStorage.length") == 0


def test_withdrawing_leaves_nothing_on_the_device(host, person):
    server, participant = host("infer"), person()
    participant.to_trials(server.link, RIGHT)
    participant.answer_all("infer")
    participant.page.get_by_label("Anything else?").fill("My name.")
    assert participant.page.evaluate("localStorage.length") == 1
    participant.button("Withdraw and delete my answers").click()
    participant.button("Yes, delete my answers").click()
    participant.at("withdrawn")
    assert participant.page.evaluate("localStorage.length") == 0

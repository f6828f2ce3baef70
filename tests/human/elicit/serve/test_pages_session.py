"""Whole sessions at the pages of a study, clicked and typed through in headless Chromium."""

import json
import re
from pathlib import Path

import pytest

from hilmix.human.elicit.design.manifest import TASKS, Task
from hilmix.human.elicit.store.database import read_rows
from hilmix.human.elicit.store.rows import Rows
from tests.human.elicit.serve.browser import NEEDS_CHROMIUM, RIGHT, SIZES, SMALLEST, Server, check_access
from tests.human.elicit.studies import OFFERED, STATUS_TOKEN

pytestmark = NEEDS_CHROMIUM
TRIALS = 5  # practice, one main, two catch, one repeat
PAGES = Path(__file__).parents[4] / "hilmix" / "human" / "elicit" / "serve" / "pages"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("task", [t if t == "infer" else pytest.param(t, marks=pytest.mark.slow) for t in TASKS])
def test_a_whole_session(task, size, host, person):
    server, participant = host(task), person(**SIZES[size])
    addresses: set[str] = set()
    participant.page.on("request", lambda request: addresses.add(request.url))
    participant.page.goto(server.link)
    titles = []
    steps = {
        "consent": participant.consent,
        "instructions": participant.instructions,
        "check": lambda: participant.check(RIGHT),
        "practice": participant.start,
    }
    for phase, step in steps.items():
        participant.at(phase)
        check_access(participant)
        titles.append(participant.page.title())
        step()
    participant.trial()
    check_access(participant)
    if task != "construct":  # where nothing can be missing
        participant.button("Continue").click()
        check_access(participant)
        assert participant.page.locator(".error:visible").count() >= 1
        assert not server.answers()
    assert participant.answer_all(task) == TRIALS
    check_access(participant)
    participant.survey()
    check_access(participant)
    assert "C0DE" in participant.page.locator("main").inner_text()
    assert not participant.problems
    assert all(address.startswith(server.origin) for address in addresses)
    assert len({*titles, participant.page.title()}) == 5
    check_answers(server, task)


def check_answers(server: Server, task: Task) -> None:
    given = server.answers()
    assert len({one.trial for one in given}) == len(given) == TRIALS
    for one in given:
        expected = {
            # From the left end: more, more, less, more; a catch trial offers three weights.
            "construct": {"weight": {OFFERED[2], 1.0}},
            "select": {"position": {2}},
            "infer": {"weight": {0.79, 0.8, 0.81}, "confidence": {0.89, 0.9, 0.91}},
            "categorical": {"top_percent": {62.5}, "second_percent": {30}},
            "vote": {"confidence": {0.5}},
        }[task]
        assert all(one.answer[field] in allowed for field, allowed in expected.items()), one.answer
        assert all(one.touched.values())
        assert one.touched
        assert all(0 <= at <= one.seconds for at in one.times.values())
        assert {name.removesuffix("_first") for name in one.times} == set(one.touched)
        assert 0.3 <= one.seconds < 30
    (survey,) = read_rows(server.folder / "answers.sqlite", Rows.read_surveys)
    assert (survey.clarity, survey.difficulty, survey.strategy) == (8, None, "I looked at the <b>ears</b>.")


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_pages_fit_the_smallest_phone_and_twice_the_size(task, host, person):
    server = host(task, batches=2)
    # Text of a desktop page at 200 % is laid out in a window of half its width and height.
    for size in (SMALLEST, {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2}):
        participant = person(**size)
        participant.to_trials(server.link, RIGHT)
        participant.trial()
        check_access(participant)
        participant.answer_all(task)
        check_access(participant)


def test_a_session_without_a_mouse(host, person):
    server, participant = host("infer"), person()
    page, press = participant.page, participant.page.keyboard.press
    page.goto(server.link)
    participant.at("consent")
    for key in ("Tab", "Space", "Tab", "Enter"):
        press(key)
    participant.at("instructions")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    press("Tab")
    press("Enter")
    participant.at("check")
    for key in ("Tab", "ArrowDown", "Enter"):
        press(key)
        page.wait_for_timeout(50)
    participant.button("Start").wait_for()
    press("Tab")
    press("Enter")
    participant.trial()
    for key in ("Tab", "Home", "Tab", "Space", "Tab", "Enter"):
        press(key)
    participant.button("Start").wait_for()
    (given,) = server.answers()
    assert (given.answer["weight"], given.answer["confidence"]) == (1.0, 0.5)


def test_too_many_wrong_answers_end_the_study(host, person):
    participant = person()
    participant.page.goto(host("infer", check_attempts=2).link)
    participant.consent()
    participant.instructions()
    participant.at("check")
    assert "Attempts left: 2" in participant.page.locator("main").inner_text()
    assert not participant.page.locator(".notice").count()
    participant.check([0])
    participant.at("instructions")
    for _ in range(2):
        assert "Attempts left: 1" in participant.page.locator(".notice").inner_text()
        participant.page.reload()
        participant.at("instructions")
    participant.instructions()
    participant.check([0])
    participant.at("failed_check")
    check_access(participant)


def test_withdrawing_deletes_and_an_unknown_link_is_reported(host, person):
    server, participant = host("infer"), person()
    participant.to_trials(server.link, RIGHT)
    participant.answer("infer")
    assert len(server.answers()) == 1
    participant.button("Withdraw and delete my answers").click()
    check_access(participant)
    participant.button("No, go on").click()
    assert participant.page.locator("dialog[open]").count() == 0
    participant.button("Withdraw and delete my answers").click()
    participant.button("Yes, delete my answers").click()
    participant.at("withdrawn")
    check_access(participant)
    assert not server.answers()
    participant.page.reload()
    participant.at("unknown")
    check_access(participant)
    assert not participant.page.locator("#withdraw").is_visible()


def test_pictures_keep_square_pixels_and_texts_bring_no_markup(host, person):
    server, participant = host("infer"), person(**SIZES["phone"])
    participant.page.goto(server.link)
    participant.at("consent")
    assert participant.page.locator("main script, main b").count() == 0
    assert "<script>" in participant.page.locator("main").inner_text()
    participant.to_trials(server.link, RIGHT)
    participant.trial()
    image = participant.page.locator(".picture img")
    own, width, height = image.evaluate("n => [n.naturalWidth, n.clientWidth, n.clientHeight]")
    assert width == height >= 200
    assert width % own == 0
    assert image.evaluate("n => getComputedStyle(n).imageRendering") == "pixelated"


def test_names_of_a_study_bring_no_markup(host, person):
    """Names of study and classes, choices and codes are shown as they are, to participants and to the researcher."""
    server, evil = host("vote"), "<img src=x onerror=document.title=1>"
    server.stop()
    file = server.folder / "study.json"
    study = json.loads(file.read_text())
    study |= {"name": evil, "completion_code": evil, "thanks": f"[x](javascript:alert(1)) {evil}"}
    study["dataset"]["classes"][2] = evil
    study["checks"]["vote"] = [{"question": evil, "choices": [evil, "b"], "right": 1}]
    file.write_text(json.dumps(study))
    for old in server.folder.glob("answers.sqlite*"):
        old.unlink()
    server.start()
    participant, watching = person(), person()
    participant.page.goto(server.link)
    watching.page.goto(f"{server.origin}/status/{STATUS_TOKEN}")
    watching.page.locator("table").first.wait_for()
    places = [
        participant.consent,
        participant.instructions,
        lambda: participant.check(RIGHT),
        participant.start,
        lambda: participant.answer_all("vote"),
        participant.survey,
    ]
    for place in places:
        place()
        for page in (participant.page, watching.page):
            assert (
                page.locator(
                    'img[onerror], script:not([src]):not([type="application/json"]), a[href^=javascript]'
                ).count()
                == 0
            )
    assert evil in participant.page.locator("main").inner_text()
    assert evil in watching.page.title()
    assert not participant.problems + watching.problems


def test_files_name_each_other_and_nothing_outside():
    there = {file.name for file in PAGES.iterdir()}
    named = {"index.html", "message.html", "status.html"}
    for file in PAGES.iterdir():
        text = file.read_text()
        named |= set(re.findall(r'/static/([\w.-]+)"', text)) | set(re.findall(r'from "\./([\w.-]+)"', text))
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), f"{file.name} names an address"
        if file.suffix == ".html":
            inline = r"<style|\sstyle=|\son\w+=|<script(?![^>]*(\ssrc=|\stype=\"application/json\"))"
            assert not re.search(inline, text), f"{file.name}: inline code"
    assert named == there

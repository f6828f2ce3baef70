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
    server, somebody = host(task), person(**SIZES[size])
    addresses: set[str] = set()
    somebody.page.on("request", lambda request: addresses.add(request.url))
    somebody.page.goto(server.link)
    titles = []
    steps = {
        "consent": somebody.consent,
        "instructions": somebody.instructions,
        "check": lambda: somebody.check(RIGHT),
        "practice": somebody.start,
    }
    for phase, step in steps.items():
        somebody.at(phase)
        check_access(somebody)
        titles.append(somebody.page.title())
        step()
    somebody.trial()
    check_access(somebody)
    if task != "construct":  # where nothing can be missing
        somebody.button("Continue").click()
        check_access(somebody)
        assert somebody.page.locator(".error:visible").count() >= 1
        assert not server.answers()
    assert somebody.answer_all(task) == TRIALS
    check_access(somebody)
    somebody.survey()
    check_access(somebody)
    assert "C0DE" in somebody.page.locator("main").inner_text()
    assert not somebody.problems
    assert all(address.startswith(server.origin) for address in addresses)
    assert len({*titles, somebody.page.title()}) == 5
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
        somebody = person(**size)
        somebody.to_trials(server.link, RIGHT)
        somebody.trial()
        check_access(somebody)
        somebody.answer_all(task)
        check_access(somebody)


def test_a_session_without_a_mouse(host, person):
    server, somebody = host("infer"), person()
    page, press = somebody.page, somebody.page.keyboard.press
    page.goto(server.link)
    somebody.at("consent")
    for key in ("Tab", "Space", "Tab", "Enter"):
        press(key)
    somebody.at("instructions")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    press("Tab")
    press("Enter")
    somebody.at("check")
    for key in ("Tab", "ArrowDown", "Enter"):
        press(key)
        page.wait_for_timeout(50)
    somebody.button("Start").wait_for()
    press("Tab")
    press("Enter")
    somebody.trial()
    for key in ("Tab", "Home", "Tab", "Space", "Tab", "Enter"):
        press(key)
    somebody.button("Start").wait_for()
    (given,) = server.answers()
    assert (given.answer["weight"], given.answer["confidence"]) == (1.0, 0.5)


def test_too_many_wrong_answers_end_the_study(host, person):
    somebody = person()
    somebody.page.goto(host("infer", check_attempts=2).link)
    somebody.consent()
    somebody.instructions()
    somebody.at("check")
    assert "You have 2 attempts left" in somebody.page.locator("main").inner_text()
    assert not somebody.page.locator(".notice").count()
    somebody.check([0])
    somebody.at("instructions")
    for _ in range(2):
        assert "You have one attempt left" in somebody.page.locator(".notice").inner_text()
        somebody.page.reload()
        somebody.at("instructions")
    somebody.instructions()
    somebody.check([0])
    somebody.at("failed_check")
    check_access(somebody)


def test_withdrawing_deletes_and_an_unknown_link_is_told(host, person):
    server, somebody = host("infer"), person()
    somebody.to_trials(server.link, RIGHT)
    somebody.answer("infer")
    assert len(server.answers()) == 1
    somebody.button("Withdraw and delete my answers").click()
    check_access(somebody)
    somebody.button("No, go on").click()
    assert somebody.page.locator("dialog[open]").count() == 0
    somebody.button("Withdraw and delete my answers").click()
    somebody.button("Yes, delete my answers").click()
    somebody.at("withdrawn")
    check_access(somebody)
    assert not server.answers()
    somebody.page.reload()
    somebody.at("unknown")
    check_access(somebody)
    assert not somebody.page.locator("#withdraw").is_visible()


def test_pictures_keep_square_pixels_and_texts_bring_no_markup(host, person):
    server, somebody = host("infer"), person(**SIZES["phone"])
    somebody.page.goto(server.link)
    somebody.at("consent")
    assert somebody.page.locator("main script, main b").count() == 0
    assert "<script>" in somebody.page.locator("main").inner_text()
    somebody.to_trials(server.link, RIGHT)
    somebody.trial()
    image = somebody.page.locator(".picture img")
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
    somebody, watching = person(), person()
    somebody.page.goto(server.link)
    watching.page.goto(f"{server.origin}/status/{STATUS_TOKEN}")
    watching.page.locator("table").first.wait_for()
    places = [
        somebody.consent,
        somebody.instructions,
        lambda: somebody.check(RIGHT),
        somebody.start,
        lambda: somebody.answer_all("vote"),
        somebody.survey,
    ]
    for place in places:
        place()
        for page in (somebody.page, watching.page):
            assert page.locator("img[onerror], script:not([src]), a[href^=javascript]").count() == 0
    assert evil in somebody.page.locator("main").inner_text()
    assert evil in watching.page.title()
    assert not somebody.problems + watching.problems


def test_files_name_each_other_and_nothing_outside():
    there = {file.name for file in PAGES.iterdir()}
    named = {"index.html", "status.html"}
    for file in PAGES.iterdir():
        text = file.read_text()
        named |= set(re.findall(r'/static/([\w.-]+)"', text)) | set(re.findall(r'from "\./([\w.-]+)"', text))
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), f"{file.name} names an address"
        if file.suffix == ".html":
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text), f"{file.name}: inline code"
    assert named == there

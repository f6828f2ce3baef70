"""What the controls of the pages take, and what they do not, in headless Chromium."""

import json

import pytest

from tests.human.elicit.serve.browser import NEEDS_CHROMIUM, RIGHT, check_access

pytestmark = NEEDS_CHROMIUM


@pytest.mark.parametrize(("share", "weight"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_left_end_of_the_slider_is_all_image_1(share, weight, host, person):
    server, participant = host("infer"), person()
    participant.to_trials(server.link, RIGHT)
    participant.trial()
    participant.slide("mix", share)
    participant.slide("confidence", 1.0)
    shares = f"{100 * weight:.0f} % dog, {100 - 100 * weight:.0f} % horse"
    assert participant.page.locator("#mix").get_attribute("aria-valuetext") == shares
    participant.button("Continue").click()
    participant.button("Start").wait_for()
    assert server.answers()[0].answer["weight"] == weight


def test_percents_are_numbers_and_no_class_is_named_twice(host, person):
    server, participant = host("categorical"), person()
    page = participant.page
    participant.to_trials(server.link, RIGHT)
    participant.trial()
    top, second = (page.get_by_role("radiogroup", name=name) for name in ("1. Most", "2. Second"))
    top.get_by_label("cat").check()
    assert second.get_by_label("cat").is_disabled()
    second.get_by_label("dog").check()
    page.locator("#second_percent").fill("41")
    for text in ("", "abc", "-1", "101", "1e1", "12.345", "6 0", "60%", "0x10", "60"):  # the last: 101 together
        page.locator("#top_percent").fill(text)
        participant.button("Continue").click()
        wrong = page.locator("input[aria-invalid=true]")
        assert wrong.count() == 1
        assert page.locator(f"#{wrong.get_attribute('aria-describedby')}").is_visible()
        assert wrong.evaluate("node => node === document.activeElement")
    assert not server.answers()
    second.get_by_label("no second class").check()
    assert page.locator("#second_percent").is_disabled()
    impossible = page.get_by_role("group", name="3. Impossible")
    assert impossible.get_by_label("cat").is_disabled()
    impossible.get_by_label("dog").check()
    top.get_by_label("dog").check()  # which takes the tick back
    participant.button("Continue").click()
    participant.button("Start").wait_for()
    assert server.answers()[0].answer == {
        "task": "categorical",
        "top": 1,
        "top_percent": 60,
        "second": None,
        "second_percent": None,
        "impossible": [],
    }


def test_many_classes_are_in_a_list(host, person, tmp_path):
    server = host("vote")
    server.stop()
    file = server.folder / "study.json"
    study = json.loads(file.read_text())
    study["dataset"]["classes"] += [f"class {i}" for i in range(40)]
    file.write_text(json.dumps(study))
    for old in server.folder.glob("answers.sqlite*"):
        old.unlink()
    server.start()
    participant = person()
    participant.to_trials(server.link, RIGHT)
    participant.trial()
    participant.page.get_by_label("Class").select_option("class 7")
    participant.slide("confidence", 0.0)
    check_access(participant)
    participant.button("Continue").click()
    participant.button("Start").wait_for()
    assert server.answers()[0].answer == {"task": "vote", "label": 11, "confidence": 0.0}


def test_a_double_click_answers_once(host, person):
    server, participant = host("construct"), person()
    participant.to_trials(server.link, RIGHT)
    participant.answer("construct")
    participant.start()
    participant.trial()
    mouse = participant.page.mouse
    box = participant.button("Continue").bounding_box()
    mouse.move(box["x"] + 20, box["y"] + 20)
    # The second click, which the browser counts or (two taps) does not, comes when the next picture is there.
    for pause, count in ((100, 1), (450, 2)):
        for click in (1, count):
            mouse.down(click_count=click)
            mouse.up(click_count=click)
            participant.page.wait_for_timeout(pause)
        participant.trial()
    assert len(server.answers()) == 3
    assert participant.heading == "Picture 3 of 4"
    participant.button("Continue").focus()
    participant.page.keyboard.down("Enter")
    for _ in range(20):
        participant.page.keyboard.down("Enter")  # held: repeats
    participant.trial()
    assert len(server.answers()) == 4

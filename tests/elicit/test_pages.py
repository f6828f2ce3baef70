"""The pages of a study, clicked and typed through in headless Chromium."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright (pip install 'hilmix[dev]')")
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python (pip install 'hilmix[dev]')")

from axe_playwright_python.sync_playwright import Axe

from hilmix.elicit.manifest import TASKS, Task
from hilmix.elicit.rows import Rows
from hilmix.elicit.store import read_rows
from tests.elicit.browser import SIZES, SMALLEST, Person, Server, chromium, launched
from tests.elicit.studies import OFFERED, STATUS_TOKEN, make_study

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs Chromium (on Debian: apt-get install chromium)")

RIGHT = [1]
TRIALS = 5  # practice, one main, two catch, one repeat


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with launched() as started:
        yield started


@pytest.fixture
def person(browser) -> Iterator:
    """``person(size)``: somebody with a browser of their own."""
    contexts = []

    def come(**size: Any) -> Person:
        contexts.append(browser.new_context(**(size or SIZES["desktop"])))
        return Person(contexts[-1].new_page())

    yield come
    for context in contexts:
        context.close()


@pytest.fixture
def serve(tmp_path) -> Iterator:
    """``serve(task, ...)``: a study of one main trial per batch, until the test is over."""
    running: list[Server] = []

    def start(task: Task = "infer", *, clock: Any = None, **settings: Any) -> Server:
        folder = make_study(tmp_path / f"study{len(running)}", task, mains=1, **settings)
        running.append(Server(folder, **({"clock": clock} if clock else {})))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def check_access(person: Person) -> None:
    """Neither a serious finding of axe, nor a page wider than the window."""
    found = Axe().run(person.page).response["violations"]
    serious = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found
               if one["impact"] in ("serious", "critical")]  # fmt: skip
    assert not serious, serious
    wide, window = person.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window, f"{person.heading}: {wide} px in a window of {window}"
    assert person.page.locator("h1").count() == 1
    assert person.heading in person.page.title() or person.page.locator(".prose > h1").count() == 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("task", [t if t == "infer" else pytest.param(t, marks=pytest.mark.slow) for t in TASKS])
def test_a_whole_session(task, size, serve, person):
    server, somebody = serve(task), person(**SIZES[size])
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
    (survey,) = read_rows(server.folder / "answers.sqlite", Rows.surveys)
    assert (survey.clarity, survey.difficulty, survey.strategy) == (8, None, "I looked at the <b>ears</b>.")


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_pages_fit_the_smallest_phone_and_twice_the_size(task, serve, person):
    server = serve(task, batches=2)
    # Text of a desktop page at 200 % is laid out in a window of half its width and height.
    for size in (SMALLEST, {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2}):
        somebody = person(**size)
        somebody.to_trials(server.link, RIGHT)
        somebody.trial()
        check_access(somebody)
        somebody.answer_all(task)
        check_access(somebody)


def test_a_session_without_a_mouse(serve, person):
    server, somebody = serve("infer"), person()
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


@pytest.mark.parametrize(("share", "weight"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_left_end_of_the_slider_is_all_image_1(share, weight, serve, person):
    server, somebody = serve("infer"), person()
    somebody.to_trials(server.link, RIGHT)
    somebody.trial()
    somebody.slide("mix", share)
    somebody.slide("confidence", 1.0)
    assert (
        somebody.page.locator("output").first.inner_text()
        == f"{100 * weight:.0f} % dog, {100 - 100 * weight:.0f} % horse"
    )
    somebody.button("Continue").click()
    somebody.button("Start").wait_for()
    assert server.answers()[0].answer["weight"] == weight


def test_percents_are_numbers_and_no_class_is_named_twice(serve, person):
    server, somebody = serve("categorical"), person()
    page = somebody.page
    somebody.to_trials(server.link, RIGHT)
    somebody.trial()
    top, second = (page.get_by_role("radiogroup", name=name) for name in ("1. Most", "2. Second"))
    top.get_by_label("cat").check()
    assert second.get_by_label("cat").is_disabled()
    second.get_by_label("dog").check()
    page.locator("#second_percent").fill("41")
    for text in ("", "abc", "-1", "101", "1e1", "12.345", "6 0", "60%", "0x10", "60"):  # the last: 101 together
        page.locator("#top_percent").fill(text)
        somebody.button("Continue").click()
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
    somebody.button("Continue").click()
    somebody.button("Start").wait_for()
    assert server.answers()[0].answer == {
        "task": "categorical", "top": 1, "top_percent": 60, "second": None, "second_percent": None, "impossible": [],
    }  # fmt: skip


def test_many_classes_are_in_a_list(serve, person, tmp_path):
    server = serve("vote")
    server.stop()
    file = server.folder / "study.json"
    study = json.loads(file.read_text())
    study["dataset"]["classes"] += [f"class {i}" for i in range(40)]
    file.write_text(json.dumps(study))
    for old in server.folder.glob("answers.sqlite*"):
        old.unlink()
    server.start()
    somebody = person()
    somebody.to_trials(server.link, RIGHT)
    somebody.trial()
    somebody.page.get_by_label("Class").select_option("class 7")
    somebody.slide("confidence", 0.0)
    check_access(somebody)
    somebody.button("Continue").click()
    somebody.button("Start").wait_for()
    assert server.answers()[0].answer == {"task": "vote", "label": 11, "confidence": 0.0}


def test_reload_and_a_new_window_land_where_the_person_was(serve, person):
    server, somebody = serve("infer"), person()
    somebody.to_trials(server.link, RIGHT)
    somebody.answer("infer")
    somebody.start()
    somebody.answer("infer")
    trial, heading = somebody.trial(), somebody.heading
    assert heading == "Picture 2 of 4"
    somebody.page.reload()
    assert (somebody.trial(), somebody.heading) == (trial, heading)
    other = Person(somebody.page.context.new_page())
    other.page.goto(somebody.page.url)
    assert (other.trial(), other.heading) == (trial, heading)
    somebody.answer("infer")
    other.page.bring_to_front()
    other.answer("infer")  # it is answered already
    assert "another window" in other.page.locator(".notice").inner_text()
    assert other.heading == somebody.heading == "Picture 3 of 4"
    assert len(server.answers()) == 3


def test_the_back_button_stays_once_and_then_leaves(serve, person):
    server, somebody = serve("infer"), person()
    somebody.page.goto("about:blank")
    somebody.to_trials(server.link, RIGHT)
    somebody.answer("infer")
    somebody.start()
    trial = somebody.trial()
    somebody.page.go_back()
    somebody.page.locator(".notice").wait_for()
    assert somebody.trial() == trial
    somebody.answer("infer")
    assert somebody.trial() != trial
    somebody.page.go_back()
    somebody.page.locator(".notice").wait_for()
    somebody.page.go_back()
    assert somebody.page.url == "about:blank"
    somebody.page.go_forward()
    assert somebody.trial() != trial
    assert len(server.answers()) == 2


def test_a_double_click_answers_once(serve, person):
    server, somebody = serve("construct"), person()
    somebody.to_trials(server.link, RIGHT)
    somebody.answer("construct")
    somebody.start()
    somebody.trial()
    mouse = somebody.page.mouse
    box = somebody.button("Continue").bounding_box()
    mouse.move(box["x"] + 20, box["y"] + 20)
    # The second click, which the browser counts or (two taps) does not, comes when the next picture is there.
    for pause, count in ((100, 1), (450, 2)):
        for click in (1, count):
            mouse.down(click_count=click)
            mouse.up(click_count=click)
            somebody.page.wait_for_timeout(pause)
        somebody.trial()
    assert len(server.answers()) == 3
    assert somebody.heading == "Picture 3 of 4"
    somebody.button("Continue").focus()
    somebody.page.keyboard.down("Enter")
    for _ in range(20):
        somebody.page.keyboard.down("Enter")  # held: repeats
    somebody.trial()
    assert len(server.answers()) == 4


def test_a_lost_connection_loses_and_doubles_nothing(serve, person):
    server, somebody = serve("infer"), person()
    page = somebody.page
    somebody.to_trials(server.link, RIGHT)
    first = somebody.trial()
    server.stop()
    somebody.slide("mix", 0.2)
    somebody.slide("confidence", 0.9)
    somebody.button("Continue").click()
    page.get_by_text("Your answer is kept on this device").wait_for()
    somebody.button("Continue").click(no_wait_after=True)
    kept = json.loads(page.evaluate("Object.values(localStorage)[0]"))
    check_access_while_lost(somebody)
    server.start()
    somebody.button("Try now").click()
    page.locator(f'main:not([data-page="{first}"])').wait_for()
    assert page.locator("#connection").inner_text() == ""
    assert page.evaluate("localStorage.length") == 0
    assert [one.key for one in server.answers()] == [kept["key"]]


def check_access_while_lost(somebody: Person) -> None:
    assert somebody.page.locator("main").get_attribute("aria-busy") == "true"
    found = Axe().run(somebody.page).response["violations"]
    assert not [one["id"] for one in found if one["impact"] in ("serious", "critical")]


def test_an_answer_outlives_its_page(serve, person):
    server, somebody = serve("infer"), person()
    page = somebody.page
    somebody.to_trials(server.link, RIGHT)
    somebody.trial()
    page.route("**/answers", lambda route: route.abort())
    somebody.slide("mix", 0.2)
    somebody.slide("confidence", 0.9)
    somebody.button("Continue").click()
    page.get_by_text("Your answer is kept").wait_for()
    page.unroute("**/answers")
    page.reload()
    somebody.button("Start").wait_for()
    assert len(server.answers()) == 1


def test_a_lost_reply_is_asked_for_again_with_the_same_key(serve, person):
    server, somebody = serve("infer"), person()
    somebody.to_trials(server.link, RIGHT)
    keys = []

    def lose_the_first(route: Any) -> None:
        keys.append(route.request.post_data_json["key"])
        route.fetch()
        if len(keys) == 1:
            route.abort()
        else:
            route.continue_()

    somebody.page.route("**/answers", lose_the_first)
    somebody.answer("infer")
    somebody.button("Start").wait_for()
    assert len(keys) == 2
    assert [one.key for one in server.answers()] == keys[:1] == keys[1:]


def test_too_many_wrong_answers_end_the_study(serve, person):
    somebody = person()
    somebody.page.goto(serve("infer", check_attempts=2).link)
    somebody.consent()
    somebody.instructions()
    somebody.at("check")
    assert "You have 2 attempts left" in somebody.page.locator("main").inner_text()
    somebody.check([0])
    somebody.at("instructions")
    assert "You have one attempt left" in somebody.page.locator(".notice").inner_text()
    somebody.instructions()
    somebody.check([0])
    somebody.at("failed_check")
    check_access(somebody)


def test_an_expired_lease_offers_new_pictures_and_a_full_study_waits(serve, person):
    now = [1000.0]
    server = serve("infer", clock=lambda: now[0], batches=2, target_judgments=1, lease_minutes=60)
    late, other, third, fourth = (person() for _ in range(4))
    late.to_trials(server.link, RIGHT)
    other.page.goto(server.link)
    other.consent()
    third.page.goto(server.link)
    third.consent()
    third.at("full")
    check_access(third)
    third.button("Try again").click()
    assert "still none" in third.page.locator(".notice").inner_text()
    now[0] += 3601
    third.button("Try again").click()
    third.at("instructions")
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
    fourth.consent()
    fourth.at("full")


def test_withdrawing_deletes_and_an_unknown_link_is_told(serve, person):
    server, somebody = serve("infer"), person()
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


def test_pictures_keep_square_pixels_and_texts_bring_no_markup(serve, person):
    server, somebody = serve("infer"), person(**SIZES["phone"])
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


def test_the_researcher_sees_numbers(serve, person):
    server, somebody = serve("infer"), person()
    somebody.to_trials(server.link, RIGHT)
    somebody.answer_all("infer")
    for size in SIZES:
        watching = person(**SIZES[size])
        watching.page.goto(f"{server.origin}/status/{STATUS_TOKEN}")
        watching.page.locator("table").first.wait_for()
        check_access(watching)
        said = watching.page.locator("main").inner_text()
        assert "16 % (1 of 6)" in said  # one main trial of two batches, three judgments wanted
        assert "4 of 5" not in said
        assert "5 of 5" in said
        assert not watching.problems


PAGES = Path(__file__).parents[2] / "hilmix" / "elicit" / "pages"


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

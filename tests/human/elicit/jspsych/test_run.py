"""The exported folder under jsPsych 8 in headless Chromium, from the consent to the answers that it saves.

jsPsych is not ours to ship. To run this: ``npm pack jspsych@8``, unpack, and name the folder ``package`` in the
environment variable HILMIX_JSPSYCH.
"""

import functools
import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hilmix.human.elicit.answers.bodies import CONTROLS
from hilmix.human.elicit.answers.read import collect_answers
from hilmix.human.elicit.design.manifest import TASKS, Task, read_manifest
from hilmix.human.elicit.export import Export, export
from hilmix.human.elicit.jspsych.answers import import_answers
from tests.human.elicit.serve.browser import NEEDS_CHROMIUM, RIGHT, SIZES
from tests.human.elicit.studies import make_study

PACKAGE = os.environ.get("HILMIX_JSPSYCH")
pytestmark = [
    NEEDS_CHROMIUM,
    pytest.mark.slow,
    pytest.mark.skipif(PACKAGE is None, reason="needs jsPsych 8 from npm, in the folder that HILMIX_JSPSYCH names"),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hosted(tmp_path) -> Iterator:
    """``hosted(task)``: an exported study behind a server of files; (study folder, address)."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(task: Task) -> tuple[Path, str]:
        study, out = make_study(tmp_path / task, task, check_attempts=2), tmp_path / f"{task}-out"
        export(Export(study, out, "jspsych"))
        shutil.copyfile(Path(str(PACKAGE)) / "dist" / "index.browser.min.js", out / "jspsych.js")
        shutil.copyfile(Path(str(PACKAGE)) / "css" / "jspsych.css", out / "jspsych.css")
        handler = functools.partial(Quiet, directory=str(out))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return study, f"http://127.0.0.1:{servers[-1].server_address[1]}/?batch=1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(page, task: Task) -> None:
    for slider in page.locator("input[type=range]").all():
        slider.focus()
        page.keyboard.press("Home")
        for _ in range(20):
            page.keyboard.press("ArrowRight")
    if task == "construct":
        page.get_by_role("button", name="More").click()
    if task in ("vote", "select"):
        page.get_by_role("radio").nth(1).check()
    if task == "categorical":
        page.get_by_role("group", name="Most probable class", exact=True).get_by_label("dog").check()
        page.get_by_role("group", name="Second most").get_by_label("horse").check()
        for box, value in zip(page.locator("input[type=number]").all(), ("62.5", "30"), strict=True):
            box.fill(value)
        page.get_by_role("group", name="Impossible").get_by_label("cat").check()


def go_through(page, address: str, task: Task, rights: list[int]) -> list[dict]:
    """Through the whole study; ``rights`` are the answers to the check, try by try. Returns the rows that it saves."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.add_init_script("window.saveAnswers = (json) => (window.saved = json)")
    page.goto(address)
    go_on = page.locator("form button:not([type=button])")
    go_on.click()
    assert page.get_by_role("alert").inner_text() == "Tick every statement to take part."
    page.get_by_role("checkbox").check()
    go_on.click()
    for right in rights:
        go_on.click()
        page.get_by_role("radio").nth(right).check()
        go_on.click()
    while not page.evaluate("window.saved"):
        answer(page, task)
        go_on.click()
    assert not problems
    return json.loads(page.evaluate("window.saved"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("task", TASKS)
def test_a_session_under_jspsych(task, size, hosted, browser, tmp_path):
    study, address = hosted(task)
    context = browser.new_context(**SIZES[size])
    rows = go_through(context.new_page(), address, task, [0, *RIGHT])
    context.close()
    given = [row for row in rows if "trial" in row]
    trials = read_manifest(study).batches[1].trials
    assert sorted(row["trial"] for row in given) == sorted(trial.id for trial in trials)
    assert (given[0]["trial"], given[-1]["trial"]) == (trials[0].id, trials[-1].id), "practice first, repeats last"
    (tmp_path / "answers.json").write_text(json.dumps(rows))
    (taken,) = import_answers(study, [tmp_path / "answers.json"]).values()
    assert taken == len(trials)
    collected = collect_answers(study)
    assert [one.trial.id for one in collected.judgments] == [row["trial"] for row in given]
    for one in collected.judgments:
        assert set(CONTROLS[task]) <= set(one.row.touched)
        assert all(one.row.touched.values())
        assert one.row.answer["task"] == task
    assert (collected.participants[0].phase, collected.participants[0].attempts) == ("done", 1)
    if task == "infer":
        assert {(one.row.answer["weight"], one.row.answer["confidence"]) for one in collected.judgments} == {(0.8, 0.2)}

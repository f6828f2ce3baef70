"""A study served in this process over a real port, and people who use it in headless Chromium.

Whatever imports this is skipped where playwright or axe is missing.
"""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

pytest.importorskip("playwright", reason="needs playwright (pip install 'hilmix[dev]')")
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python (pip install 'hilmix[dev]')")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from hilmix.human.elicit.serve.app import create_app
from hilmix.human.elicit.store.database import read_rows
from hilmix.human.elicit.store.rows import AnswerRow, Rows
from tests.human.elicit.studies import STATUS_TOKEN, TOKEN

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
SMALLEST = {"viewport": {"width": 320, "height": 568}}
SIZES: dict[str, dict[str, Any]] = {"desktop": DESKTOP, "phone": PHONE}


def chromium() -> str | None:
    """Returns Debian's Chromium, or another that is installed; None where none is."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


NEEDS_CHROMIUM = pytest.mark.skipif(chromium() is None, reason="needs Chromium (on Debian: apt-get install chromium)")
RIGHT = [1]
"""The right answers to the check of tests.human.elicit.studies."""


@contextmanager
def launched() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Playwright leaves out the sandbox, which root in a container cannot have; only our pages are loaded.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--disable-gpu"])
        yield browser
        browser.close()


class Server:
    """Serves a study folder; may be stopped and started again at the same port."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.folder, self.clock = folder, clock
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = int(listener.getsockname()[1])
        self.start()

    def start(self) -> None:
        app = create_app(self.folder, study_token=TOKEN, status_token=STATUS_TOKEN, clock=self.clock)
        config = uvicorn.Config(app, port=self.port, access_log=False, log_level="warning", timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive(), "the server did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=20)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def link(self) -> str:
        return f"{self.origin}/join/{TOKEN}"

    def answers(self) -> list[AnswerRow]:
        return read_rows(self.folder / "answers.sqlite", Rows.read_answers)


class Person:
    """A participant at a page of the study, who clicks and types."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)

    @property
    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    def at(self, name: str) -> None:
        """Waits for a page: a phase, or "trial"."""
        self.page.locator(f'main[data-page^="{name}"]:not([aria-busy])').wait_for()

    def consent(self) -> None:
        self.at("consent")
        for box in self.page.get_by_role("checkbox").all():
            box.check()
        self.button("I agree, go on").click()

    def instructions(self) -> None:
        self.at("instructions")
        self.button("I have read this").click()

    def check(self, rights: list[int]) -> None:
        self.at("check")
        for group, right in zip(self.page.get_by_role("radiogroup").all(), rights, strict=True):
            group.get_by_role("radio").nth(right).check()
        self.button("Check my answers").click()

    def to_trials(self, link: str, rights: list[int]) -> None:
        """From the link to the first practice picture."""
        self.page.goto(link)
        self.consent()
        self.instructions()
        self.check(rights)
        self.start()

    def start(self) -> None:
        self.button("Start").click()
        self.at("trial")

    def trial(self) -> str:
        """Waits until the picture may be answered; returns the name of the trial."""
        self.at("trial")
        self.page.wait_for_timeout(400)  # the page takes no answer before
        return str(self.page.locator("main").get_attribute("data-page"))

    def answer(self, task: str) -> None:
        """Answers the trial at hand, and waits for the next page."""
        before = self.trial()
        ANSWERS[task](self)
        self.button("Continue").click()
        self.page.locator(f'main:not([data-page="{before}"]):not([aria-busy])').wait_for()

    def answer_all(self, task: str) -> int:
        """Answers everything up to the survey; returns how many pictures there were."""
        count = 0
        while not self.page.locator('main[data-page="survey"]').count():
            if self.button("Start").count():
                self.start()
            self.answer(task)
            count += 1
        return count

    def survey(self) -> None:
        self.at("survey")
        self.page.get_by_role("radiogroup", name="How clear").get_by_label("8", exact=True).check()
        self.page.get_by_label("How did you decide?").fill("I looked at the <b>ears</b>.")
        self.button("Finish").click()
        self.at("done")

    def slide(self, name: str, share: float) -> None:
        """Presses a slider at a share of its length."""
        slider = self.page.locator(f"#{name}")
        box = slider.bounding_box()
        assert box is not None
        thumb = 28  # px: its centre reaches the ends of the track only to half its size
        slider.click(position={"x": thumb / 2 + share * (box["width"] - thumb), "y": box["height"] / 2})


def serious_findings(person: Person) -> list[tuple[str, list[str]]]:
    """What axe has to say against a page, and where."""
    found = Axe().run(person.page).response["violations"]
    return [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def check_access(person: Person) -> None:
    """Neither a serious finding of axe, nor a page wider than the window; one heading, which the window names."""
    assert not (serious := serious_findings(person)), serious
    wide, window = person.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window, f"{person.heading}: {wide} px in a window of {window}"
    assert person.page.locator("h1").count() == 1
    assert person.heading in person.page.title() or person.page.locator(".prose > h1").count() == 1


def _construct(person: Person) -> None:
    person.button("More").click()
    person.button("More").click()
    person.page.keyboard.press("g")
    person.page.keyboard.press("ArrowRight")


def _select(person: Person) -> None:
    person.page.get_by_role("radio", name="Mix 3", exact=True).check()


def _infer(person: Person) -> None:
    person.slide("mix", 0.2)
    person.slide("confidence", 0.9)


def _categorical(person: Person) -> None:
    page = person.page
    page.get_by_role("radiogroup", name="1. Most").get_by_role("radio").nth(1).check()
    page.locator("#top_percent").fill("62,5")
    page.get_by_role("radiogroup", name="2. Second").get_by_role("radio").nth(0).check()
    page.locator("#second_percent").fill("30")
    page.get_by_role("group", name="3. Impossible").get_by_role("checkbox").nth(2).check()


def _vote(person: Person) -> None:
    person.page.get_by_role("radio").nth(1).check()
    person.slide("confidence", 0.5)


ANSWERS: dict[str, Callable[[Person], None]] = {
    "construct": _construct,
    "select": _select,
    "infer": _infer,
    "categorical": _categorical,
    "vote": _vote,
}

"""A study served in this process, with a clock that tests turn; or over a port, for people with a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hilmix.human.elicit.design.manifest import Task
from hilmix.human.elicit.serve.app import create_app
from hilmix.human.elicit.store.database import Job, T
from hilmix.human.elicit.store.rows import Rows
from tests.human.elicit.studies import STATUS_TOKEN, TOKEN, make_study


class Clock:
    """Seconds since 1970, standing still until moved on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Served:
    """A study folder behind a client. ``rows`` reads the answers file the way the server sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.app = create_app(folder, study_token=TOKEN, status_token=STATUS_TOKEN, clock=self.clock)
        self.client = TestClient(self.app)

    def rows(self, job: Job[T]) -> T:
        return self.app.state.context.store.run(job)

    def answers(self) -> list[tuple[int, int]]:
        return [(one.participant, one.trial) for one in self.rows(Rows.read_answers)]


@pytest.fixture
def serve() -> Iterator:
    """``serve(folder)``: serves a study folder until the test is over."""
    running: list[Served] = []

    def start(folder: Path) -> Served:
        running.append(Served(folder))
        return running[-1]

    yield start
    for served in running:
        served.app.state.context.store.close()


@pytest.fixture
def served(tmp_path: Path, serve) -> Served:
    """Two infer batches of three main trials each, one judgment wanted, leases of an hour, two tries at the check."""
    return serve(make_study(tmp_path / "study", target_judgments=1, check_attempts=2))


@pytest.fixture(scope="module")  # for as long as it is there, no other event loop can run
def browser() -> Iterator:
    from tests.human.elicit.serve.browser import launched

    with launched() as started:
        yield started


@pytest.fixture
def person(browser) -> Iterator:
    """``person(size)``: a participant with a browser of their own."""
    from tests.human.elicit.serve.browser import SIZES, Person

    contexts = []

    def come(**size: Any) -> Person:
        contexts.append(browser.new_context(**(size or SIZES["desktop"])))
        return Person(contexts[-1].new_page())

    yield come
    for context in contexts:
        context.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator:
    """``host(task, ...)``: a study of one main trial per batch, over a port until the test is over."""
    from tests.human.elicit.serve.browser import Server

    running: list[Server] = []

    def start(task: Task = "infer", *, clock: Any = None, **settings: Any) -> Server:
        folder = make_study(tmp_path / f"study{len(running)}", task, mains=1, **settings)
        running.append(Server(folder, **({"clock": clock} if clock else {})))
        return running[-1]

    yield start
    for server in running:
        server.stop()

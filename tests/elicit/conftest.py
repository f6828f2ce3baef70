"""A study served in this process, with a clock that tests turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from hilmix.elicit.app import create_app
from hilmix.elicit.rows import Rows
from hilmix.elicit.store import Job, T
from tests.elicit.studies import STATUS_TOKEN, TOKEN, make_study


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
        return self.app.state.desk.store.run(job)

    def answers(self) -> list[tuple[int, int]]:
        return [(one.participant, one.trial) for one in self.rows(Rows.answers)]


@pytest.fixture
def serve() -> Iterator:
    """``serve(folder)``: serves a study folder until the test is over."""
    running: list[Served] = []

    def start(folder: Path) -> Served:
        running.append(Served(folder))
        return running[-1]

    yield start
    for served in running:
        served.app.state.desk.store.close()


@pytest.fixture
def served(tmp_path: Path, serve) -> Served:
    """Two infer batches of three main trials each, one judgment wanted, leases of an hour, two tries at the check."""
    return serve(make_study(tmp_path / "study", target_judgments=1, check_attempts=2))

"""The real process: its links, its log, many people at once, and being killed in the middle of it."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from hilmix.errors import ConfigError, DataError
from hilmix.human.elicit.serve.process import Tokens, keep_tokens
from hilmix.human.elicit.store.database import read_rows
from hilmix.human.elicit.store.rows import Rows
from tests.human.elicit.studies import LINK, TOKEN, make_study, submission

ROOT = Path(__file__).parents[4]


class Process:
    """``hilmix elicit serve`` on a free port. ``links`` are what it prints, ``log`` its output until its end."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        command = [sys.executable, "-m", "hilmix", "elicit", "serve", str(folder), "--port", str(port), *options]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"COLUMNS": "40"},
        )
        assert self.process.stdout is not None
        # All that it prints before it serves: communicate() would not see what readline() has read ahead.
        self.log = [self.process.stdout.readline() for _ in range(3)]
        self.links = re.findall(r"http://\S+", "".join(self.log))
        for _ in range(300):
            with socket.socket() as connection:
                if connection.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("the server does not listen")

    def end(self, number: signal.Signals) -> str:
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=20)
        return "".join(self.log) + rest


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Person:
    """Goes through the study until the server is gone; remembers what was acknowledged, and what was not."""

    def __init__(self, link: str) -> None:
        self.base = link.partition("/join")[0]
        self.link = link
        self.me = ""
        self.acknowledged: dict[int, dict[str, Any]] = {}
        self.open: dict[str, Any] | None = None

    def go(self) -> None:
        try:
            with httpx.Client(base_url=self.base, timeout=10) as client:
                self._go(client)
        except httpx.TransportError:
            return

    def _go(self, client: httpx.Client) -> None:
        self.me = self.me or "/api" + client.get(self.link).headers["location"]
        state = client.get(self.me).json()
        steps = {"consent": {"accepted": True}, "instructions": {"read": True}, "check": {"answers": [1]}}
        while state["phase"] in steps:
            state = client.post(f"{self.me}/{state['phase']}", json=steps[state["phase"]]).json()
        while state["trial"] is not None or self.open is not None:
            self.open = self.open or submission(state, seconds=time.time() % 100)
            reply = client.post(f"{self.me}/answers", json=self.open)
            assert reply.status_code == 200, reply.text
            assert reply.json()["key"] == self.open["key"]
            self.acknowledged[self.open["trial"]] = self.open
            self.open, state = None, reply.json()["state"]
        assert state["phase"] == "survey"


def test_kill_9_in_the_middle_loses_and_doubles_nothing(tmp_path):
    folder, port = make_study(tmp_path / "s", batches=2, mains=40, target_judgments=100), free_port()
    server = Process(folder, port)
    people = [Person(server.links[0]) for _ in range(6)]
    threads = [threading.Thread(target=person.go) for person in people]
    for thread in threads:
        thread.start()
    while sum(len(person.acknowledged) for person in people) < 60:
        time.sleep(0.01)
    log = server.end(signal.SIGKILL)
    for thread in threads:
        thread.join()
    before = {person.me: dict(person.acknowledged) for person in people}
    assert any(person.open for person in people), "a participant was in the middle of it"

    again = Process(folder, port)
    assert again.links == server.links, "links stay"
    stored = _stored(folder)
    for me, acknowledged in before.items():
        for trial, sent in acknowledged.items():
            assert stored[me][trial] == (sent["key"], sent["answer"], sent["seconds"])
    for person in people:
        person.go()
    log += again.end(signal.SIGINT)
    stored = _stored(folder)
    for person in people:
        assert len(stored[person.me]) == 44 == len(person.acknowledged), "every trial once"
        assert {trial: one[0] for trial, one in stored[person.me].items()} == {
            trial: sent["key"] for trial, sent in person.acknowledged.items()
        }
    links = [
        f"participants  {server.links[0]}",
        f"status        {server.links[1]}",
        "Stop with Ctrl+C; nothing is lost.",
    ]
    assert [line for line in log.splitlines() if line] == links * 2, "no code, no address of a participant, no error"


def _stored(folder: Path) -> dict[str, dict[int, tuple[str, dict[str, Any], float]]]:
    people = {one.number: one.code for one in read_rows(folder / "answers.sqlite", Rows.read_participants)}
    out: dict[str, dict[int, tuple[str, dict[str, Any], float]]] = {f"/api/p/{code}": {} for code in people.values()}
    for one in read_rows(folder / "answers.sqlite", Rows.read_answers):
        mine = out[f"/api/p/{people[one.participant]}"]
        assert one.trial not in mine, "doubled"
        mine[one.trial] = (one.key, one.answer, one.seconds)
    return out


def test_sixty_people_at_once_each_sending_everything_twice(tmp_path, serve):
    """No error, no lost row, no doubled row; batches stay level; a second tab never overwrites."""
    served = serve(make_study(tmp_path / "s", batches=3, mains=3, target_judgments=20))
    statuses: list[int] = []

    async def person(client: httpx.AsyncClient) -> None:
        me = "/api" + (await client.get(LINK)).headers["location"]
        for path, body in (
            ("consent", {"accepted": True}),
            ("instructions", {"read": True}),
            ("check", {"answers": [1]}),
        ):
            state = (await client.post(f"{me}/{path}", json=body)).json()
        while state["trial"] is not None:
            sent = submission(state)
            twice = await asyncio.gather(*(client.post(f"{me}/answers", json=sent) for _ in range(2)))
            other = await client.post(f"{me}/answers", json=sent | {"key": str(uuid.uuid4())})
            statuses.extend([*(reply.status_code for reply in twice), other.status_code - 209])
            assert twice[0].json()["key"] == twice[1].json()["key"] == sent["key"]
            state = twice[0].json()["state"]
        assert state["phase"] == "survey"

    async def crowd() -> None:
        transport = httpx.ASGITransport(served.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await asyncio.gather(*(person(client) for _ in range(60)))

    asyncio.run(crowd())
    assert set(statuses) == {200}
    people = served.rows(Rows.read_participants)
    assert [sum(one.batch == batch for one in people) for batch in range(3)] == [20, 20, 20]
    assert sorted(served.answers()) == sorted((one.number, trial) for one in people for trial in one.order)


def test_tokens_are_drawn_once_kept_and_replaced_when_given(tmp_path):
    folder = make_study(tmp_path / "s")
    drawn = keep_tokens(folder)
    assert len({*drawn}) == 2
    assert min(len(token) for token in drawn) == 24
    assert keep_tokens(folder) == drawn
    assert keep_tokens(folder, study=TOKEN) == (TOKEN, drawn.status)
    assert keep_tokens(folder).study == TOKEN
    assert drawn.build_links("::1", 80)["status"] == f"http://[::1]:80/status/{drawn.status}"


@pytest.mark.parametrize("token", ["short", "with/slash-and-more", "", "x" * 101, "ünicode-token"])
def test_tokens_that_no_link_can_hold_are_refused(tmp_path, token):
    with pytest.raises(ConfigError, match="status token must be 8 to 100"):
        keep_tokens(make_study(tmp_path / "s"), status=token)


def test_participants_must_not_hold_the_status_token(tmp_path):
    folder = make_study(tmp_path / "s")
    kept: Tokens = keep_tokens(folder)
    with pytest.raises(ConfigError, match="must differ"):
        keep_tokens(folder, study=kept.status)
    assert keep_tokens(folder) == kept


def test_another_manifest_is_refused(tmp_path):
    folder = make_study(tmp_path / "s")
    keep_tokens(folder)
    manifest = folder / "study.json"
    manifest.write_text(manifest.read_text().replace("Thanks!", "Thank you!"))
    with pytest.raises(DataError, match=r"another study\.json"):
        keep_tokens(folder)

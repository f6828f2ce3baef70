"""People at a server, each on a connection of their own, who send something once a second whatever the reply."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import httpx

from hilmix.human.elicit.design.manifest import Manifest
from hilmix.human.elicit.simulation.behaviour import Behaviour
from hilmix.human.elicit.simulation.participants import SimulatedParticipant

PERIOD = 1.0
TIME_LIMIT, LONGEST_WAIT = 15.0, 20.0
"""Seconds until a request is given up, and until it is sent again at the latest: those of elicit/pages/api.js."""
now = time.monotonic


class Reply(NamedTuple):
    """A request that was granted: what for, when it was due and when it was answered, connections lost meanwhile."""

    what: str
    due: float
    came: float
    lost: int


class Loss(NamedTuple):
    """A connection that was lost: when the request was sent, and when that was noticed."""

    sent: float
    noticed: float


@dataclass
class Log:
    """Replies that all clients have seen. ``errors``: every reply that was not the one expected."""

    replies: list[Reply] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class FailedError(Exception):
    """A reply that is not the one expected; the client that gets it stops."""


class Client:
    """Does a turn a second, and sends again what a lost connection has cut off, as the page of a study does."""

    def __init__(self, base: str, log: Log) -> None:
        # No certificates to load, and no proxy between us and our own server.
        self.http = httpx.AsyncClient(base_url=base, timeout=TIME_LIMIT, verify=False, trust_env=False)
        self.log = log
        self.lost = 0

    async def turn(self, due: float) -> None:
        """Sends what is due."""
        raise NotImplementedError

    async def go_on(self, start: float, end: float) -> None:
        """Takes turns until the end, the first within a second of the start.

        A late reply does not put off the next turn. Only who was cut off leaves out the turns of that time: a page that
        waits for its connection takes no further answer.
        """
        due = start + random.random() * PERIOD
        while due < end:
            await asyncio.sleep(due - now())
            lost = self.lost
            try:
                await self.turn(due)
            except FailedError as failed:
                self.log.errors.append(str(failed))
                return
            due += PERIOD
            while self.lost > lost and due < now():
                due += PERIOD

    async def send(
        self, what: str, method: str, path: str, *, due: float | None = None, body: object = None, status: int = 200
    ) -> httpx.Response:
        """Sends until there is a reply, and returns it.

        Raises:
            FailedError: if it has another status.
        """
        due = now() if due is None else due
        for tries in count():
            sent = now()
            try:
                reply = await self.http.request(method, path, json=body)
                break
            except httpx.TransportError:
                self.log.losses.append(Loss(sent, now()))
                self.lost += 1
                await asyncio.sleep(min(LONGEST_WAIT, 2**tries))
        if reply.status_code != status:
            raise FailedError(f"{what}: status {reply.status_code}, {reply.text[:200]}")
        self.log.replies.append(Reply(what, due, now(), tries))
        return reply


class Participant(Client):
    """Goes through a study as its page does, pictures included; remembers every answer that was acknowledged."""

    def __init__(self, link: str, study: Manifest, number: int, log: Log) -> None:
        base, _, token = link.partition("/join/")
        super().__init__(base, log)
        self.join = f"/join/{token}"
        self.mind = SimulatedParticipant(link, study, Behaviour(), (0, number))
        self.me = ""
        self.state: dict[str, Any] = {}
        self.seen: set[str] = set()
        self.given: dict[int, dict[str, Any]] = {}

    async def begin(self) -> None:
        """Joins, and does everything up to the first trial."""
        try:
            self.me = "/api" + (await self.send("join", "GET", self.join, status=303)).headers["location"]
            self.state = (await self.send("step", "GET", self.me)).json()
            while self.state["trial"] is None:
                step, body = self.mind.body(self.state) or ("", {})
                self.state = (await self.send("step", "POST", f"{self.me}/{step}", body=body)).json()
            await self._look("first picture", [*self.state["trial"]["images"], *self.state["preload"]])
        except FailedError as failed:
            self.log.errors.append(str(failed))

    async def turn(self, due: float) -> None:
        _, body = self.mind.body(self.state) or ("", {})
        trial, expected = body["trial"], (body["trial"], body["key"], body["answer"])
        saved = (await self.send("answer", "POST", f"{self.me}/answers", due=due, body=body)).json()
        if (saved["trial"], saved["key"], saved["answer"]) != expected:
            raise FailedError(f"answer: {expected} was sent, and {saved} was stored")
        if trial in self.given:
            raise FailedError(f"answer: trial {trial} was shown again after its answer was acknowledged")
        self.given[trial] = body
        self.state = saved["state"]
        await self._look("picture", self.state["preload"])

    async def _look(self, what: str, addresses: Sequence[str]) -> None:
        """Loads pictures; those loaded before are in the browser's memory."""
        for address in addresses:
            if address not in self.seen:
                self.seen.add(address)
                await self.send(what, "GET", address)


class Sender(Client):
    """Sends the same body every second."""

    def __init__(self, base: str, body: object, log: Log) -> None:
        super().__init__(base, log)
        self.body = body

    async def turn(self, due: float) -> None:
        await self.send("answer", "POST", "/answers", due=due, body=self.body)

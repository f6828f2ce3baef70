"""Simulated participants: they go through a study as participants do, over HTTP, one client each, one after the other.

One after the other, so that the same seed gives the same answers to the same new study, whatever the machine.
"""

import socket
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import uvicorn

from hilmix.errors import ConfigError, DataError
from hilmix.human.elicit.answers.bodies import CONTROLS
from hilmix.human.elicit.design.manifest import ANSWERS, Manifest, Task, Trial, read_manifest
from hilmix.human.elicit.serve.app import create_app
from hilmix.human.elicit.serve.flow import convert_weight, disguise_weights
from hilmix.human.elicit.serve.process import keep_tokens
from hilmix.human.elicit.serve.rate import TokenBucket
from hilmix.human.elicit.simulation.behaviour import Behaviour, draw_answer, draw_seconds
from hilmix.human.elicit.store.database import read_rows
from hilmix.human.elicit.store.lock import lock_study
from hilmix.human.elicit.store.rows import Rows

COMMENT = "hilmix elicit simulate"
"""Comment of simulated participants in the survey, which distinguishes them from real ones."""
_TIMEOUT = 30.0


class Outcome(NamedTuple):
    """Progress of a simulated participant."""

    behaviour: Behaviour
    phase: str
    answers: int


def simulate(
    link: str, study: Manifest, *, participants: int, behaviours: Sequence[Behaviour], seed: int = 0
) -> tuple[Outcome, ...]:
    """Sends participants through a study that is being served, and returns how far each came.

    Args:
        link: the participants' link.
        study: what is served there: the pages do not tell how strongly two images are mixed.
        participants: how many.
        behaviours: which they take in turn.
        seed: of all answers.

    Raises:
        ConfigError: for fewer than one participant or behaviour, or a negative seed.
        DataError: if the server cannot be reached, refuses a step, or serves another study.
    """
    if participants < 1:
        raise ConfigError(f"`participants` must be >= 1, got {participants}.")
    if seed < 0:
        raise ConfigError(f"`seed` must be >= 0, got {seed}.")
    if not behaviours:
        raise ConfigError("`behaviours` must have at least one, got none.")
    turns = islice(cycle(behaviours), participants)
    return tuple(
        SimulatedParticipant(link, study, behaviour, (seed, number)).go() for number, behaviour in enumerate(turns)
    )


def simulate_study(
    folder: Path, *, participants: int, behaviours: Sequence[Behaviour], seed: int = 0
) -> tuple[Outcome, ...]:
    """Serves a study without participants on a free port of this machine, and sends participants through it.

    Raises:
        ConfigError: as :func:`simulate`.
        DataError: if the study has participants already, whose answers would be mixed with simulated ones; or as
            :func:`simulate`.
    """
    study, file = read_manifest(folder), folder / ANSWERS
    # A file without participants is what stopping a server before anyone joined leaves.
    if file.exists() and read_rows(file, Rows.read_participants):
        raise DataError(
            f"{folder} has participants already, and simulated answers would be mixed with theirs. Simulate in a copy "
            f"of the folder without {ANSWERS}."
        )
    # The lock, as for any server: another one would hand out the same trials.
    with lock_study(folder), run_server(folder) as link:
        return simulate(link, study, participants=participants, behaviours=behaviours, seed=seed)


@contextmanager
def run_server(folder: Path) -> Iterator[str]:
    """Serves a study on a free port of this machine, in a thread; yields the participants' link."""
    tokens = keep_tokens(folder)
    # participants of our own making may join as fast as they can
    app = create_app(folder, study_token=tokens.study, status_token=tokens.status, joins=TokenBucket(burst=sys.maxsize))
    # The protocol must be named: only then does asyncio send at once, and else each reply waits 40 ms for more to send.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning", timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, args=([listener],), name="hilmix-elicit-simulate")
        thread.start()
        try:
            # Connections wait in the socket's queue until the server takes them, so there is nothing to wait for.
            yield tokens.build_links("127.0.0.1", listener.getsockname()[1])["participants"]
        finally:
            server.should_exit = True
            thread.join()


class SimulatedParticipant:
    """One participant. Draws depend on seed, participant and trial alone, not on the order of the trials."""

    def __init__(self, link: str, study: Manifest, behaviour: Behaviour, stream: tuple[int, int]) -> None:
        self.link, self.study, self.behaviour, self.stream = link, study, behaviour, stream
        self.trials: dict[int, Trial] = {trial.id: trial for batch in study.batches for trial in batch.trials}

    def go(self) -> Outcome:
        try:
            with httpx.Client(timeout=_TIMEOUT, trust_env=False) as client:  # no proxy between us and our own server
                return self._go(client)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DataError(f"The study does not answer: {error}. Is it being served, and the link whole?") from error

    def _go(self, client: httpx.Client) -> Outcome:
        reply = client.get(self.link)
        if reply.status_code != 303:
            raise DataError(
                f"The link does not lead into a study: {_error_text(reply)} Take what hilmix elicit serve prints."
            )
        start = self.link.partition("/join/")[0]
        self.me = f"{start}/api{reply.headers['location']}"
        state = self._json(client.get(self.me))
        given = 0
        while (body := self.body(state)) is not None:
            path, sent = body
            state = self._json(client.post(f"{self.me}/{path}", json=sent))
            if path == "answers":
                state, given = state["state"], given + 1
        return Outcome(self.behaviour, state["phase"], given)

    def _json(self, reply: httpx.Response) -> dict[str, Any]:
        if reply.status_code != 200:
            raise DataError(f"The study refused a step of a simulated participant: {_error_text(reply)}")
        state: dict[str, Any] = reply.json()
        return state

    def body(self, state: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """Returns path and body of the next request; None at an end."""
        phase = state["phase"]
        if phase == "consent":
            return "consent", {"accepted": True}
        if phase == "instructions":
            return "instructions", {"read": True}
        if phase == "check":
            questions = self.study.checks.get(state["task"], ())
            return "check", {"answers": [question.right for question in questions]}
        if phase in ("practice", "trials"):
            return "answers", self._submission(state["task"], state["trial"])
        if phase == "survey":
            return "survey", {"clarity": None, "difficulty": None, "strategy": "", "comments": COMMENT}
        return None

    def _submission(self, task: Task, view: dict[str, Any]) -> dict[str, Any]:
        trial = self.trials.get(view["id"])
        if trial is None or self.study.stimuli[trial.stimulus].task != task:
            raise DataError(
                f"The server shows trial {view['id']} of task {task}, which is not in study.json: give its study."
            )
        # A generator per trial: answers do not depend on the order in which trials are drawn.
        rng, shown = np.random.default_rng([*self.stream, trial.id]), self.study.stimuli[trial.stimulus]
        real = None if shown.weights is None else dict(zip(disguise_weights(shown) or (), shown.weights, strict=True))
        drawn = draw_answer(
            self.behaviour,
            shown,
            trial.kind,
            offered=None if real is None else [real[weight] for weight in view["weights"]],
            num_classes=len(self.study.dataset.classes),
            rng=rng,
        )
        took, touched = draw_seconds(self.behaviour, rng), self.behaviour.name != "untouched"
        return {
            # From the generator: the same seed stores the same rows.
            "key": str(uuid.UUID(bytes=rng.bytes(16), version=4)),
            "trial": trial.id,
            "answer": convert_weight(drawn, shown.weights, disguise_weights(shown)),
            "seconds": took,
            "touched": dict.fromkeys(CONTROLS[task], touched),
            "times": dict.fromkeys(CONTROLS[task], took) if touched else {},
        }


def _error_text(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"status {reply.status_code}."

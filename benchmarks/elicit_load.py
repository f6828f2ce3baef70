"""``hilmix elicit serve`` under 200 people who answer once a second, and kill -9 in the middle of it.

One server process and all people share two cores. Wall time, on loopback, each answer from when it was due.
``python -m benchmarks.elicit_load`` ends with status 1 if an answer was lost or doubled, a request went wrong, or 95 %
of the answers were not there within 100 ms.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.crowd import Client, Log, Participant, Reply, Sender, now
from benchmarks.server import Server, free_port
from benchmarks.timing import Result
from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.human.elicit.design.build import build_study
from hilmix.human.elicit.design.manifest import ANSWERS, Manifest
from hilmix.human.elicit.design.settings import Design
from hilmix.human.elicit.serve.process import keep_tokens
from hilmix.human.elicit.store.database import read_rows
from hilmix.human.elicit.store.rows import Rows

PEOPLE, SECONDS = 200, 60.0
BARE_SECONDS = 20.0
PER_BATCH = 90
"""Mixes for each person; more than there are seconds."""
IMAGES, PIXELS, CLASSES = 1000, 32, 10
GOAL = 100.0
"""Milliseconds."""
CORES = 2
WHAT = f"elicit: {PEOPLE} people"
BODY = {
    "key": "00000000-0000-4000-8000-000000000000",
    "trial": 1000,
    "answer": {"task": "infer", "weight": 0.25, "confidence": 0.75},
    "seconds": 8.125,
    "touched": {"mix": True, "confidence": True},
    "times": {"mix": 8.125, "confidence": 8.125},
}
"""An answer, for the server that only stores it."""


class Outage(NamedTuple):
    """Times of the server's kill and end, and the cores that it and the clients had kept busy until then."""

    began: float
    gone: float
    server: float
    clients: float


def made_up_study(folder: Path) -> Manifest:
    """A study of noise, in which there is work for all."""
    rng = np.random.default_rng(0)
    item = np.arange(IMAGES)
    label = rng.integers(0, CLASSES, IMAGES)
    votes = Annotations.build(
        item,
        np.zeros_like(item),
        label,
        num_items=IMAGES,
        classes=[f"class-{c}" for c in range(CLASSES)],
        annotators=["a"],
    )
    images = rng.integers(0, 256, (IMAGES, PIXELS, PIXELS, 3), dtype=np.uint8)
    data = AnnotatedData("noise", tuple(map(str, item)), ArrayInputs(images, "image"), votes, label)
    design = Design(tasks=("infer", "categorical", "vote"), pairs=2 * PER_BATCH, per_batch=PER_BATCH, judgments=PEOPLE)
    return build_study(data, folder, design)


async def go_on(people: Sequence[Client], seconds: float) -> None:
    start = now()
    await asyncio.gather(*(one.go_on(start, start + seconds) for one in people))


async def kill_in_the_middle(server: Server) -> Outage:
    """Kills the server after half of the time, and starts it again at once."""
    start, server_before, clients_before = now(), server.cpu_seconds(), time.process_time()
    await asyncio.sleep(SECONDS / 2)
    passed = now() - start
    shares = (server.cpu_seconds() - server_before) / passed, (time.process_time() - clients_before) / passed
    began = now()
    await asyncio.to_thread(server.end, signal.SIGKILL)
    gone = now()
    await asyncio.to_thread(server.start)
    return Outage(began, gone, *shares)


async def load(server: Server, people: Sequence[Participant]) -> Outage:
    """All join; then all answer, through the outage in the middle."""
    await asyncio.gather(*(one.begin() for one in people))
    _, outage = await asyncio.gather(go_on(people, SECONDS), kill_in_the_middle(server))
    return outage


def differences(folder: Path, people: Sequence[Participant]) -> tuple[int, int]:
    """Returns how many acknowledged answers are not stored as they were sent, and how many rows are beyond those."""
    codes = {one.number: one.code for one in read_rows(folder / ANSWERS, Rows.read_participants)}
    rows = read_rows(folder / ANSWERS, Rows.read_answers)
    stored = {
        (f"/api/p/{codes[row.participant]}", row.trial): (row.key, row.answer, row.seconds, row.touched, row.times)
        for row in rows
    }
    sent = {
        (one.me, trial): (body["key"], body["answer"], body["seconds"], body["touched"], body["times"])
        for one in people
        for trial, body in one.given.items()
    }
    lost = sum(stored.get(place) != content for place, content in sent.items())
    return lost, len(rows) - len(stored.keys() & sent.keys())


def results(log: Log, outage: Outage, lost: int, doubled: int, bare: Log) -> list[Result]:
    """Results: the answers that were sent again, or were due while the server was down, apart from the others."""
    back = min(reply.came for reply in log.replies if reply.lost or reply.due > outage.gone)
    put_off = [bool(r.lost) or outage.began <= r.due <= back for r in log.replies]
    hit = [r for r, off in zip(log.replies, put_off, strict=True) if off and r.what == "answer"]
    others = [r for r, off in zip(log.replies, put_off, strict=True) if not off]
    astray = sum(not (loss.noticed > outage.began and loss.sent < back) for loss in log.losses)
    for error in log.errors[:10]:
        print(error, file=sys.stderr)
    within = {part: within_ms(others, "answer", part) for part in (50, 95, 99, 100)}
    bare_95 = within_ms(bare.replies, "answer", 95)
    before = sum(r.what == "answer" and r.came < outage.began for r in log.replies)
    return [
        *(
            Result(f"{WHAT}, {part} % of the answers within", ms, "ms", GOAL if part == 95 else None)
            for part, ms in within.items()
        ),
        Result(f"{WHAT}, 95 % of the pictures within", within_ms(others, "picture", 95), "ms"),
        Result(f"{WHAT}, bare endpoint with one flushed insert, 95 % of the answers within", bare_95, "ms"),
        Result(f"{WHAT}, time of 95 % of the answers", within[95] / bare_95, "x bare endpoint"),
        Result(f"{WHAT}, answers a second until kill -9", before / (SECONDS / 2), ""),
        Result(f"{WHAT}, cores that the server keeps busy", outage.server, ""),
        Result(f"{WHAT}, cores that the people keep busy", outage.clients, ""),
        Result(f"{WHAT}, from kill -9 to the first reply", back - outage.began, "s"),
        Result(f"{WHAT}, answers that this put off", len(hit), ""),
        Result(f"{WHAT}, from kill -9 to the last of them", max(r.came for r in hit) - outage.began, "s"),
        Result(f"{WHAT}, acknowledged answers", sum(r.what == "answer" for r in log.replies), ""),
        Result(f"{WHAT}, of these lost or changed", lost, "", 0),
        Result(f"{WHAT}, rows doubled or not sent", doubled, "", 0),
        Result(f"{WHAT}, errors", len(log.errors) + astray, "", 0),
    ]


def within_ms(replies: Iterable[Reply], what: str, part: int) -> float:
    """Milliseconds from when a request was due within which this percentage was answered."""
    return 1000 * float(np.percentile([reply.came - reply.due for reply in replies if reply.what == what], part))


def measure() -> list[Result]:
    """Bare endpoint and study, one after the other, on the same disk and cores."""
    with two_cores(), tempfile.TemporaryDirectory() as place:
        bare = measure_bare(Path(place) / "bare.sqlite")
        folder, port, log = Path(place) / "study", free_port(), Log()
        study = made_up_study(folder)
        link = keep_tokens(folder).build_links("127.0.0.1", port)["participants"]
        people = [Participant(link, study, number, log) for number in range(PEOPLE)]
        with Server("hilmix", "elicit", "serve", str(folder), "--port", str(port), port=port) as server:
            outage = asyncio.run(load(server, people))
        return results(log, outage, *differences(folder, people), bare)


def measure_bare(file: Path) -> Log:
    """As many bodies of the same size, to a server that does nothing but store them."""
    port, log = free_port(), Log()
    people = [Sender(f"http://127.0.0.1:{port}", BODY, log) for _ in range(PEOPLE)]
    with Server("benchmarks.elicit_bare", str(file), str(port), port=port):
        asyncio.run(go_on(people, BARE_SECONDS))
    return log


@contextmanager
def two_cores() -> Iterator[None]:
    """Keeps this process, and those it starts, on two cores."""
    before = os.sched_getaffinity(0)
    if len(before) < CORES:
        raise SystemExit(f"This measures on {CORES} cores; the process may use {len(before)}.")
    os.sched_setaffinity(0, sorted(before)[:CORES])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


if __name__ == "__main__":
    found = measure()
    print(*found, sep="\n")
    sys.exit(any(result.goal is not None and result.value > result.goal for result in found))

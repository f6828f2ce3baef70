"""Small studies made by hand, and people who go through them over HTTP."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from hilmix.human.elicit.design.manifest import (
    Batch,
    Check,
    Dataset,
    Manifest,
    Settings,
    Stimulus,
    Task,
    Trial,
    write_manifest,
)

CLASSES = ("cat", "dog", "frog", "horse")
OFFERED = (0.0, 0.25, 0.5, 0.75, 1.0)
TOKEN, STATUS_TOKEN = "join-this-study", "look-at-the-numbers"
LINK = f"/join/{TOKEN}"


def make_study(folder: Path, task: Task = "infer", *, batches: int = 2, mains: int = 3, **settings: Any) -> Path:
    """A study whose batches have a practice trial, ``mains`` main trials, two catch trials and a repeat."""
    return make_tasks(folder, [task] * batches, mains=mains, **settings)


def make_tasks(folder: Path, tasks: list[Task], *, mains: int = 3, **settings: Any) -> Path:
    stimuli: list[Stimulus] = []
    made: list[Batch] = []
    number = 0
    for place, task in enumerate(tasks):
        trials: list[Trial] = []
        for kind in ("practice", *["main"] * mains, "catch", "catch", "repeat"):
            repeated = next(t for t in trials if t.kind == "main") if kind == "repeat" else None
            shown = stimuli[repeated.stimulus] if repeated else stimulus(len(stimuli), task, catch=kind == "catch")
            if repeated is None:
                stimuli.append(shown)
            start = shown.weights[0] if task == "construct" and shown.weights else None
            trials.append(
                Trial(id=number, stimulus=shown.id, kind=kind, of=repeated.id if repeated else None, start=start)
            )
            number += 1
        made.append(Batch(id=place, task=task, trials=tuple(trials)))
    text = "Read **this**. <script>alert(1)</script>"
    study = Manifest(
        name="Cats & dogs",
        seed=7,
        hilmix="0.1.0",
        dataset=Dataset(name="toy", licence=None, num_items=100, classes=CLASSES, sha256="0" * 64),
        wording="third",
        consent=f"{text}\n\n- [ ] I agree <b>to all</b>.\n",
        instructions={task: f"{text} {task}" for task in tasks},
        thanks="Thanks!",
        completion_code="C0DE",
        settings=Settings(**settings),
        checks={task: (Check(question="What?", choices=("a", "b"), right=1),) for task in tasks},
        stimuli=tuple(stimuli),
        batches=tuple(made),
    )
    (folder / "images").mkdir(parents=True)
    for name in {name for shown in stimuli for name in shown.images}:
        Image.new("RGB", (4, 4)).save(folder / "images" / name)
    write_manifest(study, folder)
    return folder


def stimulus(number: int, task: Task, *, catch: bool = False) -> Stimulus:
    midpoint = task in ("construct", "select")
    weights = ((0.0, 0.5, 1.0) if catch else OFFERED) if midpoint else None
    names = [hashlib.sha256(f"{number}/{i}".encode()).hexdigest()[:16] + ".png" for i in range(len(weights or [0]))]
    return Stimulus(
        id=number,
        task=task,
        id1=2,
        id2=5,
        item1="two",
        item2="five",
        label1=1,
        label2=3,
        weight=None if midpoint else 1.0 if catch else 0.5,
        images=tuple(names),
        weights=weights,
        sha256=tuple("0" * 64 for _ in names),
    )


def fitting_answer(state: dict[str, Any]) -> dict[str, Any]:
    """An honest answer to the trial at hand: the middle, or the class of image 1."""
    task, trial = state["task"], state["trial"]
    if task == "construct":
        return {"task": task, "weight": 0.5}
    if task == "select":
        return {"task": task, "weight": 0.5, "position": trial["weights"].index(0.5)}
    if task == "infer":
        return {"task": task, "weight": 0.8, "confidence": 0.25}
    if task == "categorical":
        return {"task": task, "top": 1, "top_percent": 60, "second": 3, "second_percent": 12.5, "impossible": [0]}
    return {"task": task, "label": 1, "confidence": 1}


def submission(state: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "key": str(uuid.uuid4()),
        "trial": state["trial"]["id"],
        "answer": fitting_answer(state),
        "seconds": 2.5,
        "touched": {"mix": True},
        "times": {"mix": 1.25},
    } | changes


def joined(client: httpx.Client, **query: str) -> str:
    """Joins; returns the address of the participant's part of the interface."""
    reply = client.get(LINK, params=query, follow_redirects=False)
    assert reply.status_code == 303, reply.text
    return "/api" + reply.headers["location"]


def post(client: httpx.Client, address: str, body: Any) -> dict[str, Any]:
    reply = client.post(address, json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def at_trials(client: httpx.Client, me: str | None = None) -> tuple[str, dict[str, Any]]:
    """A participant who has passed the check; (address, state)."""
    me = me or joined(client)
    post(client, f"{me}/consent", {"accepted": True})
    post(client, f"{me}/instructions", {"read": True})
    return me, post(client, f"{me}/check", {"answers": [1]})


def answer_all(client: httpx.Client, me: str, state: dict[str, Any]) -> dict[str, Any]:
    """Answers up to the survey."""
    while state["trial"] is not None:
        state = post(client, f"{me}/answers", submission(state))["state"]
    return state


def refused(reply: httpx.Response, status: int, part: str) -> None:
    """Asserts that a reply is a refusal, of one sentence that says so."""
    assert (reply.status_code, list(reply.json())) == (status, ["error"]), reply.text
    assert part in reply.json()["error"]
    assert reply.json()["error"].endswith(".")

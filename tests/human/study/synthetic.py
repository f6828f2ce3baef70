"""Invented studies, and files as the web pages wrote them; nothing here comes from released data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hilmix.human.study import MIDPOINT_TASKS, MixStudy, Task

CLASSES = ("bus", "bus_2", "Élan", "no way", "zebra (grey)")
"""Names that a careless parser would stumble over."""
PAIR = "Bird_12_Deer_3456"


def invent(task: Task, seed: int, *, classes: tuple[str, ...] = CLASSES, num_items: int = 50) -> MixStudy:
    """A study that a file can hold without loss: vocabularies in order of use, batches linked, trials from 0.

    Sessions are the batch's trials in random order, the first two once more, then perhaps cut short.
    """
    rng = np.random.default_rng(seed)
    batches, people = rng.integers(1, 4), 0
    rows: list[dict[str, Any]] = []
    for batch in range(batches):
        shown = rng.integers(0, 1000, rng.integers(2, 6)) + 1000 * batch
        for session in range(rng.integers(1, 4)):
            order = rng.permutation(np.unique(shown))
            order = order if session == 0 else order[: rng.integers(1, len(order) + 1)]  # later ones may be unfinished
            again = order[:2] if rng.random() < 0.7 else order[:0]
            rows += [
                {"person": people, "key": key, "repeat": i >= len(order), "trial": i, "batch": batch}
                for i, key in enumerate(np.concatenate([order, again]))
            ]
            people += 1
    table = pd.DataFrame(rows)
    stimulus, keys = pd.factorize(table["key"])
    return MixStudy.build(
        task,
        classes=classes,
        participants=[f"p{i}" for i in range(people)],
        num_items=num_items,
        stimuli=_shown(rng, task, len(keys), classes, num_items),
        judgments={
            "participant": table["person"],
            "stimulus": stimulus,
            "repeat": table["repeat"],
            "trial": table["trial"],
            "batch": table["batch"],
            "seconds": np.where(rng.random(len(table)) < 0.1, np.nan, rng.gamma(2, 5, len(table))),
            **_draw_answers(rng, task, len(table), len(classes)),
        },
    )


def _shown(rng: np.random.Generator, task: Task, size: int, classes: tuple[str, ...], num_items: int) -> dict[str, Any]:
    id1, id2 = np.divmod(rng.choice(num_items**2, size, replace=False), num_items)
    label1, label2 = rng.integers(0, len(classes), (2, size))
    names = [f"{classes[a]}_{i}_{classes[b]}_{j}" for a, i, b, j in zip(label1, id1, label2, id2, strict=True)]
    columns: dict[str, Any] = {"id1": id1, "id2": id2, "label1": label1, "label2": label2, "name": names}
    if task not in MIDPOINT_TASKS:
        columns["weight"] = rng.choice([0.0, 0.1, 0.25, 1 / 3, 1.0, rng.random()], size)
        columns["name"] = [f"mixed_{w}_{n}.png" for w, n in zip(columns["weight"], names, strict=True)]
    return columns


def _draw_answers(rng: np.random.Generator, task: Task, rows: int, num_classes: int) -> dict[str, Any]:
    if task == "construct":
        return {"weight": rng.integers(0, 11, rows) / 10, "start": rng.choice([0.1, 0.9], rows)}
    if task == "select":
        return {"weight": rng.integers(0, 11, rows) / 10}
    if task == "infer":
        return {"weight": 1 - rng.integers(0, 101, rows) / 100, "confidence": rng.integers(0, 101, rows) / 100}
    return {
        "top": rng.integers(0, num_classes, rows),
        "top_percent": rng.choice([0.5, 40, 60, 100], rows),
        "second": rng.integers(-1, num_classes, rows),
        "second_percent": rng.choice([np.nan, 0, 12.5, 40, 100], rows),
        "impossible": rng.random((rows, num_classes)) < 0.4,
    }


def answer_form(top: str, percent: str, second: str = "No", second_percent: str = "", ruled_out: tuple = ()) -> str:
    """What the page of the categorical task stored."""
    form = {
        "classSelect": f"mostProb{top}",
        "prob": percent,
        "classSelect2": f"secondProb{second}",
        "prob2": second_percent,
    }
    return json.dumps(form | {f"improbClassSelect{name}": "1" for name in ruled_out})


def infer_row(
    name: str = f"mixed_0.25_{PAIR}.png", slider: object = 26, confidence: object = 100, **cells: Any
) -> dict:
    """One row as the page of the infer task stored it, for a mix of bird 12 (a quarter of it) and deer 3456."""
    return {
        "trial_type": "multiple-slider",
        "trial_index": 6,
        "time_elapsed": 99_000,
        "subject": "u",
        "condition": 7,
        "rt": 1500.5,
        "response": "",
        "subj_id": "",
        "task": "rate_mixture",
        "filename": name,
        "responses": json.dumps({"mixingcoeff": slider, "confidence": confidence}),
        "label1": "Bird",
        "label2": "Deer",
        "mixtureCoeff": 0.25,
        "id1": 12.0,
        "id2": 3456.0,
        "class_pair": f"{PAIR}.png",
    } | cells


def construct_row(final: object = 0.6, **cells: Any) -> dict:
    """One row as the page of the construct task stored it."""
    return {
        "index": 6,
        "trial_type": "reconstruction",
        "trial_index": 6,
        "subject": "u",
        "condition": 2,
        "rt": 900.0,
        "response": "",
        "filename": "",
        "final_value": final,
        "start_value": 0.1,
        "starting_value": 0.1,
        "task": "select_create",
        "class_pair": PAIR,
    } | cells


def select_row(chosen: str = "select0.4", **cells: Any) -> dict:
    """One row as the page of the select task stored it."""
    return {
        "index": 6,
        "trial_type": "survey-html-form",
        "trial_index": 6,
        "subject": "u",
        "condition": 5,
        "rt": 900.0,
        "response": json.dumps({"select": chosen}),
        "task": "select_shuffled",
        "class_pair": PAIR,
    } | cells


def categorical_row(response: str, **cells: Any) -> dict:
    """One row as the page of the categorical task stored it."""
    return infer_row(**{"response": response, "task": "spec_conf", "trial_type": "survey-html-form"} | cells)


def write_rows(folder: Path, file: str, rows: list[dict]) -> Path:
    """Writes rows as a table with a nameless row number before them, and returns the folder."""
    pd.DataFrame(rows).to_csv(folder / file)
    return folder

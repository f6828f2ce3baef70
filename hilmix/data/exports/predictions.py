"""Aggregated labels as predictions of Label Studio, which its import shows beside the tasks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hilmix.data.exports.columns import Columns
from hilmix.data.exports.label_studio import is_label_studio, name_task
from hilmix.data.exports.read import read_objects
from hilmix.faults import Findings

_TAGS = {"from_name": "choice", "to_name": "image"}
"""Names of the tags in Label Studio's own template of image classification."""


def label_studio_predictions(
    table: pd.DataFrame, source: Path, columns: Columns, *, model_version: str
) -> list[dict[str, Any]]:
    """Return tasks with one prediction each, in Label Studio's format of pre-annotated tasks.

    Tasks, and the names of the tags, are those of the source where it is a JSON export of Label Studio; else each item
    is a task whose data are ``{"image": item}``.

    Args:
        table: ``item``, ``label`` (None where there is none, which is not predicted) and ``confidence``, the score.
        source: where the votes were read from.
        columns: by which items and choices of the source were named.
        model_version: name of the predictions in Label Studio.

    Reference:
        https://labelstud.io/guide/predictions
    """
    tasks = _read_tasks(source)
    tags = _find_tags(tasks, columns.label)
    rows = {row.item: row for row in table[["item", "label", "confidence"]].itertuples(index=False)}
    if tasks:
        named = [(name_task(task, columns.item, source, Findings()), task) for task in tasks]
    else:
        named = [(item, {"data": {"image": item}}) for item in rows]
    written = []
    for item, task in named:
        row = rows.get(item)
        kept = {key: task[key] for key in ("id", "data") if key in task}
        predicted = row is not None and not pd.isna(row.label)
        written.append(kept | {"predictions": [_predict(row, tags, model_version)] if predicted else []})
    return written


def _predict(row: Any, tags: dict[str, str], model_version: str) -> dict[str, Any]:
    result = {**tags, "type": "choices", "value": {"choices": [row.label]}}
    return {"model_version": model_version, "score": float(row.confidence), "result": [result]}


def _read_tasks(source: Path) -> Sequence[dict[str, Any]]:
    if source.suffix.lower() != ".json":
        return []
    records = read_objects(source)
    return records if records and is_label_studio(records[0]) else []


def _find_tags(tasks: Sequence[dict[str, Any]], label: str | None) -> dict[str, str]:
    """Names of the tag of choices and of what it is about: as in the first answer to the question that is read."""
    results = (one for task in tasks for note in task["annotations"] for one in note.get("result", ()))
    asked = (one for one in results if one.get("type") == "choices" and label in (None, one["from_name"]))
    first = next(asked, _TAGS)
    return {name: first[name] for name in _TAGS}

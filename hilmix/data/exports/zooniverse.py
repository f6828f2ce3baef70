"""Classification exports of Zooniverse: one row per classification, with answers and subjects as JSON in cells."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hilmix.data.exports.answers import Answer, Task, build_export, choose_question, find_image, read_choices
from hilmix.data.exports.export import Export, ExportSettings
from hilmix.errors import DataError
from hilmix.faults import Findings

HEADERS = {"subject_ids", "annotations", "user_name"}
"""Of every such export."""


def read_zooniverse(frame: pd.DataFrame, file: Path, settings: ExportSettings, found: Findings) -> Export:
    """Return the content of a classification export.

    Args:
        frame: its rows, all text.
        file: of the export.
        settings: ``columns.label`` names the task to read, such as ``T0``, where there are several; ``columns.item``
            the key of the subject's metadata that names the image.
        found: collects what is wrong.

    Raises:
        DataError: for cells that are no JSON.
    """
    answers = _parse(frame["annotations"], file, "annotations")
    subjects = frame["subject_ids"].tolist()
    given = settings.columns
    single = [(a["task"], read_choices(a.get("value"))) for row in answers for a in row if "task" in a]
    task = choose_question([name for name, choices in single if choices], given.label, file, found, what="task")
    meta = _parse(frame["subject_data"], file, "subject_data") if "subject_data" in frame.columns else []
    tasks = []
    for row, subject in enumerate(subjects):
        values = meta[row].get(subject, {}) if row < len(meta) else {}
        key = find_image(values, given.item, file, found)
        tasks.append(Task(subject, None if key is None else str(values.get(key))))
    votes = [
        Answer(subject, who, next((read_choices(a.get("value")) or () for a in row if a.get("task") == task), ()))
        for subject, who, row in zip(subjects, frame["user_name"], answers, strict=True)
    ]
    understood = {"item": "column 'subject_ids'", "annotator": "column 'user_name'", "label": f"task '{task}'"}
    return build_export(file, "Zooniverse classifications", tasks, votes, settings, understood, found)


def _parse(cells: "pd.Series[Any]", file: Path, column: str) -> Sequence[Any]:
    try:
        return [json.loads(cell) for cell in cells]
    except (json.JSONDecodeError, TypeError) as error:
        raise DataError(f"{file}, column '{column}': a cell is no JSON: {error}. Export it again.") from error

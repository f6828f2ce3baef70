"""Exports of doccano and Argilla: one JSON object per record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hilmix.data.exports.answers import Answer, Task, build_export, choose_question, find_image, read_choices
from hilmix.data.exports.export import Export, ExportSettings
from hilmix.faults import Findings

Record = dict[str, Any]
_RESPONSES = ".responses"
_GIVEN = (None, "submitted", "Validated")
"""Status of a response that counts; Argilla 1 has a validated record in place of submitted responses."""
_TEXT = ("filename", "text", "data")


def is_doccano(record: Record) -> bool:
    """Return whether an object is a record of doccano: an id, a list of labels, and a file or text."""
    return "id" in record and isinstance(record.get("label"), list) and any(key in record for key in _TEXT)


def is_argilla(record: Record) -> bool:
    """Return whether an object is a record of Argilla 1 or 2, nested or flattened."""
    nested = isinstance(record.get("fields"), dict) and isinstance(record.get("responses"), dict | list)
    flat = any(key.endswith(_RESPONSES) or _is_question(value) for key, value in record.items())
    return nested or flat or "annotation_agent" in record


def read_doccano(records: Sequence[Record], file: Path, settings: ExportSettings, found: Findings) -> Export:
    """Return the content of a JSONL export of doccano, which has one file per annotator: its name is theirs.

    Args:
        records: its lines.
        file: of the export.
        settings: what several labels of a record mean; ``columns.item`` names the key of the items.
        found: collects what is wrong.
    """
    key = settings.columns.item or ("filename" if "filename" in records[0] else "id")
    items = [str(record.get(key)) for record in records]
    answers = [
        Answer(item, file.stem, read_choices(record.get("label")) or ())
        for item, record in zip(items, records, strict=True)
    ]
    understood = {"item": f"'{key}'", "annotator": f"name of the file, '{file.stem}'", "label": "'label'"}
    return build_export(file, "doccano JSONL", [Task(item) for item in items], answers, settings, understood, found)


def read_argilla(records: Sequence[Record], file: Path, settings: ExportSettings, found: Findings) -> Export:
    """Return the content of an export of Argilla: submitted responses; discarded ones and drafts are skipped.

    Args:
        records: of Argilla 2, as of ``records.to_list()`` or ``to_json()``, or of a data set that was flattened; of
            Argilla 1, of a feedback data set or of text classification, whose one annotator is ``annotation_agent``.
        file: of the export.
        settings: ``columns.label`` names the question where there are several, ``columns.item`` the field of the items.
        found: collects what is wrong.
    """
    given = settings.columns
    responses = [_responses(record) for record in records]
    question = choose_question([name for one in responses for name in one], given.label, file, found)
    tasks, answers = [], []
    for record, one in zip(records, responses, strict=True):
        fields = record.get("fields") or record.get("inputs") or record
        key = find_image(fields, given.item, file, found)
        own = record.get("id") if record.get("id") is not None else record.get("external_id")
        item = str(fields.get(key) if key is not None else own)
        tasks.append(Task(item))
        for value, who, status in one.get(question or "", ()):
            answers.append(Answer(item, who, (read_choices(value) or ()) if status in _GIVEN else ()))
    place = f"field '{given.item}'" if given.item else "the field that names an image, else the id of the record"
    understood = {"item": place, "annotator": "user of the response", "label": f"question '{question}'"}
    return build_export(file, "Argilla records", tasks, answers, settings, understood, found)


def _responses(record: Record) -> Mapping[str, list[tuple[Any, str, str | None]]]:
    """Value, user and status of every response, by question."""
    if "annotation_agent" in record:
        status = record.get("status")
        return {"annotation": [(record.get("annotation"), str(record["annotation_agent"]), status)]}
    if isinstance(record.get("responses"), list):
        of_users: dict[str, list[tuple[Any, str, str | None]]] = {}
        for one in record["responses"]:
            for question, answer in (one.get("values") or {}).items():
                given = (answer.get("value"), str(one.get("user_id")), one.get("status"))
                of_users.setdefault(question, []).append(given)
        return of_users
    if isinstance(record.get("responses"), dict):
        return {
            question: [(one.get("value"), str(one.get("user_id")), one.get("status")) for one in given]
            for question, given in record["responses"].items()
        }
    found = {}
    for key, values in record.items():
        if _is_question(values):
            found[key] = [(one["value"], str(one.get("user_id")), one.get("status")) for one in values]
        elif key.endswith(_RESPONSES) and values:
            users = record.get(f"{key}.users") or ["annotator"] * len(values)
            states = record.get(f"{key}.status") or [None] * len(values)
            found[key.removesuffix(_RESPONSES)] = [*zip(values, map(str, users), states, strict=True)]
    return found


def _is_question(value: Any) -> bool:
    """True if a value of a flattened record of Argilla 1 holds the responses to a question."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and "value" in one for one in value)

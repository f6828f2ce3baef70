"""Exports of Label Studio: JSON, with all annotations of a task, and JSON-MIN, one flat object per annotation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hilmix.data.exports.answers import Answer, Task, build_export, choose_question, find_image, read_choices
from hilmix.data.exports.export import Export, ExportSettings
from hilmix.faults import Findings

_MIN_KEYS = {"annotation_id", "annotator", "lead_time"}
Record = dict[str, Any]


def is_label_studio(record: Record) -> bool:
    """Return whether an object is a task of a JSON export."""
    return isinstance(record.get("data"), dict) and isinstance(record.get("annotations"), list)


def is_label_studio_min(record: Record) -> bool:
    """Return whether an object is an annotation of a JSON-MIN export."""
    return set(record) >= _MIN_KEYS


def read_label_studio(records: Sequence[Record], file: Path, settings: ExportSettings, found: Findings) -> Export:
    """Return the content of a JSON export: choices only, cancelled annotations are skipped, predictions not read.

    Args:
        records: its tasks.
        file: of the export.
        settings: ``columns.label`` names the ``<Choices>`` tag where there are several, ``columns.item`` the key of a
            task's data that names the item.
        found: collects what is wrong.
    """
    given = settings.columns
    results = [one for record in records for note in record["annotations"] for one in note.get("result", ())]
    names = [one["from_name"] for one in results if one.get("type") == "choices"]
    tag = choose_question(names, given.label, file, found, what="choice")
    tasks, answers = [], []
    for record in records:
        item = name_task(record, given.item, file, found)
        truth = [n for n in record["annotations"] if n.get("ground_truth") and not n.get("was_cancelled")]
        # Of one choice only: an item has one true class, and several choices do not say which.
        gold = next((choices[0] for n in truth if len(choices := _choices(n, tag)) == 1), None)
        tasks.append(Task(item, target=gold))
        for note in record["annotations"]:
            # Cancelled ones count as skipped, not as absent: how often annotators skip is reported.
            choices = () if note.get("was_cancelled") else _choices(note, tag)
            answers.append(Answer(item, _annotator(note), choices, note.get("lead_time")))
    understood = {
        "item": f"'{given.item}' of the data" if given.item else "the image of the data, else the id of the task",
        "annotator": "completed_by",
        "label": f"choice '{tag}'",
        "target": "annotations marked as ground truth",
    }
    return build_export(file, "Label Studio JSON", tasks, answers, settings, understood, found)


def read_label_studio_min(records: Sequence[Record], file: Path, settings: ExportSettings, found: Findings) -> Export:
    """Return the content of a JSON-MIN export; arguments as of :func:`read_label_studio`."""
    given, answers = settings.columns, []
    fixed = {*_MIN_KEYS, "id", "created_at", "updated_at", "agreement"}
    key = find_image({k: v for record in records for k, v in record.items()}, given.item, file, found) or "id"
    names = [k for r in records for k, v in r.items() if k not in fixed | {key} and _is_choice(k, v)]
    tag = choose_question(names, given.label, file, found, what="choice")
    items = [str(record.get(key)) for record in records]
    for item, record in zip(items, records, strict=True):
        choices = read_choices(record.get(tag)) or () if tag is not None else ()
        answers.append(Answer(item, str(record["annotator"]), choices, record["lead_time"]))
    understood = {"item": f"'{key}'", "annotator": "'annotator'", "label": f"choice '{tag}'"}
    tasks = [Task(item) for item in items]
    return build_export(file, "Label Studio JSON-MIN", tasks, answers, settings, understood, found)


def name_task(record: Record, key: str | None, file: Path, found: Findings) -> str:
    """Return the item of a task: what its data name by a key, else its image, else its id."""
    place = find_image(record["data"], key, file, found)
    return str(record["data"].get(place) if place is not None else record.get("id"))


def _choices(note: Record, tag: str | None) -> tuple[str, ...]:
    return tuple(
        choice
        for one in note.get("result", ())
        if one.get("type") == "choices" and one.get("from_name") == tag
        for choice in read_choices(one.get("value")) or ()
    )


def _annotator(note: Record) -> str:
    """The e-mail of an annotator where the export has it, else the id."""
    who = note.get("completed_by")
    return str(who.get("email") or who.get("id")) if isinstance(who, dict) else str(who)


def _is_choice(key: str, value: Any) -> bool:
    """True if a value may be a choice: regions, such as rectangles, are lists of objects, and media are no texts."""
    return isinstance(value, str | dict) and not key.startswith("$") and read_choices(value) is not None

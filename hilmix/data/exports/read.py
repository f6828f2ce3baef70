"""Read an export of another tool: which layout a file has, and its votes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hilmix.data.exports.export import Export, ExportSettings, list_items
from hilmix.data.exports.image_tags import read_cvat, read_fiftyone
from hilmix.data.exports.label_studio import (
    is_label_studio,
    is_label_studio_min,
    read_label_studio,
    read_label_studio_min,
)
from hilmix.data.exports.tables import TABLE_SUFFIXES, read_table_file, read_votes_table
from hilmix.data.exports.text_tools import is_argilla, is_doccano, read_argilla, read_doccano
from hilmix.data.exports.ticks import join_ticks
from hilmix.data.exports.zooniverse import HEADERS, read_zooniverse
from hilmix.errors import DataError
from hilmix.faults import Findings

SUFFIXES = (*TABLE_SUFFIXES, ".json", ".jsonl", ".ndjson", ".xml")
"""Of the files that :func:`read_export` reads."""
_FOLDERS = ("samples.json", "labels.json", "annotations.xml")
"""Files by which a folder is an export of FiftyOne or CVAT."""
_LAYOUTS = (
    (is_label_studio, read_label_studio),
    (is_label_studio_min, read_label_studio_min),
    (is_argilla, read_argilla),
    (is_doccano, read_doccano),
)


def find_export(source: Path) -> Path:
    """Return the file of an export: itself, or the one by which a folder is an export of FiftyOne or CVAT."""
    inside = [source / name for name in _FOLDERS if (source / name).is_file()]
    return inside[0] if inside and not (source / "dataset.yaml").exists() else source


def is_export(source: Path) -> bool:
    """Return whether a path names an export, not a data folder: a file, or one that is missing and has its suffix."""
    file = find_export(source)
    return file.is_file() or (file.suffix.lower() in SUFFIXES and not file.is_dir())


def read_exports(sources: Sequence[Path], settings: ExportSettings, found: Findings) -> Export:
    """Return the content of several exports of one layout, such as one of each annotator, as one.

    Args:
        sources: at least one.
        settings: as of :func:`read_export`, which raises the same errors.
        found: collects what is wrong.
    """
    exports = [read_export(source, settings, found) for source in sources]
    first = exports[0]
    if len(exports) == 1:
        return first
    understood = dict(first.understood)
    if "annotator" in understood and first.file.stem in understood["annotator"]:
        understood["annotator"] = f"names of the {len(exports)} files"
    votes = pd.concat([one.votes for one in exports], ignore_index=True)
    items = list_items(pd.concat([one.items for one in exports], ignore_index=True), first.file, found)
    return first._replace(votes=votes, items=items, understood=understood)


def read_export(source: Path, settings: ExportSettings, found: Findings) -> Export:
    """Return the content of an export.

    Args:
        source: a file, whose suffix and content decide which layout it has, or a folder of FiftyOne or CVAT.
        settings: what the layout leaves open.
        found: collects what is wrong.

    Raises:
        DataError: for a file that is not there, cannot be read, or has no known layout.
    """
    file = find_export(source)
    suffix = file.suffix.lower()
    if not file.is_file():
        raise DataError(f"There is no file at '{file}'. Give an export of votes, such as votes.csv.")
    if suffix not in SUFFIXES:
        raise DataError(f"'{file}' must be an export that ends in {', '.join(SUFFIXES)}, got '{suffix}'.")
    if suffix == ".xml":
        return read_cvat(file, settings, found)
    if suffix in TABLE_SUFFIXES:
        frame = read_table_file(file, settings.separator)
        if settings.wide:  # states that the columns are annotators
            return read_votes_table(frame, file, settings, found)
        # By its headers, as Zooniverse's files are CSV like any other.
        if set(frame.columns) >= HEADERS:
            return read_zooniverse(frame, file, settings, found)
        return read_votes_table(join_ticks(frame, file, settings, found), file, settings, found)
    content = _read_json(file)
    if isinstance(content, dict) and {"samples", "labels"} & set(content):
        return read_fiftyone(content, file, settings, found)
    records = _require_objects(content, file)
    for fits, read_records in _LAYOUTS:
        if fits(records[0]):
            return read_records(records, file, settings, found)
    return read_votes_table(pd.DataFrame(records), file, settings, found, kind="list of JSON objects")


def read_objects(file: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON file; none where it holds something else.

    Raises:
        DataError: if it cannot be read.
    """
    content = _read_json(file)
    return content if isinstance(content, list) and all(isinstance(one, dict) for one in content) else []


def _read_json(file: Path) -> Any:
    # With the mark that Excel and PowerShell put in front of UTF-8, which json refuses.
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix.lower() in (".jsonl", ".ndjson"):
        # Not splitlines(), which also ends a line at characters that JSON allows inside a text, such as U+2028.
        lines = enumerate(text.split("\n"), 1)
        return [_parse(line, f"{file}, line {number}") for number, line in lines if line.strip()]
    return _parse(text, str(file))


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    # Brackets nested a thousand deep are a damaged or hostile file, and no reason for a traceback.
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"Cannot read {place}: {error}. Export it again.") from error


def _require_objects(content: Any, file: Path) -> list[dict[str, Any]]:
    if not isinstance(content, Sequence) or not content or not all(isinstance(one, dict) for one in content):
        raise DataError(f"{file} must hold a list of JSON objects, one per task or vote.")
    return list(content)

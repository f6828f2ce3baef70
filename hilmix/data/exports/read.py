"""Read an export of another tool: which layout a file has, and its votes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hilmix.data.exports.export import Export, ExportSettings
from hilmix.data.exports.tables import TABLE_SUFFIXES, read_table_file, read_votes_table
from hilmix.data.exports.zooniverse import HEADERS, read_zooniverse
from hilmix.errors import DataError
from hilmix.faults import Findings

SUFFIXES = (*TABLE_SUFFIXES, ".json", ".jsonl", ".ndjson")
"""Of the files that :func:`read_export` reads."""


def is_export(source: Path) -> bool:
    """Return whether a path names an export, not a data folder: a file, or one that is missing and has its suffix."""
    return source.is_file() or (source.suffix.lower() in SUFFIXES and not source.is_dir())


def read_export(file: Path, settings: ExportSettings, found: Findings) -> Export:
    """Return the content of an export.

    Args:
        file: its suffix and content decide which layout it has.
        settings: what the layout leaves open.
        found: collects what is wrong.

    Raises:
        DataError: for a file that is not there, cannot be read, or has no known layout.
    """
    suffix = file.suffix.lower()
    if not file.is_file():
        raise DataError(f"There is no file at '{file}'. Give an export of votes, such as votes.csv.")
    if suffix not in SUFFIXES:
        raise DataError(f"'{file}' must be an export that ends in {', '.join(SUFFIXES)}, got '{suffix}'.")
    if suffix in TABLE_SUFFIXES:
        frame = read_table_file(file, settings.separator)
        read = read_zooniverse if set(frame.columns) >= HEADERS and not settings.wide else read_votes_table
        return read(frame, file, settings, found)
    records = _read_json_lines(file) if suffix in (".jsonl", ".ndjson") else _read_json(file)
    return read_votes_table(pd.DataFrame(records), file, settings, found, kind="list of JSON objects")


def _read_json_lines(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8-sig") as lines:
        return _require_objects(
            [_parse(line, f"{file}, line {n}") for n, line in enumerate(lines, 1) if line.strip()], file
        )


def _read_json(file: Path) -> list[dict[str, Any]]:
    return _require_objects(_parse(file.read_text(encoding="utf-8-sig"), str(file)), file)


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"Cannot read {place}: {error}. Export it again.") from error


def _require_objects(content: Any, file: Path) -> list[dict[str, Any]]:
    if not isinstance(content, Sequence) or not content or not all(isinstance(one, dict) for one in content):
        raise DataError(f"{file} must hold a list of JSON objects, one per task or vote.")
    return list(content)

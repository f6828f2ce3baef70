"""Atomic writers: a file is written as a whole or not at all."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from hilmix.errors import RunError
from hilmix.spreadsheets import csv_text

log = logging.getLogger(__name__)


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``, which is renamed to ``path`` when the block ends without an error.

    Folders that are missing are made.

    Args:
        path: the file to write; one that is there is replaced.

    Raises:
        RunError: if the file cannot be written; ``path`` is then as before.
    """
    # in the same folder, because a rename is atomic only within one file system
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        # Also over a file that is there: readers see the old content or the new one, never half of either.
        partial.replace(path)
    except OSError as error:
        raise RunError(
            f"Cannot write {path}: {error.strerror or error}. Free some space, or choose a writable folder."
        ) from error
    finally:
        _discard(partial)


def _discard(partial: Path) -> None:
    try:
        partial.unlink(missing_ok=True)
    except OSError:  # the folder itself is not accessible, which the error above says
        log.debug("could not remove %s", partial)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Writes a table without its index, atomically: as CSV or lines of JSON where ``path`` ends in ``.csv`` or
    ``.jsonl``, else as Parquet.

    Args:
        table: any; text that a spreadsheet would take for a formula is escaped in CSV.
        path: the file to write.

    Raises:
        RunError: if the file cannot be written.
    """
    with write_atomically(path) as partial:
        if path.suffix == ".csv":
            # csv_text has chosen the line ends; the platform must not change them
            partial.write_text(csv_text(table), encoding="utf-8", newline="")
        elif path.suffix == ".jsonl":
            table.to_json(partial, orient="records", lines=True, force_ascii=False)
        else:
            table.to_parquet(partial, index=False)


def write_json(content: dict[str, Any] | list[dict[str, Any]], path: Path) -> None:
    """Writes a JSON file, atomically.

    Args:
        content: plain values.
        path: the file to write.

    Raises:
        RunError: if the file cannot be written.
    """
    with write_atomically(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")

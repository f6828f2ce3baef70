"""Folders of results by data set: those of another data set get a folder of their own, nothing is overwritten."""

import json
import logging
import re
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger

from hilmix.data import AnnotatedDataModule
from hilmix.errors import RunError
from hilmix.files import write_json
from hilmix.lightning_cli.given_settings import from_file
from hilmix.report import OTHER_DATA

log = logging.getLogger(__name__)
MARK = "data.json"
"""File that names the data set of a folder of results: its name, root, and a digest of its content."""


def mark(folder: Path, data: AnnotatedDataModule) -> None:
    """Writes which data set the results in a folder are about."""
    write_json(_mark_of(data), folder / MARK)


def results_folder(run_dir: Path, data: AnnotatedDataModule) -> Path:
    """Returns where results on a data set belong: the run folder, or a folder inside for data other than the run's.

    Data are the same if they lie in the same place or have the same content, whatever the order of their annotations.

    Args:
        run_dir: the run folder.
        data: that are evaluated.
    """
    own, here = owner(run_dir), _mark_of(data)
    # a version that digested the annotations in the order of the table may have written the folder
    contents = (here["content"], data.for_model.content_digest(ordered=True))
    if not own or own.get("root") == here["root"] or own.get("content") in contents:
        return run_dir
    # Names of data are free text, of any length.
    name = re.sub(r"[^\w.-]+", "-", here["name"])[:40]
    folders = [run_dir / f"{OTHER_DATA}{name}-{content[:8]}" for content in contents]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def moved(loggers: Any, folder: Path) -> list[Logger]:
    """Returns loggers of which those of CSV files write into another folder.

    Args:
        loggers: of a trainer's settings: one, several, or none.
        folder: the other folder.
    """
    several = loggers if isinstance(loggers, list) else [loggers] if isinstance(loggers, Logger) else []
    return [CSVLogger(folder, name=one.name) if isinstance(one, CSVLogger) else one for one in several]


def _mark_of(data: AnnotatedDataModule) -> dict[str, str]:
    return {"name": data.data.name, "root": _place(data.root), "content": data.for_model.content_digest()}


def _place(root: str) -> str:
    return str(Path(root).resolve()) if Path(root).exists() else root


def owner(run_dir: Path) -> dict[str, Any]:
    """Returns the mark of the run folder; of an older run, without one, what its config says; empty for a free folder.

    Raises:
        RunError: if the mark is damaged.
    """
    file, config = run_dir / MARK, run_dir / "config.yaml"
    if file.is_file():
        try:
            found: dict[str, Any] = json.loads(file.read_text())
        except ValueError as error:
            raise RunError(f"{file} is not valid JSON ({error}). Remove it, or give another --run_dir.") from error
        return found
    data = from_file(str(config)).settings.get("data") if config.is_file() else None
    root = (data.get("init_args") or {}).get("root") if isinstance(data, dict) else None
    return {} if root is None else {"root": _place(str(root))}

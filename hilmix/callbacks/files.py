"""Files of the run folder: written whole or not at all, and one sentence when the disk refuses."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch import Trainer

from hilmix import logging as board
from hilmix import plotting
from hilmix.errors import RunError
from hilmix.spreadsheets import csv_text

log = logging.getLogger(__name__)


def run_folder(trainer: Trainer) -> Path:
    """Returns the folder that a run writes into."""
    return Path(trainer.default_root_dir)


@contextmanager
def whole_file(path: Path, *, flag: str = "--run_dir") -> Iterator[Path]:
    """Yields a temporary path beside ``path`` that takes its name when the block ends well.

    Args:
        path: the file to be.
        flag: the option of the command line that chose its folder, for the error.

    Raises:
        RunError: if the file cannot be written.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise RunError(
            f"Cannot write {path}: {error.strerror or error}. Free some space, or choose a writable folder with {flag}."
        ) from error
    finally:
        _discard(partial)


def _discard(partial: Path) -> None:
    try:
        partial.unlink(missing_ok=True)
    except OSError:  # the folder itself is not accessible, which the error above tells
        log.debug("could not remove %s", partial)


def write_table(table: pd.DataFrame, path: Path, *, flag: str = "--run_dir") -> None:
    """Writes a CSV or Parquet file, by its suffix; ``flag`` as in :func:`whole_file`."""
    with whole_file(path, flag=flag) as partial:
        if path.suffix == ".csv":
            partial.write_text(csv_text(table), encoding="utf-8", newline="")
        else:
            table.to_parquet(partial, index=False)


def write_json(content: dict[str, Any], path: Path) -> None:
    """Writes a JSON file."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")


def write_figure(trainer: Trainer, name: str, draw: Callable[[], Any]) -> None:
    """Draws a figure into the run folder and onto the W&B board, or says once why not.

    Args:
        trainer: of the run.
        name: file name, ``<key>.png``.
        draw: returns a matplotlib figure.
    """
    if not plotting.available():
        plotting.explain_absence()
        return
    path = run_folder(trainer) / name
    with whole_file(path) as partial:
        draw().savefig(partial)
    board.log_image(trainer, f"diagnostics/{path.stem}", path)

"""Evaluation starts from what the run was trained with: its data, model and seed, unless others are given."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import yaml

from hilmix.given_settings import Given, from_file, given_settings, last_of

KEPT = ("seed_everything", "model", "data")
"""What evaluation takes from the run; loggers, devices and callbacks are those of the command at hand."""


@contextmanager
def run_defaults(argv: Sequence[str], base: str) -> Iterator[list[str]]:
    """Yields config files from which a command starts: the base, and for an evaluation what its run was trained with.

    Args:
        argv: command and options.
        base: the file from which every command starts.
    """
    own = None if argv[0] == "fit" else settings_of_run(given_settings(argv[1:]), base)
    if own is None:
        yield [base]
        return
    with tempfile.TemporaryDirectory(prefix="hilmix-") as folder:
        file = Path(folder) / "run.yaml"
        file.write_text(yaml.safe_dump(own, sort_keys=False))
        yield [base, str(file)]


def settings_of_run(given: Sequence[Given], base: str) -> dict[str, Any] | None:
    """Returns the settings of the run whose checkpoint is named, or None where there is none to be found.

    They are read from ``config.yaml`` of the run folder in which the checkpoint lies. A checkpoint that was taken out
    of its folder holds the settings of the data.
    """
    folder, checkpoint = last_of([from_file(base), *given], "run_dir"), last_of(given, "ckpt_path")
    if folder is None or checkpoint is None or checkpoint.settings["ckpt_path"] is None:
        return None
    named = str(checkpoint.settings["ckpt_path"])
    path = Path(named)
    if named in ("last", "best"):
        path = Path(str(folder.settings["run_dir"])) / "checkpoints" / f"{named}.ckpt"
    config = path.parent.parent / "config.yaml"
    if path.parent.name == "checkpoints" and config.is_file():
        return {name: value for name, value in from_file(str(config)).settings.items() if name in KEPT}
    return _settings_in(path)


def _settings_in(path: Path) -> dict[str, Any] | None:
    """Settings of the data in a checkpoint; a file that cannot be read is refused later, with its remedy."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, UnpicklingError, EOFError, LookupError, RuntimeError):
        return None
    if not isinstance(checkpoint, dict) or "AnnotatedDataModule" not in checkpoint:
        return None
    settings = dict(checkpoint.get("datamodule_hyper_parameters") or {})
    return {"data": {"class_path": "hilmix.data.AnnotatedDataModule", "init_args": settings}} if settings else None

"""Evaluation starts from what the run was trained with: its data, model and seed, unless others are given."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import yaml
from lightning.pytorch.utilities import rank_zero_only

from hilmix.callbacks.last_checkpoint import LAST
from hilmix.integrity import read_checkpoint
from hilmix.lightning_cli import TRAINING
from hilmix.lightning_cli.given_settings import SettingSource, from_file, given_settings, last_of
from hilmix.lightning_cli.results_folder import owner
from hilmix.terminal import say, terminal
from hilmix.trusted import check_class_paths, leaves, trust

KEPT = ("seed_everything", "model", "data")
"""Settings that evaluation takes from the run; loggers, devices and callbacks are those of the command at hand."""


@contextmanager
def run_defaults(argv: Sequence[str], base: str) -> Iterator[list[str]]:
    """Yields config files from which a command starts: the base, and for an evaluation what its run was trained with.

    Args:
        argv: command and options.
        base: the file from which every command starts.
    """
    own = None if argv[0] in TRAINING else settings_of_run(given_settings(argv[1:]), base)
    if own is None:
        yield [base]
        return
    # As a file, so that the parser merges it like the base: below all that the user gives.
    with tempfile.TemporaryDirectory(prefix="hilmix-") as folder:
        file = Path(folder) / "run.yaml"
        file.write_text(yaml.safe_dump(own, sort_keys=False))
        yield [base, str(file)]


def with_last_weights(argv: Sequence[str]) -> list[str]:
    """Returns the command line of an evaluation with ``--ckpt_path last`` where a run is named and no weights are.

    Args:
        argv: command and options.
    """
    given = given_settings(argv[1:])
    folder = last_of(given, "run_dir")
    if argv[0] in TRAINING or folder is None or last_of(given, "ckpt_path") is not None:
        return [*argv]
    if not (Path(str(folder.settings["run_dir"])) / "checkpoints" / LAST).is_file():
        return [*argv]
    if getattr(rank_zero_only, "rank", 0) == 0:
        say(terminal(), "weights: last, as no --ckpt_path is given")
    return [*argv, "--ckpt_path", "last"]


def settings_of_run(given: Sequence[SettingSource], base: str) -> dict[str, Any] | None:
    """Returns the settings of the run whose checkpoint is named, or None where there is none to be found.

    They are read from ``config.yaml`` of the run folder in which the checkpoint lies, with the data at the place where
    they were in training, if they are there still. A checkpoint that was taken out of its folder holds the settings of
    the data. The user gave neither file, so the classes that they name must be trusted, or named by what was given.

    Raises:
        ConfigError: for a class of a package that is neither.
    """
    folder, checkpoint = last_of([from_file(base), *given], "run_dir"), last_of(given, "ckpt_path")
    if folder is None or checkpoint is None or checkpoint.settings["ckpt_path"] is None:
        return None
    # the command line reads --trust again, harmlessly: the run's config, from which it starts, is judged before that
    if (trusted := last_of(given, "trust")) is not None:
        packages = yaml.safe_load(str(trusted.settings["trust"])) or []
        trust(*([packages] if isinstance(packages, str) else packages))
    named = str(checkpoint.settings["ckpt_path"])
    path = Path(named)
    if named in ("last", "best"):
        path = Path(str(folder.settings["run_dir"])) / "checkpoints" / f"{named}.ckpt"
    config = path.parent.parent / "config.yaml"
    if path.parent.name == "checkpoints" and config.is_file():
        kept = {name: value for name, value in from_file(str(config)).settings.items() if name in KEPT}
        own = [value for one in given for _, value in leaves(one.settings)]
        # a class path without a module is looked up among imported classes only
        bare = [value for _, value in leaves(kept) if "." not in str(value)]
        check_class_paths(kept, where=str(config), named=[*own, *bare])
        return _placed(kept, owner(config.parent).get("root"))
    return _settings_in(path)


def _placed(settings: dict[str, Any], place: str | None) -> dict[str, Any]:
    """A relative root of the data is where it was in training, whatever the working directory is now."""
    data: dict[str, Any] = settings.get("data") or {}
    arguments: dict[str, Any] = data.get("init_args") or {}
    given = str(arguments.get("root", ""))
    if not given or place is None or Path(given).is_absolute() or not Path(place).is_dir():
        return settings
    return {**settings, "data": {**data, "init_args": {**arguments, "root": place}}}


def _settings_in(path: Path) -> dict[str, Any] | None:
    """Settings of the data in a checkpoint; a file that cannot be read is refused later, with its remedy.

    They stand in for a config, whose class paths are imported without a question, so that they are checked here.

    Raises:
        ConfigError: for a class of a package that is not trusted.
    """
    try:
        checkpoint = read_checkpoint(path)
    except (OSError, UnpicklingError, EOFError, LookupError, RuntimeError):
        return None
    if "AnnotatedDataModule" not in checkpoint:
        return None
    settings = dict(checkpoint.get("datamodule_hyper_parameters") or {})
    check_class_paths(settings, where=str(path))
    return {"data": {"class_path": "hilmix.data.AnnotatedDataModule", "init_args": settings}} if settings else None

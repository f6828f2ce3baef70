"""Names of a run on the boards of its loggers, and plain lines where the output is no terminal."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, Trainer

from hilmix.callbacks import EpochLine
from hilmix.data import AnnotatedDataModule
from hilmix.lightning_cli.chosen_folder import given_method
from hilmix.logging import name_run


def plain_output(trainer: Namespace, *, training: bool) -> dict[str, Any]:
    """Returns trainer settings for an output that is no terminal: a line per epoch, as a bar fills a log with escapes.

    They are not saved with the run, which may be resumed in a terminal.

    Args:
        trainer: settings, with callbacks and loggers as objects.
        training: whether the command trains.
    """
    if trainer.enable_progress_bar is not None or trainer.barebones or sys.stdout.isatty():
        return {}
    listed = trainer.callbacks if isinstance(trainer.callbacks, list) else [trainer.callbacks]
    lines = [EpochLine()] if training else []
    return {"enable_progress_bar": False, "callbacks": [*(one for one in listed if one), *lines]}


def name_boards(trainer: Trainer, settings: Namespace, data: LightningDataModule, argv: Sequence[str]) -> None:
    """Gives the run of each logger on a board its name, group and tags.

    Args:
        trainer: whose loggers are meant; on other ranks than the first nothing happens.
        settings: of the command, as parsed.
        data: names the group.
        argv: options of the command, which name the method.
    """
    if settings.trainer.fast_dev_run or not trainer.is_global_zero:
        return
    tags = {"model": str(settings.model.class_path).rpartition(".")[2]}
    if (method := given_method(argv)) is not None:
        tags = {"method": method, **tags}
    group = data.data.name if isinstance(data, AnnotatedDataModule) else type(data).__name__
    name_run(trainer.loggers, Path(settings.run_dir), group, tags)

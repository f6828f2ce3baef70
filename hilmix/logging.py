"""Figures, tables and files on the boards of a run: Weights & Biases, TensorBoard, MLflow. The only module that imports
wandb; a run without boards logs nothing here.

Scalars need no help, as Lightning sends them to every logger. Figures go to all three, tables to W&B, files to W&B (as
artifacts) and MLflow. Keys are ``figures/NAME`` and ``tables/NAME``: of one key, the figure would replace the table.
"""

import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from numpy.typing import NDArray
from PIL import Image

from hilmix.files import write_json

IDENTITY = "board.json"
"""File of a run folder that keeps the id of its W&B run: all commands of a run folder log into one run."""
TABLE_ROWS = 200
"""Most rows of a logged table: W&B cuts at its own limits, and a table of every sample is of no use."""


def wandb_logger(trainer: Trainer) -> WandbLogger | None:
    """Returns the run's W&B logger on the rank that logs, None elsewhere."""
    if not trainer.is_global_zero:
        return None
    return next((logger for logger in trainer.loggers if isinstance(logger, WandbLogger)), None)


def can_log(logger: WandbLogger) -> bool:
    """Returns whether a logger writes offline or, by the environment or a file, has a key to log in with."""
    import wandb

    offline = bool(logger._offline) or os.environ.get("WANDB_MODE", "online") in ("offline", "disabled", "dryrun")
    # Without a prompt: a job that has no terminal would wait for ever.
    return offline or wandb.login(prompt=False)


def name_run(loggers: Iterable[Logger], folder: Path, group: str, tags: Mapping[str, str]) -> None:
    """Makes the W&B logger of a run folder go on in one run, and names that run, unless the user has done either.

    The settings cannot hold it: a config that is used for another run would write into the run of the first.

    Args:
        loggers: of the trainer; changed before they start anything.
        folder: the run folder, whose name the run gets.
        group: of runs, such as the name of the data.
        tags: by what they are, such as ``{"method": "ds"}``.
    """
    for logger in loggers:
        if not isinstance(logger, WandbLogger) or logger._experiment is not None:
            continue
        given = logger._wandb_init
        if given.get("id") is None:
            logger._id = given["id"] = _identity(folder)
        ours = {
            "name": folder.resolve().name,
            "group": group,
            "tags": [f"{name}: {tag}"[:64] for name, tag in tags.items()],
        }
        given |= {name: value for name, value in ours.items() if given.get(name) is None}


def _identity(folder: Path) -> str:
    file = folder / IDENTITY
    if not file.is_file():
        write_json({"wandb": secrets.token_hex(4)}, file)
    return str(json.loads(file.read_text())["wandb"])


def log_image(trainer: Trainer, key: str, image: Path) -> None:
    """Logs one picture to W&B, TensorBoard and MLflow.

    Args:
        trainer: of the run.
        key: name on the board, ``group/name``.
        image: a file.
    """
    for logger in _loggers(trainer):
        if isinstance(logger, WandbLogger):
            logger.log_image(key, [str(image)])
        elif isinstance(logger, TensorBoardLogger):
            pixels = np.asarray(Image.open(image).convert("RGB"))
            logger.experiment.add_image(key, pixels, trainer.global_step, dataformats="HWC")
        elif isinstance(logger, MLFlowLogger):
            logger.experiment.log_artifact(logger.run_id, str(image), key.partition("/")[0])


def _loggers(trainer: Trainer) -> list[Logger]:
    return trainer.loggers if trainer.is_global_zero else []


def log_table(
    trainer: Trainer, key: str, table: pd.DataFrame, *, images: list[NDArray[np.uint8]] | None = None
) -> None:
    """Logs the first rows of a table; call it once per run, since every call uploads a file.

    Args:
        trainer: of the run.
        key: name on the board.
        table: at most :data:`TABLE_ROWS` rows of it are logged.
        images: one thumbnail per logged row, (H, W) or (H, W, C) uint8; shorter lists shorten the table.
    """
    if (logger := wandb_logger(trainer)) is None:
        return
    shown = table.head(TABLE_ROWS if images is None else min(TABLE_ROWS, len(images)))
    rows = [[_plain(value) for value in row] for row in shown.itertuples(index=False)]
    columns = [str(column) for column in shown.columns]
    if images is not None:
        import wandb

        columns = ["image", *columns]
        rows = [[wandb.Image(image), *row] for image, row in zip(images, rows, strict=False)]
    logger.log_table(key, columns=columns, data=rows)


def log_files(trainer: Trainer, name: str, files: Sequence[Path]) -> None:
    """Logs files, such as the full vectors behind a table: as one artifact of W&B, as files of the MLflow run.

    Args:
        trainer: of the run; call it once per run.
        name: of the artifact; the run's id is appended, as W&B keeps the versions of each name.
        files: that exist.
    """
    for logger in _loggers(trainer):
        if isinstance(logger, WandbLogger):
            import wandb

            artifact = wandb.Artifact(f"{name}-{logger.experiment.id}", type="diagnostics")
            for file in files:
                artifact.add_file(str(file))
            logger.experiment.log_artifact(artifact)
        elif isinstance(logger, MLFlowLogger):
            for file in files:
                logger.experiment.log_artifact(logger.run_id, str(file), name)


def _plain(value: Any) -> Any:
    """Numpy scalars as Python's, which W&B's type check wants; missing as None."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if value is None or value is pd.NA or value != value else value

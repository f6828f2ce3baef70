"""Images and tables for Weights & Biases. The only module that imports wandb; without a W&B logger it does nothing."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import WandbLogger
from numpy.typing import NDArray

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


def log_image(trainer: Trainer, key: str, image: Path | NDArray[np.uint8], *, caption: str | None = None) -> None:
    """Logs one image.

    Args:
        trainer: of the run.
        key: name on the board, ``group/name``.
        image: a file, or (H, W) or (H, W, C) uint8.
        caption: text below it.
    """
    if (logger := wandb_logger(trainer)) is not None:
        captions: dict[str, Any] = {} if caption is None else {"caption": [caption]}
        logger.log_image(key, [str(image) if isinstance(image, Path) else image], **captions)


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
    """Logs files as one artifact of the run, such as the full vectors behind a table; call it once per run.

    Args:
        trainer: of the run.
        name: of the artifact; the run's id is appended.
        files: that exist.
    """
    if (logger := wandb_logger(trainer)) is None:
        return
    import wandb

    artifact = wandb.Artifact(f"{name}-{logger.experiment.id}", type="diagnostics")
    for file in files:
        artifact.add_file(str(file))
    logger.experiment.log_artifact(artifact)


def _plain(value: Any) -> Any:
    """Numpy scalars as Python's, which W&B's type check wants; missing as None."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if value is None or value is pd.NA or value != value else value

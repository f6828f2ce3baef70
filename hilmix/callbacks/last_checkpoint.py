"""``last.ckpt``: where a run stands, apart from any monitored metric."""

import os
import shutil
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn

from hilmix.callbacks.files import run_folder, whole_file
from hilmix.errors import ConfigError

LAST, PREVIOUS = "last.ckpt", "last.previous.ckpt"


class LastCheckpoint(Checkpoint):
    """Saves ``checkpoints/last.ckpt`` in the run folder at the end of every epoch, whatever the validation found.

    The one before it is kept as ``last.previous.ckpt``, for a run that finds its last checkpoint damaged: two more
    files of the size of ``best.ckpt``, whatever the number of epochs. Logged metrics are written out first, so that
    the metrics file never lags behind the checkpoint. Being a ``Checkpoint``, it runs after all callbacks of other
    kinds, at the end of training after those that average weights.

    Args:
        every_n_train_steps: saves also after every so many optimizer steps; default: at the end of epochs only.

    Raises:
        ConfigError: if ``every_n_train_steps`` is below 1.
    """

    def __init__(self, every_n_train_steps: int | None = None) -> None:
        super().__init__()
        if every_n_train_steps is not None and every_n_train_steps < 1:
            raise ConfigError(f"LastCheckpoint: `every_n_train_steps` must be at least 1, got {every_n_train_steps}.")
        self.every_n_train_steps = every_n_train_steps
        self._step_saved = -1

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _write_out(trainer)  # the training loss of an epoch is logged after its checkpoint

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, n = trainer.global_step, self.every_n_train_steps
        if n is not None and step % n == 0 and step != self._step_saved:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if getattr(trainer, "fast_dev_run", False) or trainer.state.fn != TrainerFn.FITTING:
            return
        _write_out(trainer)
        path = run_folder(trainer) / "checkpoints" / LAST
        if trainer.is_global_zero and path.exists():
            keep_previous(path)
        trainer.save_checkpoint(path)
        self._step_saved = trainer.global_step


def keep_previous(path: Path) -> None:
    """Gives a checkpoint its second name, so that there is a whole ``last.ckpt`` at every moment.

    Raises:
        RunError: if the folder cannot be written.
    """
    with whole_file(path.with_name(PREVIOUS)) as partial:
        partial.unlink(missing_ok=True)
        try:
            os.link(path, partial)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, partial)


def _write_out(trainer: Trainer) -> None:
    for logger in trainer.loggers:
        logger.save()

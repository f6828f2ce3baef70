"""``last.ckpt``: where a run stands, apart from any monitored metric."""

import logging
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, StochasticWeightAveraging
from lightning.pytorch.trainer.states import TrainerFn

from hilmix.callbacks.files import run_folder
from hilmix.callbacks.fit_report import apply_averages, averaging
from hilmix.callbacks.stop_signals import StopSignals
from hilmix.checks import PositiveInt, check_value
from hilmix.errors import RunError
from hilmix.files import write_atomically
from hilmix.integrity import check_intact

log = logging.getLogger(__name__)
LAST, PREVIOUS = "last.ckpt", "last.previous.ckpt"


class LastCheckpoint(Checkpoint):
    """Saves ``checkpoints/last.ckpt`` in the run folder at the end of every epoch, whatever the validation found.

    The one before it is kept as ``last.previous.ckpt``, for a run that finds its last checkpoint damaged: two more
    files of the size of ``best.ckpt``, whatever the number of epochs. Logged metrics are written out first, so that
    the metrics file never lags behind the checkpoint. Being a ``Checkpoint``, it runs after all callbacks of other
    kinds, at the end of training after those that average weights.

    SIGTERM, SIGINT and SIGHUP end a run behind the step at hand (of the last one, or where validation follows, behind
    the validation), which is saved, with exit code 128 plus the number of the signal: 143, 130, 129.

    Args:
        every_n_train_steps: saves also after every so many optimizer steps; default: at the end of epochs only.

    Raises:
        ConfigError: if ``every_n_train_steps`` is below 1.
    """

    def __init__(self, every_n_train_steps: PositiveInt | None = None) -> None:
        super().__init__()
        check_value("LastCheckpoint.every_n_train_steps", every_n_train_steps, PositiveInt | None)
        self.every_n_train_steps = every_n_train_steps
        self._step_saved, self._step_before, self._trained = -1, -1, False
        self._signals = StopSignals()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Moves behind the other checkpoints: what they hold as their best belongs into the last one."""
        trainer.callbacks = [c for c in trainer.callbacks if c is not self] + [self]  # type: ignore[attr-defined]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._trained = True
        self._signals.listen(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _write_out(trainer)  # the training loss of an epoch is logged after its checkpoint
        self._stop(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._step_before = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, before, n = trainer.global_step, self._step_before, self.every_n_train_steps
        # gradients that are only accumulated are not in a checkpoint, and the end of an epoch saves its last step:
        # a run resumed from there, before its validation, would leave that out
        if step == before or trainer.is_last_batch:
            return
        if n is not None and step // n > before // n:
            self._save(trainer)
        if not _validation_follows(trainer, batch_idx) and self._signals.agreed(trainer):
            self._save(trainer)
            self._stop(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        try:
            self._stop(trainer)
        finally:
            self._signals.release()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._signals.release()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """SWA puts its average into the model behind the last epoch, and only there."""
        swa = any(isinstance(callback, StochasticWeightAveraging) for callback in averaging(trainer))
        path = run_folder(trainer) / "checkpoints" / LAST
        if not swa or not path.exists() or not trainer.is_global_zero:
            return
        if not self._trained:
            apply_averages(trainer, pl_module)
        # The checkpoint of the last epoch is kept but for its weights, so that a resume finds all counters.
        checkpoint = trainer.strategy.checkpoint_io.load_checkpoint(path, weights_only=True)
        # Through the strategy's own IO, as Lightning wrote the file: a plug-in may keep it elsewhere.
        trainer.strategy.checkpoint_io.save_checkpoint({**checkpoint, "state_dict": pl_module.state_dict()}, path)

    def _stop(self, trainer: Trainer) -> None:
        """Ends the process if a signal asks for it.

        Raises:
            SystemExit: with 128 plus the number of the signal.
        """
        if number := self._signals.agreed(trainer):
            if trainer.is_global_zero:
                log.warning(
                    "Stopped by %s: the run is saved up to step %d. Resume it from last.ckpt.",
                    signal.Signals(number).name,
                    self._step_saved,
                )
            # The shell's code for "ended by a signal": schedulers distinguish a stopped run from a failed one by it.
            raise SystemExit(128 + number)

    def _save(self, trainer: Trainer) -> None:
        if getattr(trainer, "fast_dev_run", False) or trainer.state.fn != TrainerFn.FITTING:
            return
        _write_out(trainer)
        path = run_folder(trainer) / "checkpoints" / LAST
        # What this process has written is whole; a file of an earlier one costs reading it once.
        if trainer.is_global_zero and path.exists() and (self._step_saved >= 0 or _intact(path)):
            keep_previous(path)
        trainer.save_checkpoint(path, weights_only=False)  # given, so that Lightning does not log a line each time
        self._step_saved = trainer.global_step


def keep_previous(path: Path) -> None:
    """Gives a checkpoint its second name, so that there is a whole ``last.ckpt`` at every moment.

    Raises:
        RunError: if the folder cannot be written.
    """
    with write_atomically(path.with_name(PREVIOUS)) as partial:
        # os.link refuses a name that exists, as after a kill.
        partial.unlink(missing_ok=True)
        try:
            # A link takes neither time nor space, whatever the size of the model.
            os.link(path, partial)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, partial)


def _intact(path: Path) -> bool:
    """A damaged checkpoint must not replace the previous one, from which the run goes on."""
    try:
        check_intact(path)
    except RunError:
        return False
    return True


def _validation_follows(trainer: Trainer, batch_idx: int) -> bool:
    every = trainer.val_check_batch
    return isinstance(every, int) and (batch_idx + 1) % every == 0


def _write_out(trainer: Trainer) -> None:
    for logger in trainer.loggers:
        logger.save()

"""Time and weights of the reports that ``fit`` makes."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging

from hilmix.errors import SizeError

log = logging.getLogger(__name__)


class FitReport(Callback, ABC):
    """Base of the reports on a trained model, made once ``fit`` has nothing left to train.

    Behind every ``on_train_end``, so that callbacks that average weights have put them into the model, wherever they
    stand in the list; and also in a ``fit`` that resumes a run at its end, which Lightning ends without
    ``on_train_end``. A report that would not fit into the memory is left out, with a line that says so.
    """

    _trained = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._trained = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A run that resumes behind its last epoch trains nothing, and nothing has put the averages into the model.
        if not self._trained:
            apply_averages(trainer, pl_module)
        self._trained = False
        with on_device(trainer, pl_module), self.or_none(trainer):
            self.report_fit(trainer, pl_module)

    @contextmanager
    def or_none(self, trainer: Trainer) -> Iterator[None]:
        """Leaves out what is too large: the run has its checkpoints and goes on to the other reports."""
        try:
            yield
        except SizeError as error:
            if trainer.is_global_zero:
                log.warning("%s is left out: %s", type(self).__name__, error)

    @abstractmethod
    def report_fit(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Makes the report; every rank calls it."""


def apply_averages(trainer: Trainer, pl_module: LightningModule) -> None:
    """Puts averaged weights into the model where training was over before it began."""
    for callback in averaging(trainer):
        # with batch norm, the last epoch of SWA has trained on the average, so the checkpoint holds it
        if isinstance(callback, WeightAveraging) or not callback.pl_module_contains_batch_norm(pl_module):
            callback.on_train_end(trainer, pl_module)


def averaging(trainer: Trainer) -> list[WeightAveraging | StochasticWeightAveraging]:
    """Returns the callbacks that average weights."""
    return [c for c in trainer.callbacks if isinstance(c, (WeightAveraging, StochasticWeightAveraging))]  # type: ignore[attr-defined]


@contextmanager
def on_device(trainer: Trainer, pl_module: LightningModule) -> Iterator[None]:
    """Lightning has moved the model to the CPU when ``fit`` ends; a pass over the data wants it on its device."""
    pl_module.to(trainer.strategy.root_device)
    try:
        yield
    finally:
        pl_module.cpu()

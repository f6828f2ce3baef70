"""Timing of all benchmarks: interleaved in one process, CPU time, medians, one thread."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer


class Result(NamedTuple):
    """One line of the table."""

    what: str
    value: float
    unit: str
    goal: float | None = None
    """Upper bound, if there is one."""


def interleaved(functions: dict[str, Callable[[], object]], *, repeats: int) -> dict[str, list[float]]:
    """Returns the CPU seconds of each call; rounds go through all functions, so that drift hits them alike.

    CPU time and not wall time: other programs on the machine then cost no more than their effect on its caches.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.process_time()
            function()
            times[name].append(time.process_time() - start)
    return times


def ratio(times: list[float], reference: list[float]) -> float:
    """Returns the median over the rounds of one function's time relative to another's in the same round."""
    return statistics.median(a / b for a, b in zip(times, reference, strict=True))


def seconds_per_epoch(model: LightningModule, data: LightningDataModule, *, epochs: int) -> list[float]:
    """Trains, and returns the CPU seconds of each epoch; without validation, which would count."""
    times = EpochTimes()
    Trainer(
        max_epochs=epochs,
        callbacks=[times],
        limit_val_batches=0,
        logger=False,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(model, data)
    return times.seconds


class EpochTimes(Callback):
    """CPU seconds of each training epoch; give the trainer no validation, which would count."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start = time.process_time()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seconds.append(time.process_time() - self._start)

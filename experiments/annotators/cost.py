"""Cost of an epoch of each method as shipped: all methods take turns in one process, so that drift hits them alike."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch import Trainer
from rich.progress import track

from benchmarks.timing import EpochTimes
from experiments.annotators.job import Job, build
from experiments.annotators.settings import COST_DATA, COST_FILE, GRID_METHODS, SHIPPED
from experiments.annotators.train import quiet

EPOCHS, SKIPPED = 10, 2
"""The first fifth is left out: warm-up of ``hilmix``, and what a process does once. Its E steps come in every second
of the others, more often than in a whole run."""


def seconds_per_epoch(data: str, method: str, root: str) -> float:
    """CPU seconds of one thread, the mean over the epochs that count; validation is left out."""
    model, datamodule = build(Job(data, method, None, 0, root, network=SHIPPED))
    times = EpochTimes()
    trainer = Trainer(
        max_epochs=EPOCHS,
        callbacks=[times],
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule)
    return float(np.mean(times.seconds[SKIPPED:]))


def measure(root: str, *, rounds: int) -> None:
    """Writes the results file anew: one row for each round, data and method."""
    quiet()
    points = [(r, data, method) for r in range(rounds) for data in COST_DATA for method in GRID_METHODS]
    pd.DataFrame(_rows(points, root)).to_csv(COST_FILE, index=False)


def _rows(points: list[tuple[int, str, str]], root: str) -> Iterator[dict[str, Any]]:
    for number, data, method in track(points, description="cost"):
        seconds = seconds_per_epoch(data, method, root)
        yield {"round": number, "data": data, "method": method, "cpu_seconds_per_epoch": round(seconds, 5)}


def relative_cost(cost: pd.DataFrame) -> pd.DataFrame:
    """Time per epoch over that of ``mv`` in the same round, the median over the rounds, (methods, data)."""
    seconds = cost.set_index(["round", "data", "method"])["cpu_seconds_per_epoch"].unstack("method")
    return seconds.div(seconds["mv"], axis=0).groupby("data").median().T

"""The one choice of default network, learning rate and its scaling: one for all methods and data."""

from pathlib import Path
from typing import Any

import pandas as pd

from experiments.annotators.job import Job
from experiments.annotators.settings import (
    CHOICE_FILE,
    CHOICE_KEY,
    CHOICE_METHODS,
    CHOICE_SETTINGS,
    IMAGE_DATA,
    IMAGE_METHODS,
    IMAGE_NETWORK,
    IMAGE_SETTINGS,
    SEARCH_SEEDS,
)
from experiments.annotators.train import run
from experiments.harness import Row, read_rows, run_missing

SETTING = ["network", "lr_scaling", "lr"]
"""Columns that are chosen together."""


def choice_jobs(root: str) -> list[Job]:
    """Returns every setting on every data set and method of the choice; none scores test items."""
    points = [(name, setting, CHOICE_METHODS) for setting, names in CHOICE_SETTINGS.items() for name in names]
    points += [(name, setting, IMAGE_METHODS) for setting in IMAGE_SETTINGS for name in IMAGE_DATA]
    return [
        Job(name, method, lr, seed, root, tested=False, network=network, lr_scaling=scaling)
        for name, (network, scaling, lr), methods in points
        for method in methods
        for seed in SEARCH_SEEDS
    ]


def key_of(job: Job) -> tuple[Any, ...]:
    """Returns what distinguishes one run of the choice from another."""
    return tuple(getattr(job, name) for name in CHOICE_KEY)


def choice_row(job: Job) -> Row:
    """Runs a job and returns its row."""
    return {"network": job.network, "lr_scaling": job.lr_scaling} | run(job)


def read(file: Path = CHOICE_FILE) -> pd.DataFrame:
    """Returns the rows of the choice."""
    return read_rows(file, CHOICE_KEY, dtype={"network": str, "commit": str})


def run_choice(root: str, *, workers: int) -> int:
    """Runs what the file lacks and returns the number of failed runs."""
    return run_missing(
        CHOICE_FILE,
        choice_jobs(root),
        key_of=key_of,
        read=read,
        key=CHOICE_KEY,
        workers=workers,
        work=choice_row,
        name_of=lambda job: " ".join(map(str, key_of(job))),
    )


def by_kind(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Returns the rows of each kind of input, by its title."""
    images = rows["network"] == IMAGE_NETWORK
    return {title: part for title, part in (("Vectors", rows[~images]), ("Images", rows[images])) if len(part)}


def regrets(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns, for each setting, what it loses against the best setting of each run's data set and method.

    Returns:
        Indexed by setting, the lowest mean first: ``mean`` and ``worst`` loss in agreement with the votes on
        validation items after the last epoch, a fraction, and ``runs``.
    """
    point = ["data", "method", "seed"]
    loss = rows.groupby(point)["val_agreement"].transform("max") - rows["val_agreement"].fillna(0.0)
    table = rows.assign(loss=loss).groupby(SETTING)["loss"].agg(["mean", "max", "count"])
    return table.set_axis(["mean", "worst", "runs"], axis=1).sort_values(["mean", "worst"])

"""Many runs at once: which ones, each in a process of its own, every finished one kept."""

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from experiments.annotators.job import Job, data_folder, method_config
from experiments.annotators.results import chosen, read
from experiments.annotators.settings import (
    FAMILIES,
    FAMILY_OF,
    GRID_FILE,
    GRID_KEY,
    KEY,
    LEARNING_RATES,
    PINNED_LR,
    SEARCH_SEEDS,
    SHIPPED,
)
from experiments.annotators.train import run
from experiments.harness import Row, missing_jobs, run_missing
from hilmix.errors import ConfigError


def search_jobs(data: Iterable[str], methods: Iterable[str], seeds: Iterable[int] | None, root: str) -> list[Job]:
    """The search: every learning rate and search seed, on the searched member of each family that ``data`` touches."""
    searched = dict.fromkeys(FAMILIES[FAMILY_OF[name]].searched for name in data)
    free = [method for method in methods if method not in PINNED_LR]
    grid = itertools.product(searched, free, LEARNING_RATES, tuple(seeds or SEARCH_SEEDS))
    return [Job(name, method, lr, seed, root, tested=False) for name, method, lr, seed in grid]


def final_jobs(
    data: Iterable[str], methods: Iterable[str], seeds: Iterable[int], root: str, search: pd.DataFrame
) -> list[Job]:
    """Every seed at the chosen learning rate.

    Raises:
        ConfigError: if a (family, method) has no finite search result.
    """
    best = chosen(search)
    points = list(itertools.product(data, methods))
    missing = [(FAMILY_OF[d], m) for d, m in points if m not in PINNED_LR and (FAMILY_OF[d], m) not in best]
    if missing:
        raise ConfigError(f"No finite search result for {sorted(set(missing))}; run `search` for them first.")
    rate = {(d, m): PINNED_LR[m] if m in PINNED_LR else best[FAMILY_OF[d], m] for d, m in points}
    return [Job(d, m, rate[d, m], seed, root=root) for d, m in points for seed in seeds]


def shipped_jobs(data: Iterable[str], methods: Iterable[str], seeds: Iterable[int], root: str) -> list[Job]:
    """Every method's file untouched, the first seed of everything before the second."""
    points = itertools.product(seeds, data, methods)
    return [Job(name, method, None, seed, root, network=SHIPPED) for seed, name, method in points]


def run_shipped(jobs: list[Job], file: Path = GRID_FILE, *, workers: int) -> int:
    """Runs what the file of the grid, or of its ablation, lacks and returns the number of failed runs."""

    def key_of(job: Job) -> tuple[Any, ...]:
        return tuple(getattr(job, name) for name in GRID_KEY)

    return run_missing(file, jobs, key_of=key_of, read=read, key=GRID_KEY, workers=workers, work=run, name_of=name_of)


def open_jobs(jobs: list[Job], file: Path) -> list[Job]:
    """The jobs without a row in the file."""
    return missing_jobs(jobs, read(file), KEY, _key_of)


def _key_of(job: Job) -> tuple[Any, ...]:
    return job.key


def run_all(jobs: list[Job], file: Path, *, workers: int, work: Callable[[Job], Row] = run) -> int:
    """Runs what the file lacks and returns the number of failed runs, whose errors are printed at the end.

    Args:
        jobs: what the file should hold.
        file: results, one row for each key.
        workers: processes at a time.
        work: turns a job into its row; a function at the top level of a module, for it runs in other processes.

    Raises:
        HilmixError: before the first run, if a method or a data folder is missing.
    """
    todo = open_jobs(jobs, file)
    for method in {job.method for job in todo}:
        method_config(method)
    for data, root in {(job.data, job.root) for job in todo}:
        data_folder(data, root)
    diverged: list[Job] = []

    def check(job: Job, row: Row) -> None:
        diverged.extend([job] if pd.isna(row[_needed(row)]) else [])

    failed = run_missing(
        file, jobs, key_of=_key_of, read=read, key=KEY, workers=workers, work=work, name_of=name_of, check=check
    )
    for job in diverged:
        Console().print(f"[yellow]not finite:[/] {name_of(job)}")
    return failed


def name_of(job: Job) -> str:
    """Name of a run, by which it can be repeated."""
    rate = "" if job.lr is None else f" --lr {job.lr:g}"
    return f"run --data {job.data} --method {job.method}{rate} --seed {job.seed}"


def _needed(row: Row) -> str:
    return "acc" if "acc" in row else "val_vote_nll"

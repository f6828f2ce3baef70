"""python -m experiments.human_mixup search | final | confirm | table; README.md explains them."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; one run, one core

from experiments.harness import ended, run_missing
from experiments.human_mixup import tables
from experiments.human_mixup.policies import POLICIES, Settings
from experiments.human_mixup.results import (
    CONFIRM_FILE,
    CONFIRMED,
    FINAL_FILE,
    KEY,
    SEARCH_FILE,
    SEARCHED,
    best,
    chosen,
    read,
)
from experiments.human_mixup.train import Job, run
from hilmix.data.dataset import Augmentation

SEEDS, SEARCH_SEED, CONFIRM_SEEDS = 5, 100, range(10, 15)


def run_all(jobs: list[Job], file: Path, *, workers: int) -> int:
    """Runs what the file lacks and returns the number of failed runs, whose errors are printed at the end."""
    return run_missing(
        file,
        jobs,
        key_of=lambda job: (job.policy, job.seed, *job.settings.__dict__.values()),
        read=read,
        key=KEY,
        workers=workers,
        work=run,
        name_of=lambda job: f"{job.policy}, seed {job.seed}, {job.settings}",
    )


def search(workers: int, augment: Augmentation) -> int:
    """Chooses the learning rate without added data, then the setting of each competitor, on validation images."""
    start, failed = Settings(augment=augment), 0
    for names in (["lr"], [name for name in SEARCHED if name != "lr"]):
        jobs = [
            Job(SEARCHED[name][0], SEARCH_SEED, replace(start, **{name: value}), False)
            for name in names
            for value in SEARCHED[name][1]
        ]
        failed += run_all(jobs, SEARCH_FILE, workers=workers)
        rows = read(SEARCH_FILE)
        start = replace(start, lr=best(rows[rows["augment"] == augment], "lr"))
    return failed


def main() -> int:
    """Does one step; returns 1 if a run failed, 2 if the input is at fault, 130 if interrupted."""
    top = argparse.ArgumentParser(prog="python -m experiments.human_mixup", description=__doc__)
    steps = top.add_subparsers(dest="step", required=True)
    for step, text in (
        ("search", "settings, scored on validation images"),
        ("confirm", "fresh seeds for what the first ones suggested"),
        ("final", "all policies and seeds"),
    ):
        sub = steps.add_parser(step, help=text)
        sub.add_argument("--workers", type=int, default=os.cpu_count())
        sub.add_argument("--augment", choices=("none", "crop-flip"), default="none")
    sub.add_argument("--policies", nargs="+", default=POLICIES, choices=POLICIES, metavar="NAME")
    sub.add_argument("--seeds", type=int, default=SEEDS, help=f"how many (default: {SEEDS})")
    steps.add_parser("table", help="tables and figure from the results files, into README.md")
    args = top.parse_args()
    return ended(lambda: _do(args))


def _do(args: argparse.Namespace) -> int:
    if args.step == "table":
        tables.write()
        return 0
    if args.step == "search":
        return 1 if search(args.workers, args.augment) else 0
    settings = chosen(read(SEARCH_FILE), args.augment)
    if args.step == "confirm":
        policies = dict.fromkeys(policy for pair in CONFIRMED for policy in pair)
        jobs = [Job(policy, seed, settings) for seed in CONFIRM_SEEDS for policy in policies]
        return 1 if run_all(jobs, CONFIRM_FILE, workers=args.workers) else 0
    jobs = [Job(policy, seed, settings) for seed in range(args.seeds) for policy in args.policies]
    return 1 if run_all(jobs, FINAL_FILE, workers=args.workers) else 0


if __name__ == "__main__":
    sys.exit(main())

"""python -m experiments.explanations search | final | masks | figures | table; README.md explains them."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; one run, one core

from experiments.explanations import figures, tables
from experiments.explanations.results import chosen, planned_masks, read
from experiments.explanations.settings import (
    DATA,
    FINAL_FILE,
    GRID,
    KEY,
    MASK_DATA,
    MASK_METHODS,
    MASKS_FILE,
    METHODS,
    SEARCH_FILE,
    SEARCH_SEED,
)
from experiments.explanations.train import Job, run
from experiments.harness import ended, run_missing


def run_all(jobs: Sequence[Job], file: Path, *, workers: int) -> int:
    """Runs what the file lacks and returns the number of failed runs, whose errors are printed at the end."""
    return run_missing(
        file,
        jobs,
        key_of=lambda job: job.key,
        read=read,
        key=KEY,
        workers=workers,
        work=run,
        name_of=lambda job: " ".join(map(str, job.key)),
    )


def search_jobs(data: Sequence[str], methods: Sequence[str]) -> list[Job]:
    """Every setting of every method on the data that choose for these."""
    searched = dict.fromkeys(DATA[name].searched for name in data)
    return [Job(d, m, setting, SEARCH_SEED) for d in searched for m in methods for setting in GRID[m]]


def final_jobs(data: Sequence[str], methods: Sequence[str], seeds: int | None) -> list[Job]:
    """All seeds, or those below a number, at the chosen settings; one seed of all methods before the next."""
    search = read(SEARCH_FILE)
    best = {(d, m): chosen(search, d, m) for d in data for m in methods}
    return [
        Job(d, m, best[d, m], seed)
        for d in data
        for seed in DATA[d].seeds
        if seeds is None or seed < seeds
        for m in methods
    ]


def mask_jobs(data: Sequence[str], methods: Sequence[str], seeds: int | None) -> list[Job]:
    """Every planned way of giving masks, at the settings chosen with exact masks of all training images."""
    keys = planned_masks(read(SEARCH_FILE), data, methods)
    return [Job(d, m, setting, seed, masks) for d, m, setting, masks, seed in keys if seeds is None or seed < seeds]


def main() -> int:
    """Does one step; returns 1 if a run failed, 2 if the input is at fault, 130 if interrupted."""
    top = argparse.ArgumentParser(prog="python -m experiments.explanations", description=__doc__)
    steps = top.add_subparsers(dest="step", required=True)
    kinds = {
        "search": ("every setting, one seed", tuple(dict.fromkeys(plan.searched for plan in DATA.values())), METHODS),
        "final": ("all seeds at the chosen settings", tuple(n for n, plan in DATA.items() if plan.seeds), METHODS),
        "masks": ("few and noisy masks", MASK_DATA, MASK_METHODS),
    }
    for step, (text, data, methods) in kinds.items():
        sub = steps.add_parser(step, help=text)
        sub.add_argument("--workers", type=int, default=os.cpu_count())
        sub.add_argument("--data", nargs="+", default=data, choices=data, metavar="NAME")
        sub.add_argument("--methods", nargs="+", default=methods, choices=methods, metavar="NAME")
        if step != "search":
            sub.add_argument("--seeds", type=int, help="only those below this number")
    steps.add_parser("figures", help="trains two networks for the saliency maps, and draws all figures")
    steps.add_parser("table", help="tables from the results files, into README.md")
    args = top.parse_args()
    return ended(lambda: _do(args))


def _do(args: argparse.Namespace) -> int:
    if args.step == "table":
        tables.write()
        return 0
    if args.step == "figures":
        figures.draw()
        return 0
    if args.step == "search":
        jobs, file = search_jobs(args.data, args.methods), SEARCH_FILE
    elif args.step == "final":
        jobs, file = final_jobs(args.data, args.methods, args.seeds), FINAL_FILE
    else:
        jobs, file = mask_jobs(args.data, args.methods, args.seeds), MASKS_FILE
    return 1 if run_all(jobs, file, workers=args.workers) else 0


if __name__ == "__main__":
    sys.exit(main())

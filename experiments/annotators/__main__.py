"""python -m experiments.annotators run | search | final | ablation | cost | table; README.md explains them."""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; one run, one core

from experiments.annotators import choice, cost, grid, grid_tables, results, tables
from experiments.annotators.job import Job
from experiments.annotators.settings import (
    ABLATION_DATA,
    DATA,
    EMBEDDED,
    FINAL_FILE,
    FINAL_SEEDS,
    GRID_ABLATION_FILE,
    GRID_FILE,
    GRID_METHODS,
    METHODS,
    SEARCH_FILE,
    SHIPPED,
    SHIPPED_VARIANTS,
)
from experiments.annotators.train import run
from experiments.harness import ended
from hilmix.errors import ConfigError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m experiments.annotators", description=__doc__)
    steps = top.add_subparsers(dest="step", required=True)
    one = steps.add_parser("run", help="one run: print its row and keep it in --out")
    one.add_argument("--data", required=True, choices=[*DATA, *EMBEDDED], metavar="NAME")
    one.add_argument("--method", required=True)
    one.add_argument("--lr", type=float, help="without it the method's file and hilmix's defaults, untouched")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--out", type=Path, default=Path("runs/annotators/results.csv"))
    many = {
        "search": ("learning rates, scored on the votes of validation items", DATA, METHODS),
        "final": ("all seeds at the chosen learning rates, scored on test items", DATA, METHODS),
        "grid": ("all seeds of every method's file, untouched, scored on test items", DATA, GRID_METHODS),
        "ablation": ("all seeds of hilmix.yaml with one thing changed at a time", ABLATION_DATA, SHIPPED_VARIANTS),
    }
    for step, (text, data, methods) in many.items():
        sub = steps.add_parser(step, help=text)
        sub.add_argument("--data", nargs="+", default=list(data), choices=DATA, metavar="NAME")
        sub.add_argument("--methods", nargs="+", default=list(methods), choices=methods, metavar="NAME")
        sub.add_argument("--seeds", nargs="+", type=int)
        sub.add_argument("--workers", type=int, default=os.cpu_count())
        sub.add_argument(
            "--shard", nargs=2, type=int, metavar=("I", "N"), default=(0, 1), help="only every N-th run from I on"
        )
    one_choice = steps.add_parser("defaults", help="the one choice of network and learning rate, on validation votes")
    one_choice.add_argument("--workers", type=int, default=os.cpu_count())
    costs = steps.add_parser("cost", help="time per epoch of every method, all in turns; wants an idle machine")
    costs.add_argument("--rounds", type=int, default=3)
    for name in ("run", *many, "defaults", "cost"):
        steps.choices[name].add_argument("--root", default="data/annotators", help="folder of the prepared data")
    steps.add_parser("table", help="tables and figures from the results files, into the pages")
    return top


def main() -> int:
    """Does one step; returns 1 if a run failed, 2 if the input is at fault, 130 if interrupted."""
    args = parser().parse_args()
    return ended(lambda: _do(args))


def _do(args: argparse.Namespace) -> int:
    if args.step == "table":
        tables.write()
        grid_tables.write()
        return 0
    if args.step == "defaults":
        return 1 if choice.run_choice(args.root, workers=args.workers) else 0
    if args.step == "cost":
        cost.measure(args.root, rounds=args.rounds)
        return 0
    if args.step == "run":
        network = SHIPPED if args.lr is None else ""
        row = run(Job(args.data, args.method, args.lr, args.seed, root=args.root, network=network))
        results.add_row(args.out, row)
        print("\n".join(f"{name:24} {value}" for name, value in row.items()))
        return 0
    return 1 if _many(args) else 0


def _many(args: argparse.Namespace) -> int:
    part, parts = args.shard
    if not 0 <= part < parts:
        raise ConfigError(f"--shard {part} {parts}: the first number must be from 0 to {parts - 1}.")
    if args.step in ("grid", "ablation"):
        file = GRID_FILE if args.step == "grid" else GRID_ABLATION_FILE
        jobs = grid.shipped_jobs(args.data, args.methods, args.seeds or FINAL_SEEDS, args.root)
        return grid.run_shipped(jobs[part::parts], file, workers=args.workers)
    if args.step == "search":
        file = SEARCH_FILE
        jobs = grid.search_jobs(args.data, args.methods, args.seeds, args.root)
    else:
        file, search = FINAL_FILE, grid.read(SEARCH_FILE)
        jobs = grid.final_jobs(args.data, args.methods, args.seeds or FINAL_SEEDS, args.root, search)
    return grid.run_all(jobs[part::parts], file, workers=args.workers)


if __name__ == "__main__":
    sys.exit(main())

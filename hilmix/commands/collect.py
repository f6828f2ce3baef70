"""``hilmix collect FOLDER ... -o runs.csv``: one table of many runs."""

import argparse
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from hilmix.commands.outputs import require_free
from hilmix.files import write_table
from hilmix.report.collection import Collection, average_runs, collect_runs
from hilmix.terminal import Console, Grid, say, warn

SHOWN = ("acc", "nll", "ece", "vote_nll")
"""Metrics in the terminal, where there is room for a few; the file has all."""
_MORE = """A folder may hold runs at any depth. The table has a row per run: its state, every setting in which the runs
differ, the checkpoint, and every metric of its metrics.json (of a run without one: of its last validation).

  hilmix collect runs/sweep -o runs.csv
  hilmix collect runs/sweep -o means.csv --over seed_everything     (mean and standard deviation over seeds)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _MORE
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a run folder, or one that holds some")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="write the table here (.csv, .jsonl or .parquet)"
    )
    parser.add_argument(
        "--over", metavar="SETTING", help="average runs that differ in this setting alone, as seed_everything"
    )


def run(args: argparse.Namespace, console: Console) -> None:
    """Prints the runs, or their means, and writes all columns.

    Raises:
        ConfigError: if the runs do not differ in the setting to average over.
        DataError: if the output exists.
        RunError: if no run can be read.
    """
    if args.out is not None:
        require_free(args.out, flag="--out", what="file")
    found = collect_runs(args.folders)
    for reason in found.unreadable:
        warn(console, reason)
    table = found.table if args.over is None else average_runs(found, over=args.over)
    console.print(_shown(table, found, averaged=args.over is not None))
    untested = int((found.table["state"] != "tested").sum())
    say(console, f"{len(found.table):,} runs" + f", {untested:,} of them not tested" * bool(untested))
    if args.out is not None:
        write_table(table, args.out)
        say(console, f"Written to {args.out}")


def _shown(table: pd.DataFrame, found: Collection, *, averaged: bool) -> Grid:
    metrics = [name for name in SHOWN if {f"test/{name}", f"val/{name}"} & set(table)]
    first = [*(name for name in found.settings if name in table), "runs"] if averaged else ["run", "state"]
    grid = Grid(*(name.rpartition("init_args.")[2] for name in first))
    for name in metrics:
        grid.add_column(name, justify="right")
    for row in table.to_dict("records"):
        grid.add_row(*(str(row[name]) for name in first), *(_cell(row, name) for name in metrics))
    return grid


def _cell(row: dict[Hashable, Any], metric: str) -> str:
    """The value on test items; of a run that is not tested, as its state says, on validation items."""
    for name in (f"test/{metric}", f"val/{metric}"):
        if pd.notna(row.get(name)):
            spread = row.get(f"{name} std")
            return f"{row[name]:.4f}" + (f" ± {spread:.4f}" if pd.notna(spread) else "")
    return "-"

"""``hilmix report RUN_DIR``: the HTML report and a summary in the terminal."""

import argparse

from hilmix.report import summarize
from hilmix.terminal import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("run_dir", help="the --run_dir of a run")


def run(args: argparse.Namespace, console: Console) -> None:
    """Write ``report.html`` and print what matters of the run.

    Raises:
        RunError: if the folder holds no run or cannot be written.
    """
    summarize(args.run_dir, console=console)

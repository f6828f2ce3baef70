"""``hilmix report RUN_DIR``: the HTML report and a summary in the terminal."""

import argparse
from collections.abc import Sequence

from hilmix.errors import HilmixError
from hilmix.report import summarize
from hilmix.terminal import refuse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``hilmix report`` with the arguments after ``report``; returns 0, or 2 with one clear message."""
    parser = argparse.ArgumentParser(prog="hilmix report", description="Build the HTML report of a run folder.")
    parser.add_argument("run_dir", help="the --run_dir of a run")
    args = parser.parse_args(argv)
    try:
        summarize(args.run_dir)
    except HilmixError as error:
        return refuse(error)
    return 0

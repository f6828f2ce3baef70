"""``hilmix data list``: the public data sets."""

import argparse

from hilmix.data.sources import SOURCES
from hilmix.terminal import Console, Grid, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options: there are none."""


def run(args: argparse.Namespace, console: Console) -> None:
    """Print name, summary and licence of every public data set."""
    table = Grid("name", "what", "licence")
    for source in SOURCES.values():
        table.add_row(source.name, source.summary, source.licence)
    console.print(table)
    say(console, "", "Prepare one: hilmix data prepare NAME")

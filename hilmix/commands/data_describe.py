"""``hilmix data describe SOURCE``: prints what the votes of a data folder or of an export hold."""

import argparse
from pathlib import Path

from hilmix.commands.data_summary import print_summary
from hilmix.commands.export_options import add_export_arguments, read_export_settings
from hilmix.data.exports.labels import load_labels
from hilmix.terminal import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("source", type=Path, help="data folder, or an export of votes such as votes.csv")
    add_export_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> None:
    """Print the numbers.

    Raises:
        ConfigError: for options that do not belong together.
        DataError: if the votes are not right.
    """
    labels = load_labels(args.source, read_export_settings(args, args.source))
    print_summary(labels, args.source, console)

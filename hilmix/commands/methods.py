"""``hilmix methods``: the methods by name, with a line about each."""

import argparse

from hilmix.methods import find_method, list_methods
from hilmix.terminal import Console, Grid, pairs, say

_MORE = """docs/methods.md says which one suits which data.

  hilmix fit -c configs/method/NAME.yaml --data.root FOLDER --run_dir RUN
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = _MORE
    parser.add_argument("name", nargs="?", help="a method, of which alone the line is printed")


def run(args: argparse.Namespace, console: Console) -> None:
    """Print the list, or the line about one method.

    Raises:
        ConfigError: for an unknown name, with those near it.
    """
    if args.name is not None:
        say(console, find_method(args.name).about)
        return
    table: Grid = pairs([(method.name, method.about) for method in list_methods()])
    console.print(table)

"""``hilmix hmix download``: the released files of H-Mix."""

import argparse
from pathlib import Path

from hilmix.human.study.download import LICENCE, download_hmix
from hilmix.terminal import Console, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Fetch the released files of H-Mix from the GitHub repository of its authors and check them. Files that are\n"
        f"there already are kept. {LICENCE}"
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path("data/h_mix"),
        metavar="FOLDER",
        help="where to put them (default: data/h_mix)",
    )


def run(args: argparse.Namespace, console: Console) -> None:
    """Fetch the files and name their licence.

    Raises:
        DataError: if a file cannot be fetched, or has another content.
    """
    files = download_hmix(args.folder)
    say(console, f"{len(files)} files in {args.folder}.", *LICENCE.splitlines())

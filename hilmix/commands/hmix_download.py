"""``hilmix hmix download``: the released files of H-Mix."""

import argparse
from pathlib import Path
from typing import Any

from hilmix.human.study.download import LICENCE, download_hmix
from hilmix.terminal import Console, say


def add_parser(actions: Any) -> None:
    """Adds the action."""
    parser = actions.add_parser(
        "download",
        help="fetch the released files of H-Mix",
        description="Fetch the released files of H-Mix from the GitHub repository of its authors and check them. Files "
        f"that are there already are kept. {LICENCE}",
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path("data/h_mix"),
        metavar="FOLDER",
        help="where to put them (default: data/h_mix)",
    )
    parser.set_defaults(function=_download)


def _download(args: argparse.Namespace, console: Console) -> None:
    files = download_hmix(args.folder)
    say(console, f"{len(files)} files in {args.folder}.", *LICENCE.splitlines())

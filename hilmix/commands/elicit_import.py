"""``hilmix elicit import STUDY FILE ...``: what the jsPsych pages of a study have saved, into the study."""

import argparse
from pathlib import Path

from hilmix.human.elicit.jspsych.answers import import_answers
from hilmix.terminal import Console, say

_ABOUT = """Files are those that the pages of `hilmix elicit export --format jspsych` save, one participant in each; or
results as JATOS exports them, one participant in each line. All are imported, or none.

  hilmix elicit import studies/mine answers.json
  hilmix elicit import studies/mine results/*.json
  hilmix hmix summary studies/mine
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = _ABOUT
    parser.add_argument(
        "study", type=Path, metavar="STUDY", help="folder of the study that the pages were exported from"
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="what the pages have saved")


def run(args: argparse.Namespace, console: Console) -> None:
    """Imports, and prints how many participants.

    Raises:
        DataError: if a file is not of this study, or a participant in it is there already.
    """
    taken = import_answers(args.study, args.files)
    say(
        console,
        f"{len(taken):,} participants taken into {args.study}, with {sum(taken.values()):,} answers.",
        f"Look: hilmix elicit status {args.study}",
    )

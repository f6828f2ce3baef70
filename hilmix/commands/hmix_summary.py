"""``hilmix hmix summary FOLDER``: describe the human judgments of mixed images."""

import argparse
from pathlib import Path

from hilmix.checks import OpenShare, PositiveInt, check_value
from hilmix.commands.hmix_policies import add_study, read_elicited
from hilmix.errors import DataError
from hilmix.human.report import draw_figures, print_summary, read_studies, summarize_studies, write_page, write_summary
from hilmix.human.study.layout import LAYOUTS
from hilmix.terminal import Console, literal, say

_FILES = "\n".join(f"  {layout.file}" for layout in LAYOUTS.values())
_ABOUT = f"""FOLDER holds one or more of
{_FILES}
as released, or as a study of your own in the same layout. Trials shown once more count in reliability only; odd-looking
sessions are flagged, never left out. Or FOLDER is a study of hilmix elicit, whose rules of quality leave participants
out.

  hilmix hmix summary data/h_mix
  hilmix hmix summary data/h_mix -o reports/h_mix
  hilmix hmix summary data/mine -o reports/mine --classes cat dog "polar bear" --num-items 50000
  hilmix hmix summary studies/mine

OUT receives index.html, one page with all of it, summary.csv (all estimates), summary.json, one CSV per table and, with
matplotlib, figures as PNG. docs/human_mixup.md explains each of them.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Describe the studies of a folder: relabelling curves, confidence, agreement, class strengths, "
        "midpoints, labels over the classes."
    )
    parser.epilog = _ABOUT
    add_study(parser)
    parser.add_argument("-o", "--out", type=Path, metavar="OUT", help="folder to write; without it, only print")
    parser.add_argument("--level", type=float, default=0.95, help="of the intervals (default: 0.95)")


def run(args: argparse.Namespace, console: Console) -> None:
    """Print the summary, and write it where an output is given.

    Raises:
        ConfigError: for a level or a number of items out of range.
        DataError: if the studies cannot be used, or the output folder holds something.
    """
    check_value("--level", args.level, OpenShare)
    check_value("--num-items", args.num_items, PositiveInt)
    # An empty folder passes, as shells and notebooks make it beforehand.
    if args.out is not None and args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise DataError(f"'{args.out}' exists already. Remove it, or choose another folder with -o.")
    studies = read_elicited(args, console)
    if studies is None:
        studies = read_studies(args.folder, classes=args.classes, num_items=args.num_items)
    summary = summarize_studies(studies, level=args.level)
    print_summary(summary, console)
    if args.out is not None:
        files = [*write_summary(summary, args.out), *draw_figures(studies, summary, args.out)]
        files.append(write_page(studies, summary, files, args.out))
        names = ", ".join(file.name for file in files)
        say(console, "", literal(("Written", "bold"), f" to {args.out}: {names}"))

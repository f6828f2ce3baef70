"""``hilmix hmix``: what participants said about mixed images: describe it, fit policies to it, train on it."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from hilmix.commands import hmix_download, hmix_fit, hmix_mixes
from hilmix.commands.hmix_policies import add_study, read_elicited
from hilmix.errors import ConfigError, DataError, HilmixError
from hilmix.human.report import draw_figures, print_summary, read_studies, summarize_studies, write_summary
from hilmix.human.study.layout import LAYOUTS
from hilmix.terminal import Console, literal, refuse, say, terminal

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

OUT receives summary.csv (all estimates), summary.json, one CSV per table and, with matplotlib, figures as PNG.
docs/human_mixup.md says what each of them tells.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``hilmix hmix`` with the arguments after ``hmix``; returns 0, or 2 with one clear message."""
    args = _parser().parse_args(argv)
    function: Callable[[argparse.Namespace, Console], None] = args.function
    try:
        function(args, terminal())
    except HilmixError as error:
        return refuse(error)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hilmix hmix", description="Human judgments of mixed images.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    summary = actions.add_parser(
        "summary",
        help="describe the studies of a folder: curves, confidence, agreement, classes, labels",
        description="Describe the studies of a folder: relabelling curves, confidence, agreement, class strengths, "
        "midpoints, labels over the classes.",
        epilog=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_study(summary)
    summary.add_argument("-o", "--out", type=Path, metavar="OUT", help="folder to write; without it, only print")
    summary.add_argument("--level", type=float, default=0.95, help="of the intervals (default: 0.95)")
    summary.set_defaults(function=_summary)
    hmix_download.add_parser(actions)
    hmix_fit.add_parser(actions)
    hmix_mixes.add_parser(actions)
    return parser


def _summary(args: argparse.Namespace, console: Console) -> None:
    if not 0 < args.level < 1:
        raise ConfigError(f"--level is {args.level:g}; allowed are numbers between 0 and 1.")
    if args.num_items < 1:
        raise ConfigError(f"--num-items is {args.num_items}; allowed are whole numbers of at least 1.")
    if args.out is not None and args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise DataError(f"'{args.out}' exists already. Remove it, or choose another folder with -o.")
    studies = read_elicited(args, console)
    if studies is None:
        studies = read_studies(args.folder, classes=args.classes, num_items=args.num_items)
    summary = summarize_studies(studies, level=args.level)
    print_summary(summary, console)
    if args.out is not None:
        files = [*write_summary(summary, args.out), *draw_figures(studies, summary, args.out)]
        names = ", ".join(file.name for file in files)
        say(console, "", literal(("Written", "bold"), f" to {args.out}: {names}"))

"""``hilmix elicit review AUDIT -o STUDY``: the suspicious labels of an audit as a study, to be looked at again."""

import argparse
from pathlib import Path
from typing import Annotated

from hilmix.checks import PositiveInt, Range, check_value
from hilmix.commands.elicit_build import add_texts, read_texts
from hilmix.data.folder import read_folder
from hilmix.data.folder.tables import read_csv
from hilmix.errors import DataError
from hilmix.human.elicit.design.review import Review, build_review
from hilmix.spreadsheets import plain_cells
from hilmix.terminal import Console, literal, say

_ABOUT = """Participants see each picture of AUDIT/review with its label and the suggestion, and choose one of them, any
other class, or that they cannot tell. The votes go back into the data, by participant:

  hilmix audit data/mine --run runs/mine -o audits/mine
  hilmix elicit review audits/mine -o studies/review
  hilmix elicit serve studies/review
  hilmix elicit export studies/review -o data/answers --format folder --data audits/mine/review
  hilmix audit data/mine --reviewed data/answers -o data/reviewed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = _ABOUT
    default = Review()
    parser.add_argument("audit", type=Path, metavar="AUDIT", help="folder that hilmix audit has written")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="STUDY", help="folder to write")
    counts = (
        ("per-batch", default.per_batch, "most pictures of a participant"),
        ("repeats", default.repeats, "pictures of a batch shown once more at its end"),
        ("judgments", default.judgments, "wanted for each picture"),
        ("seed", default.seed, "of all draws"),
    )
    for name, value, about in counts:
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"{about} (default: {value})")
    add_texts(parser)


def run(args: argparse.Namespace, console: Console) -> None:
    """Builds, and says what to do next.

    Raises:
        ConfigError: for options that cannot be.
        DataError: if the audit holds nothing to review, or the output is there already.
    """
    for name, kind in (("per_batch", PositiveInt), ("judgments", PositiveInt)):
        check_value(f"--{name.replace('_', '-')}", getattr(args, name), kind)
    for name in ("repeats", "seed"):
        check_value(f"--{name}", getattr(args, name), Annotated[int, Range(0, 2**31 - 1)])
    table = args.audit / "review.csv"
    if not table.is_file():
        raise DataError(f"{args.audit} must hold review.csv, got none. Make it with hilmix audit.")
    sizes = Review(args.per_batch, args.repeats, args.judgments, args.seed)
    data = read_folder(args.audit / "review")
    study = build_review(data, plain_cells(read_csv(table)), args.out, sizes, own=read_texts(args))
    what = f" to {args.out}: {len(study.stimuli):,} pictures, batches: {len(study.batches):,}."
    say(console, literal(("Written", "bold"), what), f"Serve it: hilmix elicit serve {args.out}")

"""``hilmix data check FOLDER``: validates a data folder or a table of votes, and prints what it holds."""

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hilmix.commands.data_summary import print_summary
from hilmix.commands.export_options import add_export_arguments, read_export_settings
from hilmix.data.exports.labels import examine_labels
from hilmix.data.exports.read import is_export
from hilmix.data.folder import examine_folder
from hilmix.data.folder.describe import describe_data, training_notes
from hilmix.data.items import AnnotatedData, LabelledItems
from hilmix.errors import ConfigError, DataError
from hilmix.faults import Fault, FaultyDataError, Findings
from hilmix.terminal import Console, say

if TYPE_CHECKING:  # masks need torch, whose import takes longer than all else here
    from hilmix.data.folder.copy import CleanedCopy

_ABOUT = """Reads everything and reports all faults at once, grouped by file, with the first rows and their number.
Ends with code 0, or with code 2 and what is wrong.

  hilmix data check data/mine
  hilmix data check data/mine --json > check.json
  hilmix data check data/mine --skip-unreadable -o data/clean
  hilmix data check votes.csv

--skip-unreadable writes a copy without the items whose image cannot be read, their annotations and masks. The original
is only read.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog, parser.formatter_class = _ABOUT, argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path, help="data folder, or an export of votes such as votes.csv")
    parser.add_argument("--quick", action="store_true", help="do not decode every image")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--skip-unreadable", action="store_true", help="write a copy without unreadable images, with -o"
    )
    parser.add_argument("-o", "--out", type=Path, metavar="COPY", help="folder that --skip-unreadable writes")
    add_export_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> None:
    """Checks and prints.

    Raises:
        ConfigError: for options that do not belong together.
        DataError: if the folder is not right, with all its faults.
    """
    if args.skip_unreadable != (args.out is not None):
        raise ConfigError("--skip-unreadable and -o COPY belong together; give both or none.")
    if args.skip_unreadable and (args.quick or args.json):
        raise ConfigError("--skip-unreadable decodes every image and prints text; leave --quick and --json out.")
    if args.skip_unreadable:
        from hilmix.data.folder.copy import copy_readable

        _print_cleaned(copy_readable(args.folder, args.out), args.out, console)
        return
    settings = read_export_settings(args, args.folder)
    # Collects faults instead of raising the first: one run of the command, one list to work through.
    data: AnnotatedData | LabelledItems | None
    if is_export(args.folder):
        data, found = examine_labels(args.folder, settings)
    else:
        examined = examine_folder(args.folder, decode=not args.quick)
        data, found = examined.data, examined.found
    if args.json:
        say(console, *_json(args.folder, data, found).splitlines())
    # After the JSON, which scripts read whatever the exit code.
    if data is None:
        raise DataError(all_faults(FaultyDataError(args.folder, found.faults)))
    if not args.json:
        print_summary(data, args.folder, console, quick=args.quick)
        say(console, "ok" + " (inputs not decoded)" * (args.quick and isinstance(data, AnnotatedData)))


def all_faults(error: FaultyDataError) -> str:
    """Returns every fault as a sentence, grouped by file."""
    if len(error.faults) == 1:
        return str(error)
    places = sum(fault.count for fault in error.faults)
    lines = [f"{error.root} has {len(error.faults)} kinds of faults in {places:,} places:"]
    for file in dict.fromkeys(fault.file for fault in error.faults):
        lines.append(f"  {file}")
        lines += [f"    - {_without_file(fault)}" for fault in error.faults if fault.file == file]
    return "\n".join(lines)


def _without_file(fault: Fault) -> str:
    return fault.sentence().removeprefix(fault.file).lstrip(",: ")


def _json(place: Path, data: AnnotatedData | LabelledItems | None, found: Findings) -> str:
    content: dict[str, Any] = {"folder": str(place), "ok": data is not None}
    for name in ("faults", "notes"):
        content[name] = [fault.to_dict() for fault in getattr(found, name)]
    if data is not None:
        content["notes"] += [one.to_dict() for one in training_notes(data, data.split, place)]
    content["data"] = None if data is None else _numbers(data)
    return json.dumps(content, indent=2)


def _numbers(data: AnnotatedData | LabelledItems) -> dict[str, Any]:
    """Collects the printed numbers as plain values; NaN as null."""
    shown: dict[str, Any] = {"name": data.name}
    if isinstance(data, AnnotatedData):
        shown |= {"licence": data.licence, "input": data.inputs.kind, "shape": data.inputs.shape}
    for key, value in vars(describe_data(data)).items():
        by_class = isinstance(value, np.ndarray)
        shown[key] = dict(zip(data.annotations.classes, value.tolist(), strict=True)) if by_class else value
        # JSON has no NaN.
        if isinstance(value, float) and not math.isfinite(value):
            shown[key] = None
    return shown


def _print_cleaned(cleaned: "CleanedCopy", out: Path, console: Console) -> None:
    for item, path in zip(cleaned.items, cleaned.paths, strict=True):
        say(console, f"left out: {item} ({path})")
    say(
        console,
        f"{len(cleaned.items):,} items with an unreadable image, their {cleaned.annotations:,} annotations and "
        f"{cleaned.masks:,} masks are left out; the others are written to {out}",
    )

"""``hilmix data check FOLDER``: validates a data folder and prints what it holds."""

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hilmix.data.folder import FolderContents, examine_folder
from hilmix.data.folder.describe import Description, describe_data, training_notes
from hilmix.data.items import AnnotatedData
from hilmix.errors import ConfigError, DataError
from hilmix.faults import Fault, FaultyDataError
from hilmix.terminal import Console, Grid, literal, pairs, say, say_notes

if TYPE_CHECKING:  # masks need torch, whose import takes longer than all else here
    from hilmix.data.folder.copy import CleanedCopy
    from hilmix.data.masks import Masks

_MANY_CLASSES = 20
_ABOUT = """Reads everything and reports all faults at once, grouped by file, with the first rows and their number.
Ends with code 0, or with code 2 and what is wrong.

  hilmix data check data/mine
  hilmix data check data/mine --json > check.json
  hilmix data check data/mine --skip-unreadable -o data/clean

--skip-unreadable writes a copy without the items whose image cannot be read, their annotations and masks. The original
is only read.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog, parser.formatter_class = _ABOUT, argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="do not decode every image")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--skip-unreadable", action="store_true", help="write a copy without unreadable images, with -o"
    )
    parser.add_argument("-o", "--out", type=Path, metavar="COPY", help="folder that --skip-unreadable writes")


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
    # Collects faults instead of raising the first: one run of the command, one list to work through.
    examined = examine_folder(args.folder, decode=not args.quick)
    if args.json:
        say(console, *_json(args.folder, examined).splitlines())
    # After the JSON, which scripts read whatever the exit code.
    if examined.data is None:
        raise DataError(all_faults(FaultyDataError(args.folder, examined.found.faults)))
    if not args.json:
        _print(args, examined.data, console)


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


def _json(folder: Path, examined: FolderContents) -> str:
    content: dict[str, Any] = {"folder": str(folder), "ok": examined.data is not None}
    for name in ("faults", "notes"):
        content[name] = [fault.to_dict() for fault in getattr(examined.found, name)]
    if examined.data is not None:
        content["notes"] += [one.to_dict() for one in training_notes(examined.data, examined.data.split, folder)]
    content["data"] = None if examined.data is None else _numbers(examined.data)
    return json.dumps(content, indent=2)


def _numbers(data: AnnotatedData) -> dict[str, Any]:
    """Collects the printed numbers as plain values; NaN as null."""
    shown: dict[str, Any] = {
        "name": data.name,
        "licence": data.licence,
        "input": data.inputs.kind,
        "shape": data.inputs.shape,
    }
    for key, value in vars(describe_data(data)).items():
        by_class = isinstance(value, np.ndarray)
        shown[key] = dict(zip(data.classes, value.tolist(), strict=True)) if by_class else value
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


def _print(args: argparse.Namespace, data: AnnotatedData, console: Console) -> None:
    found = describe_data(data)
    say(console, literal((data.name, "bold"), f" ({args.folder})"))
    console.print(_summary(data, found, quick=args.quick))
    console.print(_classes(data, found))
    if data.groups:
        console.print(_groups(data))
    say_notes(console, data.notes)
    say_notes(console, training_notes(data, data.split, args.folder))
    say(console, "ok" + (" (inputs not decoded)" if args.quick else ""))


def _summary(data: AnnotatedData, found: Description, *, quick: bool) -> Grid:
    low, mean, high = found.labels_per_item
    rows = {
        "licence": data.licence or "not stated",
        "inputs": f"{data.inputs.kind}, {' x '.join(map(str, data.inputs.shape))}",
        "items": f"{found.items:,}",
        "splits": ", ".join(f"{name} {n:,} ({voted:,} annotated)" for name, (n, voted) in found.splits.items()),
        "annotations": f"{found.annotations:,}" + (" (soft)" if data.annotations.probs is not None else ""),
        "labels per item": f"{low} to {high}, mean {mean:.2f}"
        + (f"; none on {found.empty_items:,} items" * bool(found.empty_items)),
        "annotators": _annotators(data, found),
        "agreement": _agreement(found),
        "truth": f"known for {found.known_targets:,} items",
    }
    if found.known_targets:
        rows["wrong labels"] = _percent(found.wrong_labels)
        rows["majority vote"] = f"{_percent(found.majority_accuracy)} right (ties split)"
    if data.masks is not None:
        rows |= _masks(data.masks, quick=quick)
    return pairs(rows)


def _annotators(data: AnnotatedData, found: Description) -> str:
    if data.annotations.exchangeable:
        return "exchangeable (identities unknown)"
    low, median, high = found.labels_per_annotator
    return f"{found.annotators:,}, with {low:,} to {high:,} labels, median {median:g}"


def _agreement(found: Description) -> str:
    alpha = found.krippendorff_alpha
    shown = "n/a" if alpha != alpha else f"{alpha:.3f}"
    return f"{_percent(found.pairwise_agreement)} of pairs, Krippendorff {shown}"


def _percent(share: float) -> str:
    return "n/a" if share != share else f"{100 * share:.1f} %"


def _classes(data: AnnotatedData, found: Description) -> Grid:
    table = Grid("class", "votes", "truth")
    order = (
        sorted(range(len(data.classes)), key=lambda k: -found.class_votes[k])
        if len(data.classes) > _MANY_CLASSES
        else range(len(data.classes))
    )
    for k in list(order)[:_MANY_CLASSES]:
        truth = "" if found.class_targets is None else _percent(float(found.class_targets[k]))
        table.add_row(data.classes[k], _percent(float(found.class_votes[k])), truth)
    if len(data.classes) > _MANY_CLASSES:
        table.add_row(f"... {len(data.classes) - _MANY_CLASSES} more", "", "")
    return table


def _masks(masks: "Masks", *, quick: bool) -> dict[str, str]:
    from hilmix.data.folder.mask_summary import summarise_masks

    given, annotators = int(masks.explained.sum()), len(set(masks.annotator))
    by = f"{annotators} annotators" if annotators > 1 else "one annotator"
    rows = {"masks": f"on {given:,} of {masks.num_items:,} items, by {by}"}
    if quick:
        return rows
    found = summarise_masks(masks)
    low, high = found.per_item
    rows["masks"] += f"; {low} to {high} per item" * (high > 1)
    rows["masks mark"] = f"{_percent(found.marked)} of the input on average"
    rows["masks mark"] += f"; {found.empty:,} mark nothing" * bool(found.empty)
    if high > 1:
        rows["masks overlap"] = f"by {_percent(found.overlap)}, two annotators' of one item"
    return rows


def _groups(data: AnnotatedData) -> Grid:
    from hilmix.data.folder.mask_summary import count_group_sizes

    sizes = count_group_sizes(data)
    table = Grid("group", *sizes.columns)
    for name, row in zip(sizes.index, sizes.to_numpy(), strict=True):
        table.add_row(name, *(f"{n:,}" for n in row))
    return table

"""``hilmix data import SOURCE``: a data folder from an export of votes, or from images in class folders."""

import argparse
from pathlib import Path
from typing import Annotated

from hilmix.checks import Range, check_value
from hilmix.commands.data_summary import print_summary
from hilmix.commands.export_options import add_export_arguments, read_export_settings
from hilmix.commands.outputs import require_free, write_data
from hilmix.data.exports.build import add_images
from hilmix.data.exports.export import ExportSettings
from hilmix.data.exports.labels import label_items
from hilmix.data.exports.read import is_export, read_exports
from hilmix.data.folder import read_class_folders, read_folder
from hilmix.data.folder.class_folders import ANNOTATOR
from hilmix.data.items import AnnotatedData, LabelledItems
from hilmix.errors import ConfigError
from hilmix.faults import Findings
from hilmix.terminal import Console, literal, pairs, say, say_notes

_ABOUT = """Reads an export of votes and the images of its items, or images in class folders, and writes a data folder.

  hilmix data import votes.csv --images photos -o data/mine
  hilmix data import votes.csv --item task --annotator worker --label answer --sep ';' --images photos -o data/mine
  hilmix data import votes.csv --images photos --dry_run
  hilmix data import label-studio.json --images photos -o data/mine
  hilmix data import ann.jsonl bob.jsonl --images photos -o data/mine
  hilmix data import photos

An item is matched with an image by relative path, file name, or name without extension, whichever is one-to-one.
docs/data_import.md lists the layouts.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog, parser.formatter_class = _ABOUT, argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "source",
        type=Path,
        nargs="+",
        metavar="SOURCE",
        help="export such as votes.csv, several of one layout, or images in CLASS/... or SPLIT/CLASS/...",
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FOLDER", help="folder to write (default: data/NAME OF SOURCE)"
    )
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="folder of the images that the items of an export name"
    )
    parser.add_argument("--dry_run", "--dry-run", action="store_true", help="print what is understood, write nothing")
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        help="side that images are brought to (default: their own where all are of one size, else 128)",
    )
    add_export_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> None:
    """Read the source, write the folder and check it.

    Raises:
        ConfigError: for an image size below 1, or options that do not belong together.
        DataError: for votes or images that cannot be used, or an output that exists.
    """
    check_value("--image-size", args.image_size, Annotated[int, Range(1, remedy="128 is usual.")] | None)
    first, exports = args.source[0], all(map(is_export, args.source))
    settings = read_export_settings(args, next((one for one in args.source if not is_export(one)), first))
    if not exports and (args.images is not None or len(args.source) > 1):
        raise ConfigError(f"A folder of images stands alone, without --images and further sources, got '{first}'.")
    out = args.out or Path("data") / (first.resolve().stem if first.is_file() else first.resolve().name)
    if not args.dry_run:
        require_free(out, flag="--out")
    data = _read_exports(args, settings, console) if exports else _read_folders(first, args.image_size, console)
    if args.dry_run:
        print_summary(data, first, console)
        say(console, f"nothing is written; without --dry_run it would be {out}")
        return
    assert isinstance(data, AnnotatedData), "without images only a dry run goes on"
    write_data(data, out)
    say_notes(console, data.notes)
    # Read back, by which the folder is checked as any other.
    print_summary(read_folder(out), out, console)
    height, width = data.inputs.shape[1:]
    say(console, f"{len(data):,} images of {len(data.classes)} classes, {width} x {height} pixels, written to {out}")


def _read_exports(
    args: argparse.Namespace, settings: ExportSettings, console: Console
) -> AnnotatedData | LabelledItems:
    found, first = Findings(), args.source[0]
    export = read_exports(args.source, settings, found)
    say(console, literal((", ".join(map(str, args.source)), "bold"), f": {export.layout}"))
    console.print(pairs(dict(export.understood)))
    found.raise_if_any(first)
    # The folder of an export of FiftyOne or CVAT holds its images.
    images = args.images or (first if first.is_dir() else None)
    if args.dry_run and images is None:
        labels = label_items(export, settings, found)
        found.raise_if_any(first)
        assert labels is not None, "what is None comes with a fault"
        return labels
    return add_images(export, images, settings, found, image_size=args.image_size)


def _read_folders(root: Path, image_size: int | None, console: Console) -> AnnotatedData:
    data, left_out = read_class_folders(root, image_size=image_size)
    if left_out:
        more = f" and {len(left_out) - 1:,} more" * (len(left_out) > 1)
        say(console, f"Left out as no image that can be read: {left_out[0]}{more}")
    say(console, f"The folder of an image is its class, and its one label, by annotator '{ANNOTATOR}'.")
    return data

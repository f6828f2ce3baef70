"""``hilmix data import IMAGES``: a data folder from images in class folders."""

import argparse
from pathlib import Path
from typing import Annotated

from hilmix.checks import Range, check_value
from hilmix.commands.outputs import require_free, write_data
from hilmix.data.folder.class_folders import ANNOTATOR, read_class_folders
from hilmix.terminal import Console, say, say_notes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "images", type=Path, metavar="IMAGES", help="CLASS/..., or train, val and test with class folders in them"
    )
    parser.add_argument("--out", type=Path, help="folder to write (default: data/NAME OF IMAGES)")
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        help="side that images are brought to (default: their own where all are of one size, else 128)",
    )


def run(args: argparse.Namespace, console: Console) -> None:
    """Read the images and write the folder.

    Raises:
        ConfigError: for an image size below 1.
        DataError: for images that cannot be used, or an output that exists.
    """
    check_value("--image-size", args.image_size, Annotated[int, Range(1, remedy="128 is usual.")] | None)
    out = require_free(args.out or Path("data") / args.images.resolve().name, flag="--out")
    data, left_out = read_class_folders(args.images, image_size=args.image_size)
    write_data(data, out)
    say_notes(console, data.notes)
    if left_out:
        more = f" and {len(left_out) - 1:,} more" * (len(left_out) > 1)
        say(console, f"Left out as no image that can be read: {left_out[0]}{more}")
    height, width = data.inputs.shape[1:]
    say(
        console,
        f"{len(data):,} images of {len(data.classes)} classes, {width} x {height} pixels, written to {out}; "
        f"their folder is their class, and their one label, by annotator '{ANNOTATOR}'.",
    )

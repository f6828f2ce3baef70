"""``hilmix data``: list, prepare and show public data sets, import your images, check any data folder."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from hilmix.commands import data_check
from hilmix.data.folder import write_folder
from hilmix.data.folder.class_folders import ANNOTATOR, read_class_folders
from hilmix.data.items import AnnotatedData
from hilmix.data.sources import SOURCES, Access, Options, Source, find_source
from hilmix.errors import ConfigError, DataError, HilmixError
from hilmix.terminal import Console, Grid, pairs, refuse, say, say_notes, terminal

_DOWNLOADS = "downloads"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``hilmix data`` with the arguments after ``data``; returns 0, or 2 with one clear message on bad data."""
    args = _parser().parse_args(argv)
    function: Callable[[argparse.Namespace, Console], None] = args.function
    try:
        function(args, terminal())
    except HilmixError as error:
        return refuse(error)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hilmix data", description="Public data sets and data folders.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="list the public data sets").set_defaults(function=_list)

    prepare = actions.add_parser("prepare", help="write a public data set as a data folder")
    prepare.add_argument("name", help="see: hilmix data list")
    prepare.add_argument("--out", type=Path, help="folder to write (default: data/NAME)")
    prepare.add_argument(
        "--downloads", type=Path, help="folder of the original files (default: downloads beside --out)"
    )
    prepare.add_argument("--seed", type=int, help="seed of simulated annotators (default: 0)")
    prepare.add_argument("--annotators", type=int, help="number of simulated annotators (default: 20)")
    prepare.add_argument(
        "--labels-per-item",
        type=_number_or_range,
        metavar="N|LOW-HIGH",
        help="labels per item of simulated annotators (default: 2-3)",
    )
    prepare.add_argument(
        "--allow-unverified",
        action="store_true",
        help="download files that come without https, checksum or commit, too",
    )
    prepare.set_defaults(function=_prepare)

    show = actions.add_parser("show", help="licence, citation, and where a data set would come from now")
    show.add_argument("name", help="see: hilmix data list")
    show.add_argument("--downloads", type=Path, default=Path("data") / _DOWNLOADS, help="folder of the original files")
    show.set_defaults(function=_show)

    images = actions.add_parser("import", help="write a data folder from images in class folders")
    images.add_argument(
        "images", type=Path, metavar="IMAGES", help="CLASS/..., or train, val and test with class folders in them"
    )
    images.add_argument("--out", type=Path, help="folder to write (default: data/NAME OF IMAGES)")
    images.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        help="side that images are brought to (default: their own where all are of one size, else 128)",
    )
    images.set_defaults(function=_import)

    check = actions.add_parser("check", help="validate a data folder and print what it holds")
    data_check.add_arguments(check)
    check.set_defaults(function=data_check.run)
    return parser


def _number_or_range(text: str) -> int | tuple[int, int]:
    low, dash, high = text.partition("-")
    if not (low.isdecimal() and (high.isdecimal() or not dash)):
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number such as 3 nor a range such as 2-3")
    return (int(low), int(high)) if dash else int(low)


def _list(args: argparse.Namespace, console: Console) -> None:
    table = Grid("name", "what", "licence")
    for source in SOURCES.values():
        table.add_row(source.name, source.summary, source.licence)
    console.print(table)
    say(console, "", "Prepare one: hilmix data prepare NAME")


def _show(args: argparse.Namespace, console: Console) -> None:
    source, access = find_source(args.name), Access(args.downloads)
    rows = [
        ("name", source.name),
        ("what", source.summary),
        ("licence", source.licence),
        ("cite", source.citation),
        ("note", source.note),
    ]
    rows.append(("options", ", ".join(_flag(o) for o in source.options) or "none"))
    for file in dict.fromkeys(file for resource in source.resources for file in resource.files):
        size = "size unknown" if file.size is None else f"{file.size:,} bytes"
        known = file.verification or f"cannot be verified: {file.unverified}; needs --allow-unverified"
        rows.append(("file", f"{file.url} ({size}, {known})"))
    rows += [("now from" if not place else "", origin) for place, origin in enumerate(_origins(source, access))]
    console.print(pairs(rows))


def _origins(source: Source, access: Access) -> list[str]:
    if source.folder:
        return [f"files placed by hand in {access.downloads / source.folder}"]
    if not source.resources:
        return ["made on the fly"]
    return list(dict.fromkeys(access.origin(resource) for resource in source.resources))


def _prepare(args: argparse.Namespace, console: Console) -> None:
    source = find_source(args.name)
    out = _free(args.out or Path("data") / source.name)
    access = Access(args.downloads or out.parent / _DOWNLOADS, allow_unverified=args.allow_unverified)
    options = _options(args, source)
    for origin in _origins(source, access):
        say(console, f"{source.name}: {origin}")
    data = source.build(access, options)
    _write(data, out)
    say(console, f"Licence: {source.licence}", f"Please cite: {source.citation}")
    if source.note:
        say(console, f"Note: {source.note}")
    say(console, f"{len(data):,} items and {data.annotations.num_pairs:,} annotations written to {out}")


def _import(args: argparse.Namespace, console: Console) -> None:
    if args.image_size is not None and args.image_size < 1:
        raise ConfigError(f"--image-size is {args.image_size}; expected pixels, such as 128.")
    out = _free(args.out or Path("data") / args.images.resolve().name)
    data, left_out = read_class_folders(args.images, image_size=args.image_size)
    _write(data, out)
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


def _free(out: Path) -> Path:
    if out.exists():
        raise DataError(f"'{out}' exists already. Remove it, or choose another folder with --out.")
    return out


def _write(data: AnnotatedData, out: Path) -> None:
    try:
        write_folder(data, out)
    except OSError as error:
        raise DataError(f"Cannot write '{out}': {error}.") from error


def _options(args: argparse.Namespace, source: Source) -> Options:
    given = {"seed": args.seed, "annotators": args.annotators, "labels_per_item": args.labels_per_item}
    given = {key: value for key, value in given.items() if value is not None}
    if refused := [key for key in given if key not in source.options]:
        allowed = ", ".join(_flag(o) for o in source.options) or "none"
        raise DataError(f"{source.name} has no option {_flag(refused[0])}; its options: {allowed}.")
    return Options(**given)


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")

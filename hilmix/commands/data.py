"""``hilmix data``: list, prepare and show public data sets, import your images, check any data folder."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hilmix.data.class_folders import ANNOTATOR, read_class_folders
from hilmix.data.describe import Description, check_inputs, describe
from hilmix.data.folder import read_folder, write_folder
from hilmix.data.items import AnnotatedData
from hilmix.data.mask_summary import group_sizes, summarise_masks
from hilmix.data.masks import Masks
from hilmix.data.sources import SOURCES, Access, Options, Source, find_source
from hilmix.errors import ConfigError, DataError, HilmixError

_DOWNLOADS = "downloads"
_MANY_CLASSES = 20
_FEW_NAMES = 8


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``hilmix data`` with the arguments after ``data``; returns 0, or 2 with one clear message on bad data."""
    args = _parser().parse_args(argv)
    function: Callable[[argparse.Namespace, Console], None] = args.function
    try:
        function(args, Console())
    except HilmixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
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
    prepare.add_argument("--labels-per-item", type=_number_or_range, metavar="N|LOW-HIGH",
                         help="labels per item of simulated annotators (default: 2-3)")  # fmt: skip
    prepare.set_defaults(function=_prepare)

    show = actions.add_parser("show", help="licence, citation, and where a data set would come from now")
    show.add_argument("name", help="see: hilmix data list")
    show.add_argument("--downloads", type=Path, default=Path("data") / _DOWNLOADS, help="folder of the original files")
    show.set_defaults(function=_show)

    images = actions.add_parser("import", help="write a data folder from images in one sub-folder per class")
    images.add_argument("images", type=Path, metavar="IMAGES", help="folder with one sub-folder of images per class")
    images.add_argument("--out", type=Path, help="folder to write (default: data/NAME OF IMAGES)")
    images.add_argument("--image-size", type=int, metavar="N", help="side that images are brought to (default: their "
                        "own where all are of one size, else 128)")  # fmt: skip
    images.set_defaults(function=_import)

    check = actions.add_parser("check", help="validate a data folder and print what it holds")
    check.add_argument("folder", type=Path)
    check.add_argument("--quick", action="store_true", help="do not decode every input")
    check.set_defaults(function=_check)
    return parser


def _number_or_range(text: str) -> int | tuple[int, int]:
    low, dash, high = text.partition("-")
    if not (low.isdecimal() and (high.isdecimal() or not dash)):
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number such as 3 nor a range such as 2-3")
    return (int(low), int(high)) if dash else int(low)


def _list(args: argparse.Namespace, console: Console) -> None:
    table = Table("name", "what", "licence", box=None, header_style="bold")
    for source in SOURCES.values():
        table.add_row(source.name, source.summary, source.licence)
    console.print(table)
    console.print("\nPrepare one: hilmix data prepare NAME")


def _show(args: argparse.Namespace, console: Console) -> None:
    source, access = find_source(args.name), Access(args.downloads)
    table = _pairs()
    for key, text in (("name", source.name), ("what", source.summary), ("licence", source.licence),
                      ("cite", source.citation), ("note", source.note)):  # fmt: skip
        table.add_row(key, text)
    table.add_row("options", ", ".join(_flag(o) for o in source.options) or "none")
    for file in dict.fromkeys(file for resource in source.resources for file in resource.files):
        size = "size unknown" if file.size is None else f"{file.size:,} bytes"
        table.add_row("file", f"{file.url} ({size}, {file.checksum or 'no checksum published'})")
    table.add_row("now from", "\n".join(_origins(source, access)))
    console.print(table, highlight=False)


def _pairs() -> Table:
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # long URLs stay whole
    return table


def _origins(source: Source, access: Access) -> list[str]:
    if source.folder:
        return [f"files placed by hand in {access.downloads / source.folder}"]
    if not source.resources:
        return ["made on the fly"]
    return list(dict.fromkeys(access.origin(resource) for resource in source.resources))


def _prepare(args: argparse.Namespace, console: Console) -> None:
    source = find_source(args.name)
    out = _free(args.out or Path("data") / source.name)
    access = Access(args.downloads or out.parent / _DOWNLOADS)
    options = _options(args, source)
    for origin in _origins(source, access):
        console.print(f"{source.name}: {origin}", highlight=False, soft_wrap=True)
    data = source.build(access, options)
    _write(data, out)
    console.print(f"Licence: {source.licence}\nPlease cite: {source.citation}", highlight=False, soft_wrap=True)
    if source.note:
        console.print(f"Note: {source.note}", highlight=False, soft_wrap=True)
    console.print(
        f"{len(data):,} items and {data.annotations.num_pairs:,} annotations written to {out}", soft_wrap=True
    )


def _import(args: argparse.Namespace, console: Console) -> None:
    if args.image_size is not None and args.image_size < 1:
        raise ConfigError(f"--image-size is {args.image_size}; expected pixels, such as 128.")
    out = _free(args.out or Path("data") / args.images.resolve().name)
    data, left_out = read_class_folders(args.images, image_size=args.image_size)
    _write(data, out)
    if left_out:
        more = f" and {len(left_out) - 1:,} more" * (len(left_out) > 1)
        text = f"Left out as no image that can be read: {left_out[0]}{more}"
        console.print(text, highlight=False, soft_wrap=True, markup=False)
    height, width = data.inputs.shape[1:]
    console.print(
        f"{len(data):,} images of {len(data.classes)} classes, {width} x {height} pixels, written to {out}; "
        f"their folder is their class, and their one label, by annotator '{ANNOTATOR}'.",
        highlight=False, soft_wrap=True, markup=False,
    )  # fmt: skip


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


def _check(args: argparse.Namespace, console: Console) -> None:
    data = read_folder(args.folder)
    if not args.quick:
        check_inputs(data)
    found = describe(data)
    console.print(f"[bold]{data.name}[/bold] ({args.folder})", highlight=False, soft_wrap=True)
    console.print(_summary(data, found, quick=args.quick))
    console.print(_classes(data, found))
    if data.groups:
        console.print(_groups(data))
    for warning in _warnings(data, found):
        console.print(f"[yellow]warning:[/yellow] {warning}", highlight=False, soft_wrap=True)
    console.print("ok" + (" (inputs not decoded)" if args.quick else ""))


def _summary(data: AnnotatedData, found: Description, *, quick: bool) -> Table:
    table = _pairs()
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
        "agreement": f"{_percent(found.pairwise_agreement)} of pairs, Krippendorff {found.krippendorff_alpha:.3f}",
        "truth": f"known for {found.known_targets:,} items",
    }
    if found.known_targets:
        rows["wrong labels"] = _percent(found.wrong_labels)
        rows["majority vote"] = f"{_percent(found.majority_accuracy)} right (ties split)"
    if data.masks is not None:
        rows |= _masks(data.masks, quick=quick)
    for key, text in rows.items():
        table.add_row(key, text)
    return table


def _annotators(data: AnnotatedData, found: Description) -> str:
    if data.annotations.exchangeable:
        return "exchangeable (identities unknown)"
    low, median, high = found.labels_per_annotator
    return f"{found.annotators:,}, with {low:,} to {high:,} labels, median {median:g}"


def _percent(share: float) -> str:
    return "n/a" if share != share else f"{100 * share:.1f} %"


def _classes(data: AnnotatedData, found: Description) -> Table:
    table = Table("class", "votes", "truth", box=None, header_style="bold")
    order = sorted(range(len(data.classes)), key=lambda k: -found.class_votes[k]) if len(
        data.classes) > _MANY_CLASSES else range(len(data.classes))  # fmt: skip
    for k in list(order)[:_MANY_CLASSES]:
        truth = "" if found.class_targets is None else _percent(float(found.class_targets[k]))
        table.add_row(data.classes[k], _percent(float(found.class_votes[k])), truth)
    if len(data.classes) > _MANY_CLASSES:
        table.add_row(f"... {len(data.classes) - _MANY_CLASSES} more", "", "")
    return table


def _masks(masks: Masks, *, quick: bool) -> dict[str, str]:
    given, people = int(masks.explained.sum()), len(set(masks.annotator))
    by = f"{people} people" if people > 1 else "one person"
    rows = {"masks": f"on {given:,} of {masks.num_items:,} items, by {by}"}
    if quick:
        return rows
    found = summarise_masks(masks)
    low, high = found.per_item
    rows["masks"] += f"; {low} to {high} per item" * (high > 1)
    rows["masks mark"] = f"{_percent(found.marked)} of the input on average"
    rows["masks mark"] += f"; {found.empty:,} mark nothing" * bool(found.empty)
    if high > 1:
        rows["masks overlap"] = f"by {_percent(found.overlap)}, two people's of one item"
    return rows


def _groups(data: AnnotatedData) -> Table:
    sizes = group_sizes(data)
    table = Table("group", *sizes.columns, box=None, header_style="bold")
    for name, row in zip(sizes.index, sizes.to_numpy(), strict=True):
        table.add_row(name, *(f"{n:,}" for n in row))
    return table


def _warnings(data: AnnotatedData, found: Description) -> list[str]:
    texts = []
    if not found.annotations:
        texts.append("there are no annotations at all, so there is nothing to learn from.")
    if found.silent_in_training:
        names = ", ".join(found.silent_in_training[:_FEW_NAMES])
        more = ", ..." if len(found.silent_in_training) > _FEW_NAMES else ""
        texts.append(f"{len(found.silent_in_training)} annotators never label a training item, so nothing can be "
                     f"learnt about them: {names}{more}.")  # fmt: skip
    for name, (n, voted) in found.splits.items():
        if name != "test" and n and not voted and found.annotations:
            texts.append(f"no item of split '{name}' has an annotation.")
    unused = [data.classes[k] for k in range(len(data.classes)) if not found.class_votes[k]]
    if unused and found.annotations:
        more = ", ..." if len(unused) > _FEW_NAMES else ""
        texts.append(f"nobody ever says {', '.join(unused[:_FEW_NAMES])}{more}.")
    return texts

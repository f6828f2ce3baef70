"""``hilmix data prepare NAME``: a public data set as a data folder."""

import argparse
from dataclasses import replace
from pathlib import Path

from hilmix.commands.data_show import DOWNLOADS, describe_file, find_origins, flag_of, flags_of
from hilmix.commands.outputs import require_free, write_data
from hilmix.data.sources import Access, Options, Source, find_source
from hilmix.errors import DataError
from hilmix.terminal import Console, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("name", help="see: hilmix data list")
    parser.add_argument("--out", type=Path, help="folder to write (default: data/NAME)")
    parser.add_argument("--downloads", type=Path, help="folder of the original files (default: downloads beside --out)")
    parser.add_argument("--seed", type=int, help="seed of simulated annotators (default: 0)")
    parser.add_argument("--annotators", type=int, help="number of simulated annotators (default: 20)")
    parser.add_argument(
        "--labels-per-item",
        type=_number_or_range,
        metavar="N|LOW-HIGH",
        help="labels per item of simulated annotators (default: the data set's own, as a rule 2-3)",
    )
    parser.add_argument(
        "--allow-unverified",
        action="store_true",
        help="download files that come without https, checksum or commit, too",
    )


def run(args: argparse.Namespace, console: Console) -> None:
    """Fetch the files that are missing, build the data set and write it.

    Raises:
        DataError: for an unknown data set or option, files that cannot be had, or an output that exists.
    """
    source = find_source(args.name)
    out = require_free(args.out or Path("data") / source.name, flag="--out")
    access = Access(args.downloads or out.parent / DOWNLOADS, allow_unverified=args.allow_unverified)
    options = _options(args, source)
    # Before anything is fetched, so that a download from a strange host can still be stopped.
    for origin in find_origins(source, access):
        say(console, f"{source.name}: {origin}")
    say(console, f"Licence: {source.licence}")
    for file in dict.fromkeys(file for resource in source.resources for file in access.missing_files(resource)):
        say(console, f"Download: {describe_file(file)}")
    data = source.build(access, options)
    write_data(data, out)
    say(console, f"Please cite: {source.citation}")
    if source.note:
        say(console, f"Note: {source.note}")
    say(console, f"{len(data):,} items and {data.annotations.num_pairs:,} annotations written to {out}")


def _number_or_range(text: str) -> int | tuple[int, int]:
    low, dash, high = text.partition("-")
    if not (low.isdecimal() and (high.isdecimal() or not dash)):
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number such as 3 nor a range such as 2-3")
    return (int(low), int(high)) if dash else int(low)


def _options(args: argparse.Namespace, source: Source) -> Options:
    given = {"seed": args.seed, "annotators": args.annotators, "labels_per_item": args.labels_per_item}
    given = {key: value for key, value in given.items() if value is not None}
    # Ignored, a seed or a number of annotators would be believed to have had an effect.
    if refused := [key for key in given if key not in source.options]:
        raise DataError(f"{source.name} has no option {flag_of(refused[0])}; its options: {flags_of(source)}.")
    return replace(source.defaults, **given)

"""``hilmix data show NAME``: licence, citation and files of a public data set."""

import argparse
from pathlib import Path

from hilmix.data.sources import Access, RemoteFile, Source, find_source
from hilmix.terminal import Console, pairs

DOWNLOADS = "downloads"
_SPEED = 5_000_000  # bytes per second; the progress bar shows the real one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("name", help="see: hilmix data list")
    parser.add_argument("--downloads", type=Path, default=Path("data") / DOWNLOADS, help="folder of the original files")


def run(args: argparse.Namespace, console: Console) -> None:
    """Print what is known of the data set, and where its files would come from now.

    Raises:
        DataError: if there is no such data set.
    """
    source, access = find_source(args.name), Access(args.downloads)
    rows = [
        ("name", source.name),
        ("what", source.summary),
        ("licence", source.licence),
        ("cite", source.citation),
        ("note", source.note),
    ]
    rows.append(("options", flags_of(source)))
    files = dict.fromkeys(file for resource in source.resources for file in resource.files)
    rows += [("file", describe_file(file)) for file in files]
    rows += [("now from" if not place else "", origin) for place, origin in enumerate(find_origins(source, access))]
    console.print(pairs(rows))


def find_origins(source: Source, access: Access) -> list[str]:
    """Return where the files of a data set come from, one line each.

    Args:
        source: the data set.
        access: with the folder of files that are there already.
    """
    if source.folder:
        return [f"files placed by hand in {access.downloads / source.folder}"]
    if not source.resources:
        return ["made on the fly"]
    return list(dict.fromkeys(access.origin(resource) for resource in source.resources))


def describe_file(file: RemoteFile) -> str:
    """Return where a file is published, its size, its checksum or why it has none, and the time of its download."""
    size, time = "size unknown", ""
    if file.size is not None:
        size, time = f"{file.size:,} bytes", f", {estimate_time(file.size)}"
    known = file.verification or f"cannot be verified: {file.unverified}; needs --allow-unverified"
    return f"{file.url} ({size}{time}, {known})"


def estimate_time(size: int) -> str:
    """Return the time of a download of a number of bytes, at a stated speed."""
    seconds = max(1, round(size / _SPEED))
    time = f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} min"
    return f"about {time} at {_SPEED // 10**6} MB/s"


def flags_of(source: Source) -> str:
    """Return the options of a data set as the command line spells them, or "none"."""
    return ", ".join(map(flag_of, source.options)) or "none"


def flag_of(option: str) -> str:
    """Return an option of a data set as the command line spells it."""
    return "--" + option.replace("_", "-")

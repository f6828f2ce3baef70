"""Options that say how an export of votes is read, shared by the commands that read one."""

import argparse
from pathlib import Path
from typing import get_args

from hilmix.annotations.repeats import Duplicates
from hilmix.data.exports.columns import Columns
from hilmix.data.exports.export import ExportSettings, Several
from hilmix.data.exports.read import is_export
from hilmix.errors import ConfigError

_COLUMNS = {
    "item": "column of the items",
    "annotator": "column of the annotators",
    "label": "column of the labels",
    "target": "column of the true classes, where they are known",
    "split": "column of train, val and test",
}


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options; their defaults are those of :class:`~hilmix.data.exports.export.ExportSettings`."""
    group = parser.add_argument_group("tables of votes", "Columns that are not named are guessed from common names.")
    for name, about in _COLUMNS.items():
        group.add_argument(f"--{name}", metavar="COLUMN", help=about)
    group.add_argument("--sep", metavar="SIGN", help="sign between the cells of a CSV file (default: from its header)")
    group.add_argument("--wide", action="store_true", help="each column holds the labels of one annotator")
    group.add_argument(
        "--several", choices=get_args(Several), help="an answer of several choices: refuse, or count each as a label"
    )
    group.add_argument(
        "--missing", nargs="+", metavar="LABEL", help="labels that mean that there is none, such as skip"
    )
    group.add_argument(
        "--duplicates",
        choices=get_args(Duplicates),
        help="labels of an annotator who labels an item again (default: last)",
    )


def read_export_settings(args: argparse.Namespace, source: Path) -> ExportSettings:
    """Return the settings of an export.

    Args:
        args: with the options of :func:`add_export_arguments`.
        source: what is read.

    Raises:
        ConfigError: for options of an export where a data folder is read.
    """
    given = {
        "separator": args.sep,
        "several": args.several,
        "missing": None if args.missing is None else tuple(args.missing),
        "duplicates": args.duplicates,
        "wide": args.wide or None,
    }
    columns = {name: getattr(args, name) for name in _COLUMNS}
    used = [f"--{name}" for name, value in columns.items() if value is not None]
    used += [f"--{'sep' if name == 'separator' else name}" for name, value in given.items() if value is not None]
    # Refused, not ignored: a column that is given for a data folder would seem to be read.
    if used and not is_export(source):
        raise ConfigError(f"{', '.join(used)} must be left out for the folder '{source}', which states this itself.")
    return ExportSettings(Columns(**columns), **{name: value for name, value in given.items() if value is not None})

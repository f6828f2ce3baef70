"""Tables of votes in files: CSV, TSV, Parquet, lines of JSON and Excel, every cell as text; long or wide."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hilmix.annotations.soft_columns import SOFT
from hilmix.data.exports.columns import REQUIRED, describe_columns, find_columns
from hilmix.data.exports.export import Export, ExportSettings, list_items
from hilmix.data.folder.tables import DAMAGE, drop_repeated_columns, read_csv, read_parquet, strip_header
from hilmix.errors import ConfigError, DataError
from hilmix.faults import Findings
from hilmix.values import read_names

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".xls", ".ods")
_SEPARATORS = (",", ";", "\t", "|")
_KEPT = ("confidence", "seconds")
"""Columns of a data folder that a long table may have under the same names."""


def read_table_file(file: Path, separator: str | None = None) -> pd.DataFrame:
    """Return the rows of a table; cells of CSV as text, others as they are stored.

    Args:
        file: CSV, TSV, Parquet or Excel, by its suffix.
        separator: sign between the cells of a CSV file; by default that of ``,``, ``;``, tab and ``|`` which its header
            holds most of.

    Raises:
        ConfigError: for Excel without the packages of ``hilmix[io]``.
        DataError: for a file that cannot be read.
    """
    try:
        if file.suffix.lower() == ".parquet":
            return read_parquet(file)
        if file.suffix.lower() in (".xlsx", ".xls", ".ods"):
            return _read_excel(file)
        return read_csv(file, separator=separator or guess_separator(file), all_text=True)
    except (*DAMAGE, pd.errors.ParserWarning, csv.Error) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        remedy = " Save it as UTF-8." if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"Cannot read {file}: {text}.{remedy}") from error


def guess_separator(file: Path) -> str:
    """Return the sign between the cells of a table's header: the one that it holds most of, a comma if none."""
    with file.open(encoding="utf-8-sig") as lines:
        header = lines.readline()
    # Outside of quotes, in which a header may hold any sign.
    bare = "".join(header.split('"')[::2])
    return max(_SEPARATORS, key=bare.count)


def _read_excel(file: Path) -> pd.DataFrame:
    try:
        return pd.read_excel(file, dtype=str, keep_default_na=False, na_values=[""])
    except ImportError as error:
        raise ConfigError(f"Reading {file} needs a further package: pip install 'hilmix[io]'.") from error


def read_votes_table(
    frame: pd.DataFrame, file: Path, settings: ExportSettings, found: Findings, *, kind: str = "table"
) -> Export:
    """Return the content of a table of votes, long or wide.

    Args:
        frame: its rows; a named index of a wide table is a column.
        file: where they are from, for messages.
        settings: which columns hold what; ``wide`` decides between the two layouts.
        found: collects what is wrong.
        kind: what the rows were stored as, for people.
    """
    if settings.wide and frame.index.name is not None:
        frame = frame.reset_index()
    frame = drop_repeated_columns(frame.rename(columns=strip_header), file, found)
    read = _read_wide if settings.wide else _read_long
    return read(frame, file, settings, found, kind)


def _read_long(frame: pd.DataFrame, file: Path, settings: ExportSettings, found: Findings, kind: str) -> Export:
    headers = list(frame.columns)
    soft = [header for header in headers if header.startswith(SOFT)]
    required = [role for role in REQUIRED if not (role == "label" and soft)]
    columns = find_columns(headers, settings.columns, file, found, required=required)
    understood = describe_columns({c: c for c in (*_KEPT, *soft) if c in headers} | columns, headers)
    votes = _take(frame, columns, [c for c in (*_KEPT, *soft) if c in headers])
    of_items = [role for role in ("item", "target", "split") if role in votes.columns]
    items = list_items(votes[of_items], file, found) if "item" in columns else pd.DataFrame({"item": []})
    return Export(
        file,
        f"long {kind}, one row per vote",
        votes.drop(columns=["target", "split"], errors="ignore"),
        items,
        understood,
    )


def _read_wide(frame: pd.DataFrame, file: Path, settings: ExportSettings, found: Findings, kind: str) -> Export:
    headers = list(frame.columns)
    columns = find_columns(headers, settings.columns._replace(annotator=None, label=None), file, found, required=())
    # Headers such as "Annotator" and "label" are the names of annotators here.
    columns = {role: header for role, header in columns.items() if role in ("item", "target", "split")}
    if "item" not in columns and headers and headers[0].startswith("Unnamed: "):
        columns = {"item": headers[0]} | columns  # the index that pandas writes
    understood = {role: f"column '{header}'" for role, header in columns.items()}
    rows = _take(frame, columns, [])
    if "item" not in columns:
        rows.insert(0, "item", np.arange(len(frame)).astype(str).astype(object))
        understood["item"] = "number of the row, from 0"
    who = [header for header in headers if header not in columns.values()]
    understood |= {"annotator": f"{len(who):,} columns", "label": "their cells; an empty one is no label"}
    labels = pd.concat([_names(frame[name]) for name in who], keys=who) if who else pd.Series([], dtype=object)
    votes = pd.DataFrame(
        {
            "item": np.tile(rows["item"].to_numpy(), len(who)),
            "annotator": np.repeat(np.array(who, dtype=object), len(frame)),
            "label": labels.to_numpy(),
        }
    )
    return Export(
        file,
        f"wide {kind}, one column per annotator",
        votes[votes["label"].notna()].reset_index(drop=True),
        list_items(rows, file, found),
        understood,
    )


def _take(frame: pd.DataFrame, columns: Mapping[str, str], more: list[str]) -> pd.DataFrame:
    """The chosen columns under the names of a data folder, those of names as text."""
    taken: dict[str, Any] = {role: _names(frame[header]) for role, header in columns.items()}
    return pd.DataFrame(taken | {name: frame[name] for name in more}).reset_index(drop=True)


def _names(cells: "pd.Series[Any]") -> "pd.Series[Any]":
    return pd.Series(read_names(cells).column(), index=cells.index, dtype=object)

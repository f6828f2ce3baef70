"""The tables of a data folder, CSV or Parquet, with names as text and numbers as numbers."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hilmix.columns import read_numbers
from hilmix.data.folder.coded_tables import as_coded, read_coded_csv
from hilmix.faults import Findings
from hilmix.values import MISSING_TEXTS, read_names, spell

_NAMES = {"item", "annotator", "label", "target", "split", "path", "group"}
_SPELLED = ("item", "annotator", "group")
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
DAMAGE = (pa.ArrowException, ValueError, OSError, TypeError, LookupError, AttributeError, OverflowError, MemoryError)
"""Exceptions of pandas and pyarrow for damaged files."""


def read_table(
    root: Path, stem: str, found: Findings | None = None, *, required: bool = True, coded: bool = False
) -> tuple[Path, pd.DataFrame]:
    """Return the file and its rows: names as str or None, numbers as numbers.

    Args:
        root: the data folder.
        stem: name of the file without ``.csv`` or ``.parquet``.
        found: collects what is wrong; a table that cannot be read then has no rows and no columns. By default the
            first fault is raised.
        required: whether a missing file is a fault; if not, no rows are returned.
        coded: whether columns of names are those of :func:`~hilmix.values.coded_column`, for tables in which a name
            has many rows; else they are of str.

    Raises:
        DataError: without ``found``, if the file is missing, there twice, not readable, or holds text where numbers
            belong.
    """
    findings = Findings() if found is None else found
    file, frame = _read(root, stem, findings, required, coded)
    frame = drop_repeated_columns(frame.rename(columns=strip_header), file, findings)
    for column in _NAMES & set(frame.columns):
        frame[column] = read_names_column(frame[column], file, column, findings, coded=coded)
    read_numbers(frame, file, findings)
    if found is None:
        findings.raise_if_any(root)
    return file, frame


def _read(root: Path, stem: str, found: Findings, required: bool, coded: bool) -> tuple[Path, pd.DataFrame]:
    here = [f for f in (root / f"{stem}.csv", root / f"{stem}.parquet") if f.is_file()]
    file = here[0] if here else root / f"{stem}.csv"
    if len(here) > 1:
        found.fault(
            "two-files", root, stem, found=f"{root} holds both {stem}.csv and {stem}.parquet", remedy="Keep one."
        )
    elif not here and required:
        found.fault(
            "missing-file",
            root,
            stem,
            found=f"{root} has no {stem}.csv and no {stem}.parquet",
            remedy="Write one of them, see docs/data_folder.md.",
        )
    if len(here) != 1:
        return file, pd.DataFrame()
    try:
        if file.suffix == ".parquet":
            return file, _require_columns(read_parquet(file, coded=coded), file, found)
        return file, _require_commas(read_csv(file, coded=coded), file, found)
    except (*DAMAGE, pd.errors.ParserWarning) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        remedy = "Save it as UTF-8." if isinstance(error, UnicodeDecodeError) else ""
        found.fault("unreadable", file, found=f"Cannot read {file}: {text}", remedy=remedy)
        return file, pd.DataFrame()


def read_csv(file: Path, *, separator: str = ",", all_text: bool = False, coded: bool = False) -> pd.DataFrame:
    """Return the cells of a CSV file: names as text, others as pandas reads them; empty cells are missing.

    Args:
        file: UTF-8.
        separator: sign between the cells.
        all_text: whether all columns are text, not only those of a data folder that hold names.
        coded: whether a table of names alone may have coded columns, see :func:`~hilmix.values.coded_column`.

    Raises:
        ParserWarning: for rows longer than the header; for a damaged file one of :data:`DAMAGE`.
    """
    # By default pandas drops names such as NA or null, and takes the first column for an index if rows are too long.
    options: dict[str, Any] = {"sep": separator, "keep_default_na": False, "na_values": [""], "index_col": False}
    # Read before the rows, as types are given by exact headers and ours may bear blanks.
    headers = pd.read_csv(file, nrows=0, **options).columns
    if coded and set(headers) <= _NAMES and (table := read_coded_csv(file, list(headers))) is not None:
        return table
    # Names as text: numbers would lose the zeros of 007, and the last digits of long ids.
    types = {c: str for c in headers if all_text or strip_header(c) in _NAMES}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            frame = pd.read_csv(file, dtype=types, **options)
    except pd.errors.ParserWarning:
        pd.read_csv(file, sep=separator, header=None, dtype=str)  # the error of this way of reading names the line
        raise
    # As a header pandas would rename a second column of a name; without a name it is numbered.
    written = pd.read_csv(file, header=None, nrows=1, dtype=str, **options).iloc[0]
    return frame.set_axis([w if isinstance(w, str) else c for c, w in zip(headers, written, strict=True)], axis=1)


def _require_commas(frame: pd.DataFrame, file: Path, found: Findings) -> pd.DataFrame:
    """The table, unless its one header holds the names of several columns."""
    header = str(frame.columns[0])
    other = next((name for sign, name in _SEPARATORS.items() if sign in header), None)
    if len(frame.columns) > 1 or other is None:
        return frame
    found.fault(
        "separator", file, found=f"its cells are separated by {other}", remedy="Save it with commas between the cells."
    )
    return pd.DataFrame()


def read_parquet(file: Path, *, coded: bool = False) -> pd.DataFrame:
    """Return the columns of one file; neither its metadata for pandas nor the names of its folders add any.

    Whole numbers beside missing cells stay whole: as floats, ids of more than 15 digits would be merged. A damaged file
    raises one of :data:`DAMAGE`.

    Args:
        file: the file.
        coded: whether columns of names that hold texts are coded, see :func:`~hilmix.values.coded_column`.
    """
    if coded:
        with pq.ParquetFile(file) as parquet:
            texts = [
                one.name
                for one in parquet.schema_arrow
                if pa.types.is_string(one.type) or pa.types.is_large_string(one.type)
            ]
            names = [name for name in texts if strip_header(name) in _NAMES]
        with pq.ParquetFile(file, read_dictionary=names) as parquet:
            return as_coded(parquet.read().replace_schema_metadata(None))
    with pq.ParquetFile(file) as parquet:
        # Without pandas' metadata, which would turn a stored column into an index and hide it. Objects for integers
        # with gaps: as floats, long ids would lose their last digits.
        return parquet.read().replace_schema_metadata(None).to_pandas(integer_object_nulls=True)


def strip_header(header: object) -> str:
    """The name of a column, without blanks around it, as after the commas of ``item, label``."""
    return str(header).strip()


def _require_columns(frame: pd.DataFrame, file: Path, found: Findings) -> pd.DataFrame:
    if frame.columns.empty:
        found.fault("empty-table", file, found="it has no columns", remedy="Write one row per item or label.")
    return frame


def drop_repeated_columns(frame: pd.DataFrame, file: Path, found: Findings) -> pd.DataFrame:
    """Return the table with each column once; more is a fault."""
    again = frame.columns[frame.columns.duplicated()]
    for name in dict.fromkeys(map(str, again)):
        found.fault("repeated-column", file, name, found=f"column '{name}' is there more than once", remedy="Keep one.")
    return frame.loc[:, ~frame.columns.duplicated()]


def read_names_column(
    column: "pd.Series[Any]", file: Path, where: str, found: Findings, *, coded: bool = False
) -> "pd.Series[Any]":
    """Return names as str, None for missing; labels and targets as written, ``dataset.yaml`` decides their spelling.

    Args:
        column: (L,) cells.
        file: their file, for messages.
        where: their column.
        found: collects notes.
        coded: whether the column is returned as :func:`~hilmix.values.coded_column`.
    """
    names = read_names(column)
    if where in ("annotator", "group") and len(rows := names.rows(MISSING_TEXTS)):
        text = f"{len(rows):,} cell(s) such as '{names.column()[rows[0]]}' count as missing"
        found.note("missing-text", file, where, rows=rows, found=text)
        # Of annotators and groups only: `none` or `null` is a fine class, and items may be called anything.
        names = names.without(MISSING_TEXTS)
    if where in _SPELLED:
        names = spell(names)[0]
    return names.coded() if coded else pd.Series(names.column(), index=column.index, dtype=object)

"""The tables of a data folder, CSV or Parquet, with names as text and numbers as numbers."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hilmix.errors import DataError

_NAMES = {"item": str, "annotator": str, "label": str, "target": str, "split": str, "path": str, "group": str}


def read_table(root: Path, stem: str, *, required: bool = True) -> tuple[Path, pd.DataFrame]:
    """Returns the file and its rows: names as str or None, numbers as numbers.

    Args:
        root: the data folder.
        stem: name of the file without ``.csv`` or ``.parquet``.
        required: whether a missing file is an error; if not, no rows are returned.

    Raises:
        DataError: if the file is missing, there twice, not readable, or holds text where numbers belong.
    """
    found = [f for f in (root / f"{stem}.csv", root / f"{stem}.parquet") if f.is_file()]
    if len(found) > 1:
        raise DataError(f"{root} holds both {stem}.csv and {stem}.parquet; keep one.")
    if not found:
        if required:
            raise DataError(f"{root} has no {stem}.csv and no {stem}.parquet.")
        return root / f"{stem}.csv", pd.DataFrame()
    file = found[0]
    try:
        if file.suffix == ".csv":
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
                frame = pd.read_csv(file, dtype=_NAMES, keep_default_na=False, na_values=[""], index_col=False)
        else:
            frame = pd.read_parquet(file)
    except (ValueError, OSError, pd.errors.ParserWarning) as error:
        raise DataError(f"Cannot read {file}: {error}") from error
    for column in set(_NAMES) & set(frame.columns):
        try:
            frame[column] = _as_names(frame[column])
        except (TypeError, OverflowError) as error:
            raise DataError(
                f"{file}, column '{column}': found {frame[column].dtype} values that are not whole; allowed are text "
                "and whole numbers."
            ) from error
    _check_numbers(frame, file)
    return file, frame


def _as_names(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Names as str with None for empty; whole numbers lose the decimals that a missing cell gave them."""
    if pd.api.types.is_float_dtype(column):
        column = column.astype("Int64")
    return column.astype(object).where(column.notna(), None).map(lambda v: None if v is None else str(v).strip())


def _check_numbers(frame: pd.DataFrame, file: Path) -> None:
    numeric = [c for c in frame.columns if c in ("row", "confidence", "seconds") or str(c).startswith("prob_")]
    for column in numeric:
        values = pd.to_numeric(frame[column], errors="coerce")
        bad = np.flatnonzero(values.isna() & frame[column].notna())
        if len(bad):
            raise DataError(f"{file}, row {bad[0]}, column '{column}': {frame[column].iloc[bad[0]]!r} is not a number.")
        frame[column] = values

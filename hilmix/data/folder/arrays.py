"""The arrays of a data folder, ``inputs.npy`` and ``masks.npy``: read, and addressed by a table."""

import tokenize
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.errors import DataError

# Rows in memory at a time: a memory-mapped array may be larger than that.
_AT_ONCE = 1024
_REMEDY = "Write one array of numbers with numpy.save."
_DAMAGE = (
    ValueError,
    EOFError,
    OSError,
    SyntaxError,
    TypeError,
    OverflowError,
    MemoryError,
    RecursionError,
    LookupError,
    AttributeError,
    zipfile.BadZipFile,
    tokenize.TokenError,
)
"""Exceptions of NumPy for files that are not in its format, or only at their beginning."""


def read_array(file: Path) -> NDArray[Any]:
    """Return the array, memory-mapped.

    Raises:
        DataError: if it is no array in NumPy's format, holds no numbers, or has no rows.
    """
    try:
        # Unpickling would run code that the file brings.
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except _DAMAGE as error:
        raise DataError(f"Cannot read {file}: {str(error) or type(error).__name__}. {_REMEDY}") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{file} is an archive of several arrays (.npz). {_REMEDY}")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{file} must hold numbers, got {array.dtype}. {_REMEDY}")
    if array.ndim == 0:
        raise DataError(f"{file} must hold an array with one row per item, got one number. {_REMEDY}")
    return array


def find_not_finite(array: NDArray[Any]) -> IntArray:
    """Return the rows of an array (N, ...) that hold NaN, infinity, or numbers beyond those of 32 bits."""
    if array.dtype.kind in "biu":
        return np.empty(0, dtype=np.int64)
    # In float32, the type that a network reads: 1e300 is finite where it is stored, and infinite where it is used.
    bad = [
        start + np.flatnonzero(~np.isfinite(part).reshape(len(part), -1).all(1))
        for start in range(0, len(array), _AT_ONCE)
        for part in [_to_float32(array[start : start + _AT_ONCE])]
    ]
    return np.concatenate([np.empty(0, dtype=np.int64), *bad])


def _to_float32(part: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return part.astype(np.float32)


def read_array_rows(frame: pd.DataFrame, table: Path, array: Path, length: int) -> IntArray:
    """Return which row of an array each row of a table means: column ``row``, or one after the other.

    Args:
        frame: rows of the table.
        table: its file.
        array: file of the array.
        length: number of its rows.

    Raises:
        DataError: for a number that is no row of the array.
    """
    rows = frame["row"].to_numpy(dtype=np.float64) if "row" in frame.columns else np.arange(len(frame))
    bad = np.flatnonzero(rows != np.floor(rows))  # NaN too
    if len(bad):
        raise DataError(f"{table}, row {bad[0]}: 'row' must be a row of {array.name}, got {rows[bad[0]]}.")
    if len(rows) and (rows.min() < 0 or rows.max() >= length):
        raise DataError(
            f"{table}: its lines need rows {rows.min():.0f} to {rows.max():.0f}, {array.name} has {length} rows."
        )
    return rows.astype(np.int64)

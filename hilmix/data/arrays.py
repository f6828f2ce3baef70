"""The arrays of a data folder, ``inputs.npy`` and ``masks.npy``: read, addressed by a table, written in parts."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.data.items import Inputs
from hilmix.errors import DataError

_AT_ONCE = 1024


def read_array(file: Path) -> NDArray[Any]:
    """Returns the array, memory-mapped.

    Raises:
        DataError: if it can not be read or holds no numbers.
    """
    try:
        array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"Cannot read {file}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"{file} holds {array.dtype}; expected numbers.")
    return array


def array_rows(frame: pd.DataFrame, table: Path, array: Path, length: int) -> IntArray:
    """Returns which row of an array each row of a table means: column ``row``, or one after the other.

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
        raise DataError(f"{table}, row {bad[0]}: 'row' is {rows[bad[0]]}; expected a row of {array.name}.")
    if len(rows) and (rows.min() < 0 or rows.max() >= length):
        raise DataError(
            f"{table}: its lines need rows {rows.min():.0f} to {rows.max():.0f}, {array.name} has {length} rows."
        )
    return rows.astype(np.int64)


def write_array(inputs: Inputs, rows: IntArray, file: Path) -> None:
    """Writes some of the inputs as an array with the channels last, a thousand at a time."""
    pixels = inputs.kind == "image"
    first = inputs.fetch(rows[:1]).numpy()
    shape = (len(rows), *(np.moveaxis(first, 1, 3) if pixels else first).shape[1:])
    stored = np.lib.format.open_memmap(file, mode="w+", dtype=first.dtype, shape=shape)
    for start in range(0, len(rows), _AT_ONCE):
        part = inputs.fetch(rows[start : start + _AT_ONCE]).numpy()
        stored[start : start + _AT_ONCE] = np.moveaxis(part, 1, 3) if pixels else part
    stored.flush()

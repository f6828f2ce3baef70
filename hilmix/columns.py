"""Columns of a table, checked once at the boundary: the error names column, row, what was found and what is allowed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hilmix.checks import refusal
from hilmix.errors import DataError
from hilmix.faults import Findings
from hilmix.functional.grouped import expand_ranges
from hilmix.functional.sizes import require_memory
from hilmix.moved import former_names
from hilmix.values import MISSING_TEXTS, is_whole, natural_order, places, read_names

__all__ = [
    "FloatArray",
    "IntArray",
    "bounded_column",
    "bounded_numbers",
    "dense_labels",
    "encode_names",
    "expand_counts",
    "expand_ranges",
    "natural_order",
    "whole_numbers",
]

_HIGHEST = {
    "confidence": (1.0, "0 to 1"),
    "seconds": (float(np.finfo(np.float32).max), "a finite number of at least 0"),
}
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]

if not TYPE_CHECKING:  # a type checker that sees __getattr__ would accept any name
    __getattr__ = former_names(__name__, {"codes": "encode_names", "ranges": "expand_ranges"})


def whole_numbers(values: ArrayLike, name: str, size: int) -> IntArray:
    """Returns (L,) int64.

    Raises:
        DataError: for anything but whole numbers in [0, size).
    """
    array = np.asarray(values)
    if array.size and not np.issubdtype(array.dtype, np.number):
        raise DataError(f"{name} must hold whole numbers, got {array.flat[0]!r}; names are for Annotations.from_frame.")
    if array.size and not (np.issubdtype(array.dtype, np.integer) or (array == np.floor(array)).all()):
        raise DataError(f"{name} must hold whole numbers, got dtype {array.dtype}.")
    array = np.asarray(array.astype(np.int64)).reshape(-1)
    bad = np.flatnonzero((array < 0) | (array >= size))
    if len(bad):
        raise DataError(refusal(f"{name}[{bad[0]}]", f"in [0, {size - 1}]", array[bad[0]].item()))
    return array


def dense_labels(labels: ArrayLike, missing: ArrayLike) -> tuple[IntArray, NDArray[np.bool_]]:
    """Returns an (N, A) matrix of labels as int64, and where it holds one.

    Args:
        labels: whole numbers; NaN, None, masked entries and the numbers in ``missing`` are no label.
        missing: (M,) numbers, or their texts, that mean "did not label"; other texts name nothing in a matrix.

    Raises:
        DataError: for another shape or other numbers, or a negative one that is not in ``missing``.
    """
    dense = np.asarray(labels)
    empty = np.asarray(pd.isna(dense)) | np.ma.getmaskarray(np.ma.asarray(labels))
    if dense.dtype == object:  # None and pandas.NA, as in a table of Int64; floats would merge long ids
        dense = np.array(np.where(empty, 0, dense).tolist()).reshape(dense.shape)
    if dense.ndim != 2 or dense.dtype.kind not in "iuf":
        raise DataError(f"Expected an (N, A) matrix of whole numbers, got shape {dense.shape}, dtype {dense.dtype}.")
    numbers = [float(text) for text in read_names(np.atleast_1d(np.asarray(missing))).texts if is_whole(text)]
    given = ~(empty | np.isin(dense, numbers))
    odd = np.argwhere(given & ((dense < 0) | (dense != np.floor(dense)) | ~np.isfinite(dense)))
    if len(odd):
        row, column = odd[0]
        raise DataError(
            f"labels, row {row}, column {column}: {dense[row, column]} must be a whole number of at least 0. A number "
            "that means 'did not label' belongs in 'missing', such as missing=[-1, -99]."
        )
    return np.where(given, dense, 0).astype(np.int64), given


def expand_counts(counts: ArrayLike) -> tuple[IntArray, IntArray, tuple[int, int]]:
    """Returns item and label of every vote, (L,) int64 each, and the shape of the matrix.

    Args:
        counts: (N, K) numbers of votes.

    Raises:
        DataError: for another shape, or anything but non-negative whole numbers.
        SizeError: if one row per vote would fill the memory.
    """
    votes = np.ma.filled(counts, 0)  # a masked count is none
    whole = votes.dtype.kind in "iuf" and np.isfinite(votes).all() and (votes == np.floor(votes)).all()
    if votes.ndim != 2 or not whole or (votes < 0).any():
        raise DataError("Counts must be an (N, K) matrix of non-negative whole numbers.")
    num_items, num_classes = votes.shape
    item, label = np.nonzero(votes)
    repeats = votes[item, label].astype(np.int64)
    # Three columns of 8 bytes and the order in which they are sorted.
    require_memory("One row per vote", 32 * int(repeats.sum()), items=num_items, classes=num_classes)
    return np.repeat(item, repeats), np.repeat(label, repeats), (num_items, num_classes)


def bounded_numbers(values: ArrayLike, name: str, top: float) -> FloatArray:
    """Returns (L,) float32; NaN passes, for "not stated".

    Raises:
        DataError: for a number outside [0, top].
    """
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    bad = np.flatnonzero((array < 0) | (array > top))
    if len(bad):
        raise DataError(refusal(f"{name}[{bad[0]}]", f"in [0, {top:g}] or NaN", array[bad[0]].item()))
    return array.astype(np.float32)


def read_numbers(frame: pd.DataFrame, file: Path | str, found: Findings) -> None:
    """Turns the columns ``row``, ``confidence``, ``seconds`` and ``prob_<class>`` of a table into numbers, in place.

    Args:
        frame: L rows; each column once.
        file: their file, for messages.
        found: collects cells that are neither a number nor missing.
    """
    numeric = [c for c in frame.columns if c in ("row", "confidence", "seconds") or str(c).startswith("prob_")]
    for column in numeric:
        cells = frame[column]
        if not pd.api.types.is_numeric_dtype(cells):
            cells = pd.Series(read_names(cells).without(MISSING_TEXTS).column(), index=cells.index)
        values = pd.to_numeric(cells, errors="coerce")
        bad = np.flatnonzero(values.isna() & cells.notna())
        if len(bad):
            found.fault("number", file, column, rows=bad, found=f"{cells.iloc[bad[0]]!r} is not a number")
        frame[column] = values


def bounded_column(votes: pd.DataFrame, file: Path | str, column: str, found: Findings) -> NDArray[np.float64] | None:
    """Returns the (L,) numbers of ``confidence`` or ``seconds``, NaN where not stated; None without the column.

    Args:
        votes: L rows.
        file: their file, for messages.
        column: its name.
        found: collects numbers that are out of range or infinite.
    """
    if column not in votes.columns:
        return None
    top, expected = _HIGHEST[column]
    values: NDArray[np.float64] = votes[column].to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.flatnonzero((values < 0) | (values > top))
    if len(bad):
        found.fault(
            "range",
            file,
            column,
            rows=bad,
            found=f"{values[bad[0]]} is out of range",
            expected=f"{expected}, or empty",
        )
    return values


def encode_names(values: "pd.Series[str]", vocabulary: Sequence[str], name: str) -> IntArray:
    """Returns (L,) int64 places of the names in the vocabulary; ``1.0`` stands for a ``1`` in it.

    Raises:
        DataError: for a name that is not in it.
    """
    names = read_names(values)
    found: IntArray = names.of(places(names.texts, vocabulary), -1).astype(np.int64)
    bad = np.flatnonzero(found < 0)
    if len(bad):
        shown = ", ".join(map(str, vocabulary[:8])) + (", ..." if len(vocabulary) > 8 else "")
        raise DataError(f"{name}, row {bad[0]}: '{values.iloc[bad[0]]}' is unknown; known are: {shown}.")
    return found

"""Several labels of one annotator for one item: found, reported, and which of them count."""

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.checks import refusal
from hilmix.errors import DataError
from hilmix.faults import Findings
from hilmix.values import IntArray

Duplicates = Literal["last", "first", "keep", "error"]
"""Rule for several labels of one annotator for one item; ``error`` refuses them."""
_MEANING = {
    "last": "the last of them counts",
    "first": "the first of them counts",
    "keep": "all count in training and aggregation, the last in agreement",
}


def check_duplicates(value: object) -> Duplicates:
    """Returns the value.

    Raises:
        DataError: if it is no way to treat repeated rows.
    """
    known: tuple[Duplicates, ...] = get_args(Duplicates)
    for name in known:
        if value == name:
            return name
    raise DataError(refusal("duplicates", f"one of {', '.join(known)}", value))


def repeated(item: IntArray, annotator: IntArray, keep: Literal["last", "first"]) -> NDArray[np.bool_]:
    """Returns (L,) bool, rows whose item and annotator occur again: all but the last, or all but the first.

    Example:
        >>> repeated(np.array([0, 1, 0]), np.array([2, 2, 2]), "last").tolist()
        [True, False, False]
    """
    # One number for each pair of item and annotator; `initial`, as an empty table has no maximum.
    pair = item * (int(annotator.max(initial=0)) + 1) + annotator
    ordered = np.sort(pair)
    if not (ordered[1:] == ordered[:-1]).any():  # as in most tables; a sort takes less memory than hashing
        return np.zeros(len(pair), dtype=bool)
    return np.asarray(pd.Series(pair).duplicated(keep=keep), dtype=bool)


def rows_kept(
    item: IntArray, annotator: IntArray, duplicates: Duplicates, file: Path | str, found: Findings
) -> NDArray[np.bool_]:
    """Returns (L,) bool, the rows that count; repeats are noted, or a fault where they are refused.

    Args:
        item: (L,) integers of at least 0.
        annotator: (L,) integers of at least 0.
        duplicates: what counts of several.
        file: the file of the rows, for messages.
        found: collects notes and faults.
    """
    again = repeated(item, annotator, "first" if duplicates == "first" else "last")
    rows = np.flatnonzero(again)
    text = f"{len(rows):,} row(s) repeat the item and annotator of another row"
    if len(rows) and duplicates == "error":
        found.fault(
            "repeats",
            file,
            "annotator",
            rows=rows,
            found=text,
            expected="one row per item and annotator",
            remedy="Remove the others, or choose 'duplicates: last', 'first' or 'keep' in dataset.yaml.",
        )
    elif len(rows):
        meaning = f"duplicates is '{duplicates}': {_MEANING[duplicates]}"
        found.note("repeats", file, "annotator", rows=rows, found=f"{text}; {meaning}")
    return ~again if duplicates in ("last", "first") else np.ones(len(item), dtype=bool)

"""Votes in memory, in the layouts of other tools: a long table, a wide one with missing cells, or ``Annotations``."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hilmix.annotations.table import Annotations
from hilmix.columns import IntArray
from hilmix.errors import DataError

__all__ = ["LongVotes", "read_votes"]
_LONG = ("item", "annotator", "label")


class LongVotes(NamedTuple):
    """L votes, in the order of their items."""

    item: IntArray
    """(L,) int64 row of the item in [0, N)."""
    annotator: NDArray[Any]
    """(L,) object, name of the annotator."""
    label: NDArray[Any]
    """(L,) object, label as it was given: a text, a number, a truth value."""


def read_votes(votes: Any, num_items: int) -> LongVotes:
    """Returns the votes for N items, whatever layout they come in.

    Args:
        votes: one of

            * a long table, columns ``item`` (row of the item, from 0), ``annotator`` and ``label``;
            * a wide table or array, one row per item and one column per annotator, where ``NaN``, ``None`` and
              ``pandas.NA`` are no vote; a single column of labels is one annotator;
            * a sequence of N mappings from annotator to label;
            * :class:`~hilmix.Annotations` over the N items, with hard labels.
        num_items: N.

    Raises:
        DataError: if the number of rows is not N, an item is not in [0, N), or a label of the long table is missing.

    Example:
        >>> read_votes([["cat", None], ["dog", "cat"]], 2).label.tolist()
        ['cat', 'dog', 'cat']
    """
    if isinstance(votes, Annotations):
        _require_rows(votes.num_items, num_items)
        names, classes = np.asarray(votes.annotators, dtype=object), np.asarray(votes.classes, dtype=object)
        return LongVotes(votes.item, names[votes.annotator], classes[votes.label])
    if isinstance(votes, pd.DataFrame) and set(_LONG) <= set(votes.columns):
        return _from_long(votes, num_items)
    if not isinstance(votes, pd.DataFrame) and len(votes) and all(isinstance(one, dict) for one in votes):
        votes = pd.DataFrame(list(votes), dtype=object)
    return _from_wide(votes, num_items)


def _from_long(votes: pd.DataFrame, num_items: int) -> LongVotes:
    # Errors become NaN, which fails both comparisons below: one sentence for texts, fractions and rows outside.
    item = pd.to_numeric(votes["item"], errors="coerce").to_numpy(dtype=np.float64)
    outside = ~((item >= 0) & (item < num_items) & (item == np.floor(item)))
    if outside.any():
        found = votes["item"].iloc[int(outside.argmax())]
        raise DataError(f"`votes.item` must be a row of the items, a whole number in [0, {num_items}), got {found!r}.")
    empty = votes[["annotator", "label"]].isna().to_numpy().any(1)
    if empty.any():
        raise DataError(f"`votes` must have an annotator and a label in every row, got none in row {empty.argmax()}.")
    # Stable, since of repeated labels the last in the order of the table may be the one that counts.
    order = np.argsort(item, kind="stable")
    columns = votes.iloc[order]
    cells = [columns[name].astype(object).to_numpy() for name in ("annotator", "label")]
    return LongVotes(item[order].astype(np.int64), *cells)


def _from_wide(votes: ArrayLike | pd.DataFrame, num_items: int) -> LongVotes:
    table = votes if isinstance(votes, pd.DataFrame) else _as_frame(votes)
    _require_rows(len(table), num_items)
    item, column = np.nonzero(table.notna().to_numpy())
    return LongVotes(
        item.astype(np.int64),
        np.asarray([str(name) for name in table.columns], dtype=object)[column],
        # Of objects, as a common type of the columns would make 1 of True and 1.0 of 1, which are other class names.
        table.astype(object).to_numpy()[item, column],
    )


def _as_frame(votes: ArrayLike) -> pd.DataFrame:
    if isinstance(votes, pd.Series):
        return votes.to_frame()
    # Of objects where texts and None are mixed: as texts, None would be the name "None".
    array = np.asarray(votes) if hasattr(votes, "dtype") else np.asarray(votes, dtype=object)
    if array.ndim not in (1, 2):
        raise DataError(f"`votes` must have shape (N, A), got {array.shape}.")
    return pd.DataFrame(array[:, None] if array.ndim == 1 else array)


def _require_rows(found: int, num_items: int) -> None:
    if found != num_items:
        raise DataError(f"`votes` must have a row for each of the {num_items} items, got {found}.")

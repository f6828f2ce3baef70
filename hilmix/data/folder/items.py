"""The table of items of a data folder: names, split and groups."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.codes import UNKNOWN
from hilmix.data.items import SPLITS
from hilmix.faults import Findings
from hilmix.values import is_list, natural_order, places, read_names, short


def read_item_names(items: pd.DataFrame, file: Path, found: Findings) -> tuple[str, ...] | None:
    """Return the N item names, None where they are faulty.

    Args:
        items: rows of the table; one without columns has been reported already.
        file: its file.
        found: collects what is wrong.
    """
    if items.columns.empty:
        return None
    if "item" not in items.columns:
        has = list(map(str, items.columns))
        found.fault("missing-column", file, "item", found=f"column 'item' is missing; found {has}")
        return None
    names = items["item"]
    if not len(names):
        found.fault("empty-table", file, found=f"{file} holds no items", remedy="Write one row per item.")
        return None
    # Faults that are there already are of other files.
    before = len(found.faults)
    empty = np.flatnonzero(names.isna())
    if len(empty):
        found.fault("empty", file, "item", found="'item' is empty", remedy="Fill it in or remove the row.", rows=empty)
    again = np.flatnonzero(names.duplicated() & names.notna())
    if len(again):
        found.fault(
            "repeated-item",
            file,
            "item",
            found=f"item '{names.iloc[again[0]]}' occurs more than once",
            remedy="Keep one row per item; several labels belong in annotations.",
            rows=again,
        )
    lists = np.flatnonzero([name is not None and is_list(name) for name in names])
    if len(lists):
        found.fault(
            "list",
            file,
            "item",
            found=f"'{short(names.iloc[lists[0]])}' is a list",
            expected="one name",
            rows=lists,
        )
    return tuple(names) if len(found.faults) == before else None


def find_item_names(items: pd.DataFrame, votes: pd.DataFrame) -> tuple[str, ...]:
    """The names to examine annotations against where the items are faulty; without items, all that are labelled."""
    frame = items if "item" in items.columns else votes
    return tuple(dict.fromkeys(frame["item"].dropna())) if "item" in frame.columns else ()


def read_split(items: pd.DataFrame, file: Path, found: Findings) -> NDArray[np.str_] | None:
    """Return the (N,) splits, None where there are none."""
    # An empty column is what a spreadsheet leaves; half an empty one is a mistake, and refused below.
    if "split" not in items.columns or items["split"].isna().all():
        return None
    bad = np.flatnonzero(~items["split"].isin(SPLITS).to_numpy())
    if len(bad):
        found.fault(
            "split",
            file,
            "split",
            found=f"split is {_quote(items['split'].iloc[bad[0]])}",
            expected=f"{list(SPLITS)} in every row, or no split column at all (then a stratified one is drawn)",
            rows=bad,
        )
        return None
    splits: NDArray[np.str_] = items["split"].to_numpy(dtype=str)
    return splits


def read_groups(items: pd.DataFrame, file: Path, found: Findings) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the (N,) group of every item, -1 for none, and the names of the groups in natural order.

    Args:
        items: N rows of the table.
        file: its file.
        found: collects what is wrong.
    """
    if "group" not in items.columns:
        return np.full(len(items), UNKNOWN, dtype=np.int64), ()
    column = read_names(items["group"])
    lists = [text for text in column.texts if is_list(text)]
    if lists:
        found.fault(
            "list",
            file,
            "group",
            found=f"'{short(lists[0])}' is a list",
            expected="one name",
            rows=column.rows(lists),
        )
    names = tuple(sorted(column.texts, key=natural_order))
    return column.of(places(column.texts, names), UNKNOWN).astype(np.int64), names


def _quote(name: Any) -> str:
    return "empty" if pd.isna(name) else f"'{name}'"

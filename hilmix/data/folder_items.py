"""The table of items of a data folder: names, split and groups."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.columns import natural_order
from hilmix.data.faults import Findings
from hilmix.data.items import SPLITS
from hilmix.types import UNKNOWN


def read_item_names(items: pd.DataFrame, file: Path, found: Findings) -> tuple[str, ...] | None:
    """Returns the N item names, None where other tables cannot refer to them.

    Args:
        items: rows of the table; one without columns has been reported already.
        file: its file.
        found: collects what is wrong.
    """
    if items.columns.empty:
        return None
    if "item" not in items.columns:
        found.fault(
            "missing-column", file, "item", found=f"column 'item' is missing; found {list(map(str, items.columns))}"
        )
        return None
    names = items["item"]
    if not len(names):
        found.fault("empty-table", file, found=f"{file} holds no items", remedy="Write one row per item.")
        return None
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
    return None if len(empty) or len(again) else tuple(names)


def read_split(items: pd.DataFrame, file: Path, found: Findings) -> NDArray[np.str_] | None:
    """Returns the (N,) splits, None where there are none."""
    if "split" not in items.columns or items["split"].isna().all():
        return None
    bad = np.flatnonzero(~items["split"].isin(SPLITS).to_numpy())
    if len(bad):
        found.fault(
            "split",
            file,
            "split",
            found=f"split is {_shown(items['split'].iloc[bad[0]])}",
            expected=f"{list(SPLITS)} in every row, or no split column at all (then a stratified one is drawn)",
            rows=bad,
        )
        return None
    return items["split"].to_numpy(dtype=str)


def read_groups(items: pd.DataFrame) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Returns the (N,) group of every item, -1 for none, and the names of the groups."""
    if "group" not in items.columns:
        return np.full(len(items), UNKNOWN, dtype=np.int64), ()
    names = tuple(sorted(set(items["group"].dropna()), key=natural_order))
    return pd.Index(names, dtype=object).get_indexer(pd.Index(items["group"], dtype=object)).astype(np.int64), names


def _shown(name: Any) -> str:
    return "empty" if pd.isna(name) else f"'{name}'"

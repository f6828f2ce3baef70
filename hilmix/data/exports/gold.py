"""A table of gold items: items whose class is known, from which aggregators learn how good annotators are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hilmix.annotations.name_columns import code_names, required_names
from hilmix.data.exports.tables import read_table_file
from hilmix.data.folder.tables import drop_repeated_columns, strip_header
from hilmix.data.items import LabelledItems
from hilmix.faults import Findings
from hilmix.values import IntArray, read_names


def read_gold(file: Path, labels: LabelledItems) -> IntArray:
    """Returns (N,) int64 the known class of every item, -1 where there is none.

    Args:
        file: a table with a column ``item`` and a column ``label`` or, as in the items of a data folder, ``target``;
            rows with an empty class are skipped.
        labels: the items and classes that it speaks of.

    Raises:
        FaultyDataError: for missing columns, items that are unknown or there twice, unknown classes, no class at all.
        DataError: for a file that cannot be read.
    """
    return code_gold(read_table_file(file), file, labels.items, labels.annotations.classes)


def code_gold(table: pd.DataFrame, file: Path, items: Sequence[str], classes: Sequence[str]) -> IntArray:
    """Returns what :func:`read_gold` does, of a table in memory; errors as there.

    Args:
        table: its rows.
        file: where they are from, for messages.
        items: N names.
        classes: K names.
    """
    found = Findings()
    frame = drop_repeated_columns(table.rename(columns=strip_header), file, found)
    column = next((name for name in ("label", "target") if name in frame.columns), None)
    for name, there in (("item", "item" in frame.columns), ("label", column is not None)):
        if not there:
            text = f"lacks the column; has {list(map(str, frame.columns))}"
            found.fault("missing-column", file, name, found=text, expected="columns item and label")
    found.raise_if_any(file)
    assert column is not None, "raised above"
    item = code_names(required_names(frame["item"], file, "item", found), items, file, "item", found)
    label = code_names(read_names(frame[column]), classes, file, "target", found)
    known = (label >= 0) & (item >= 0)
    # A fault even where both rows agree: which of two rows was meant to be another item is not known.
    _, first = np.unique(item[known], return_index=True)
    again = np.setdiff1d(np.flatnonzero(known), np.flatnonzero(known)[first])
    if len(again):
        found.fault("repeats", file, "item", rows=again, found="the item has a row above", expected="one row per item")
    if not known.any() and not found.faults:
        found.fault("empty", file, column, found="no row has a class", expected="the class of at least one item")
    found.raise_if_any(file)
    gold = np.full(len(items), -1, dtype=np.int64)
    gold[item[known]] = label[known]
    return gold

"""Mixes that were chosen one by one: the CSV file that ``hilmix elicit next`` writes and ``build`` reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.human.elicit.design.pairs import DoubleArray, IntArray, Pairs
from hilmix.spreadsheets import csv_text, plain_cells

COLUMNS = ("item1", "item2", "weight")


class ChosenMixes(NamedTuple):
    """Mixes ``weight * image 1 + (1 - weight) * image 2``, each of another pair."""

    pairs: Pairs
    weight: DoubleArray
    """(P,) float64 in (0, 1), of image 1."""


def write_chosen(
    file: Path | str, chosen: ChosenMixes, score: Sequence[float], data: AnnotatedData, label: IntArray
) -> None:
    """Writes mixes by the names of their items, with their classes and what speaks for each.

    Args:
        file: to write.
        chosen: P mixes.
        score: P numbers.
        data: that the rows are of.
        label: (N,) int64 classes.

    Raises:
        DataError: if the file cannot be written.
    """
    columns: dict[str, object] = {}
    for place, rows in enumerate(chosen.pairs, start=1):
        columns[f"item{place}"] = [data.items[row] for row in rows]
        columns[f"class{place}"] = [data.classes[label[row]] for row in rows]
    try:
        table = pd.DataFrame(columns | {"weight": chosen.weight, "score": list(score)})
        Path(file).write_text(csv_text(table), encoding="utf-8", newline="")
    except OSError as error:
        raise DataError(f"Cannot write {file}: {error.strerror or error}. Choose another file.") from error


def read_chosen(file: Path | str, data: AnnotatedData, label: IntArray) -> ChosenMixes:
    """Returns the mixes of a CSV file with the columns ``item1``, ``item2`` and ``weight``; other columns are ignored.

    Args:
        file: to read.
        data: that the items are of.
        label: (N,) int64 class of each image, -1 for images that must not be used.

    Raises:
        DataError: if the file cannot be read or lacks a column, or for the first row that cannot be shown.
    """
    try:
        # Names stay text: an item may be called 007 or NA.
        table = plain_cells(pd.read_csv(file, dtype={"item1": str, "item2": str}, keep_default_na=False))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read {file}: {error}. Make it with hilmix elicit next.") from error
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise DataError(f"{file} lacks the column(s) {missing}; found {list(table.columns)}.")
    if table.empty:
        raise DataError(f"{file} must have at least 1 row, got 0.")
    index = pd.Index(data.items)
    first, second = (index.get_indexer(pd.Index(table[name])).astype(np.int64) for name in COLUMNS[:2])
    weight = pd.to_numeric(table["weight"], errors="coerce").to_numpy(dtype=np.float64)
    same = pd.DataFrame({"low": np.minimum(first, second), "high": np.maximum(first, second)}).duplicated()
    problems = (
        (first < 0, "item1", f"be an item of the data '{data.name}'"),
        (second < 0, "item2", f"be an item of the data '{data.name}'"),
        (label[first] < 0, "item1", "have a class and be in the training split"),
        (label[second] < 0, "item2", "have a class and be in the training split"),
        (label[first] == label[second], "item2", "be of another class than item1"),
        (same.to_numpy(), "item2", "not be mixed with item1 in an earlier row"),
        (~((weight > 0) & (weight < 1)), "weight", "be a number between 0 and 1"),
    )
    # In this order: label[-1] of an unknown item is looked up above, but never reported.
    for wrong, column, rule in problems:
        if wrong.any():
            row = int(wrong.argmax())  # the first bad one; line 1 is the header
            raise DataError(f"{file}, line {row + 2}: {column} must {rule}, got '{table[column].iloc[row]}'.")
    return ChosenMixes(Pairs(first, second), weight)

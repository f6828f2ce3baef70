"""Votes as an export holds them, whatever its layout: two tables of text, and what was understood."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from hilmix.annotations.repeats import Duplicates
from hilmix.data.exports.columns import Columns
from hilmix.faults import Findings
from hilmix.values import quoted

Several = Literal["refuse", "explode"]
"""Rule for several choices in one answer: a fault, or one label for each."""


class ExportSettings(NamedTuple):
    """Settings of reading an export, where its layout leaves that open."""

    columns: Columns = Columns()
    separator: str | None = None
    """Sign between the cells of a CSV file; by default that of its header."""
    wide: bool = False
    """Each column but those of items, targets and splits holds the labels of one annotator."""
    several: Several = "refuse"
    missing: tuple[str, ...] = ()
    """Labels that mean "did not label", such as ``-1`` or ``skip``."""
    duplicates: Duplicates = "last"


class Export(NamedTuple):
    """The content of an export."""

    file: Path
    layout: str
    """Name of the layout, such as ``Label Studio JSON``."""
    votes: pd.DataFrame
    """L rows: ``item``, ``annotator``, ``label``; perhaps ``confidence``, ``seconds`` and ``prob_<class>``."""
    items: pd.DataFrame
    """N rows: ``item``, once each; perhaps ``image``, by which its image is found, ``target`` and ``split``."""
    understood: Mapping[str, str]
    """Origin of each column, for people."""


def list_items(rows: pd.DataFrame, file: Path, found: Findings) -> pd.DataFrame:
    """Return each item once, in order of appearance, with the one value that it has in every further column.

    Args:
        rows: any number of rows per item: ``item``, and further columns such as ``target``; empty cells do not count.
        file: their file, for messages.
        found: collects a fault where an item has two values.
    """
    named = rows[rows["item"].notna()]
    items = pd.DataFrame({"item": named["item"].drop_duplicates().to_numpy()})
    for column in rows.columns.drop("item"):
        stated = named[["item", column]].dropna().drop_duplicates()
        again = stated["item"].duplicated()
        if again.any():
            item = stated.loc[again, "item"].iloc[0]
            values = stated.loc[stated["item"] == item, column].tolist()
            found.fault(
                "contradiction",
                file,
                column,
                found=f"item '{item}' has several values: {quoted(values)}",
                expected="one per item",
                count=int(again.sum()),
            )
        # Faulty items keep their first value, so that all other faults are still found in this run.
        values_of = stated[~again].set_index("item")[column]
        if len(values_of):
            items[column] = items["item"].map(values_of).astype(object).where(lambda cells: cells.notna(), None)
    return items

"""CSV files that may be opened in a spreadsheet: the one writer, and how a reader gets the names back."""

from typing import Any

import pandas as pd

from hilmix.names import escape_formula, unescape_formula


def csv_text(table: pd.DataFrame, *, index: bool = False) -> str:
    """Returns a table as CSV in which no text is a formula; numbers are written as they are.

    Text that a spreadsheet would take for a formula gets an apostrophe in front, headers too; see
    :func:`~hilmix.names.escape_formula`. :func:`plain_cells` takes it away again.

    Args:
        table: any.
        index: whether the index is the first column.
    """
    safe = _mapped(table.reset_index(names=table.index.name or "") if index else table, escape_formula)
    cells = [str(column) for column in safe.columns] + [v for c in _texts(safe) for v in safe.iloc[:, c]]
    broken = any(isinstance(cell, str) and "\r" in cell for cell in cells)
    # a lone carriage return is quoted only where it is part of the line end
    text: str = safe.to_csv(index=False, lineterminator="\r\n" if broken else "\n")
    return text


def plain_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table that was read from :func:`csv_text`, with the text that was written."""
    return _mapped(table, unescape_formula)


def _mapped(table: pd.DataFrame, change: Any) -> pd.DataFrame:
    """A copy with all text changed, that of headers too."""
    changed = table.copy()
    changed.columns = pd.Index([change(str(column)) for column in table.columns])
    for place in _texts(table):
        cells = table.iloc[:, place].astype(object)
        changed.isetitem(place, cells.map(lambda cell: change(cell) if isinstance(cell, str) else cell))
    return changed


def _texts(table: pd.DataFrame) -> list[int]:
    """Places of the columns that may hold text."""
    return [place for place, kind in enumerate(table.dtypes) if not pd.api.types.is_numeric_dtype(kind)]

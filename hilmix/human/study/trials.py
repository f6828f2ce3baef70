"""The trials of one file as text, with columns turned into numbers; errors name file, row and column."""

import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.columns import IntArray
from hilmix.errors import DataError
from hilmix.human.study.layout import NEEDED, ORIGIN, REPEAT_PREFIX, Layout
from hilmix.spreadsheets import plain_cells

Texts = Sequence[str] | NDArray[Any]


class TrialTable:
    """The trials of one file; other pages of the sessions are left out.

    Args:
        folder: where the file lies.
        layout: of the file.

    Raises:
        DataError: if the file is missing or not a table, lacks a column, or holds trials of another task.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.file = folder / layout.file
        if not self.file.is_file():
            raise DataError(f"{folder} has no {layout.file}; point it at a copy of {ORIGIN}, or at an exported study.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
                # Text only: a class may be called NA, and ids must not become floats. index_col=False: else pandas
                # takes the first column of a too long row as the index.
                frame = plain_cells(pd.read_csv(self.file, dtype=str, keep_default_na=False, index_col=False))
        except (ValueError, OSError, pd.errors.ParserWarning) as error:
            raise DataError(
                f"Cannot read {self.file}: {error}. Expected is a table in UTF-8 with commas and one header line."
            ) from error
        if missing := [c for c in (*NEEDED, *layout.needed) if c not in frame.columns]:
            raise DataError(
                f"{self.file} lacks the column(s) {missing}; found {list(map(str, frame.columns))}. Add them under "
                "these names, as write_released does."
            )
        self.frame = frame[frame["task"] != ""]
        if self.frame.empty:
            raise DataError(f"{self.file} holds no trials: in no row has the column 'task' a value.")
        allowed = (layout.trial, REPEAT_PREFIX + layout.trial)
        self.refuse(~self["task"].isin(allowed), "task", f"{allowed[0]}, {allowed[1]} or empty")
        self.refuse(self["subject"] == "", "subject", "the participant's id")

    def __getitem__(self, column: str) -> "pd.Series[str]":
        return self.frame[column]

    def refuse(self, bad: Any, column: str, allowed: str) -> None:
        """Raises the error about the first cell that is marked as bad, (L,) bool, if there is one.

        Rows count from 0, pages that are no trials included, as in the first column of the released files.
        """
        where = np.flatnonzero(np.asarray(bad))
        if len(where):
            row, found = self.frame.index[where[0]], self.frame[column].iloc[where[0]]
            raise DataError(
                f"{self.file}, row {row}, column '{column}': must be {allowed}, got {found!r}. Correct the row or take "
                "it out."
            )

    def numbers(
        self,
        column: str,
        top: float,
        *,
        texts: Texts | None = None,
        optional: bool = False,
        whole: bool = False,
        why: str = "",
    ) -> NDArray[np.float64]:
        """(L,) float64 numbers in [0, top].

        Args:
            column: where they stand, for the error.
            top: largest that is allowed.
            texts: (L,) what to read as numbers, if not the column itself.
            optional: whether an empty text is allowed, as NaN.
            whole: whether only whole numbers are allowed; they may be written as 12.0.
            why: where the range comes from, for the error.
        """
        cells = pd.Series(self[column] if texts is None else texts, dtype=object).astype(str).str.strip()
        values: NDArray[np.float64] = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
        # isfinite: `top` may be infinite.
        bad = ~((values >= 0) & (values <= top) & np.isfinite(values))
        if whole:
            bad |= values != np.floor(values)
        if optional:
            bad &= (cells != "").to_numpy()
        kind = "a whole number" if whole else "a number"
        self.refuse(bad, column, f"{kind}{'' if top == np.inf else f' from 0 to {top:.12g}'}{why}")
        return values

    def ids(self, column: str, num_items: int, *, texts: Texts | None = None) -> NDArray[np.float64]:
        """(L,) whole numbers below the size of the set of images."""
        why = f", since num_items is {num_items}"
        return self.numbers(column, num_items - 1, texts=texts, whole=True, why=why)

    def codes(self, column: str, vocabulary: Sequence[str], *, texts: Texts | None = None) -> IntArray:
        """(L,) int64 places of names in the vocabulary."""
        found: IntArray = pd.Index(vocabulary).get_indexer(self[column] if texts is None else texts).astype(np.int64)
        self.refuse(found < 0, column, f"one of {', '.join(map(str, vocabulary))}")
        return found

    def parsed(self, column: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        """L JSON objects, each with at least these keys."""
        found = [_json_object(text) for text in self[column]]
        self.refuse([not set(keys) <= set(answer) for answer in found], column, f"a JSON object with {', '.join(keys)}")
        return found

    def matches(self, column: str, pattern: str, allowed: str) -> pd.DataFrame:
        """(L, groups) texts that the pattern's groups match; the pattern must fit the whole cell."""
        found = self[column].str.extract(re.compile(f"^(?:{pattern})$"))
        self.refuse(found.isna().any(axis=1), column, allowed)
        return found


def _json_object(text: str) -> dict[str, Any]:
    """The object, or an empty one where the text is none, which then lacks its keys."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

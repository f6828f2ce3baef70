"""The results files, and the settings that the search chooses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.explanations.settings import DATA, GRID, KEY, MASK_PLANS, METHODS, SEARCH_FILE, mask_settings
from experiments.harness import keep_row, read_rows
from hilmix.errors import ConfigError

Key = tuple[str, str, str, str, int]
RANK = ["best_val_worst_group_acc", "best_val_mean_group_acc"]
"""Criteria of the choice of a setting: accuracy on validation items, of the worst group, ties by the mean, at the epoch
where the former is highest."""


def read(file: Path) -> pd.DataFrame:
    """The rows of a results file; none if it is not there."""
    return read_rows(file, KEY, converters={"commit": str})


def add_row(file: Path, row: dict[str, Any]) -> None:
    """Writes a row in place of one with the same key."""
    keep_row(file, row, KEY, read)


def in_grid(search: pd.DataFrame, data: str, method: str, masks: str) -> pd.DataFrame:
    """The rows of one search, of settings that are in the grid."""
    same = (search["data"] == data) & (search["method"] == method) & (search["masks"] == masks)
    return search[same & search["setting"].isin(GRID[method])]


def chosen(search: pd.DataFrame, data: str, method: str) -> str:
    """The setting of a method for a data set.

    Args:
        search: rows of the search.
        data: a name of :data:`DATA`; its ``searched`` is looked at.
        method: a name of :data:`GRID`.

    Raises:
        ConfigError: if the search of it is not complete.
    """
    searched = DATA[data].searched
    rows = in_grid(search, searched, method, "exact")
    if missing := sorted(set(GRID[method]) - set(rows["setting"])):
        raise ConfigError(
            f"{SEARCH_FILE.name} lacks {missing} of '{method}' on {searched}; run `search --data {searched}` first."
        )
    mean = rows.groupby("setting")[RANK].mean().reindex(list(GRID[method]))
    return str(mean.sort_values(RANK, ascending=False, kind="stable").index[0])


def has_search(search: pd.DataFrame, data: str, method: str) -> bool:
    """Returns whether :func:`chosen` gives a setting."""
    return set(GRID[method]) <= set(in_grid(search, DATA[data].searched, method, "exact")["setting"])


def planned_masks(search: pd.DataFrame, data: Sequence[str], methods: Sequence[str]) -> list[Key]:
    """The runs of the study of masks as values of :data:`KEY`, what is most wanted first.

    Raises:
        ConfigError: if the search of one of these methods is not complete.
    """
    keys = []
    for plan in (plan for plan in MASK_PLANS if plan.data in data):
        best = {m: chosen(search, plan.data, m) for m in plan.methods if m in methods}
        keys += [
            (plan.data, m, setting, masks, seed)
            for seed in plan.seeds
            for masks in plan.cases
            for m in best
            for setting in mask_settings(masks, m, best[m])
        ]
    return list(dict.fromkeys(keys))


def current(rows: pd.DataFrame, search: pd.DataFrame) -> pd.DataFrame:
    """Those final rows that are at the settings chosen now."""
    pairs = {(d, m) for d in DATA for m in METHODS if has_search(search, d, m)}
    best = {pair: chosen(search, *pair) for pair in pairs}
    kept = [best.get((r.data, r.method)) == r.setting for r in rows.itertuples()]
    return rows[pd.Series(kept, index=rows.index, dtype=bool)]

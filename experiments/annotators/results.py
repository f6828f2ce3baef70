"""The results files: read, added to, and what follows from them: chosen rates, rows that count, ranks, costs."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from experiments.annotators import statistics
from experiments.annotators.settings import (
    CONTROLS,
    DATA,
    FAMILY_OF,
    FINAL_SEEDS,
    GRID_METHODS,
    KEY,
    METHODS,
    PINNED_LR,
    UPPER_BOUND,
)
from experiments.harness import keep_row, read_rows


def read(file: Path) -> pd.DataFrame:
    """The rows of a results file; none if it is not there."""
    # "true" is a method, a commit may look like a number, and pandas before 3.0 may miss a float's last bit
    return read_rows(file, KEY, converters={"method": str, "commit": str, "lr": float})


def add_row(file: Path, row: dict[str, Any]) -> None:
    """Writes a row in place of one with the same key."""
    keep_row(file, row, KEY, read)


def chosen(search: pd.DataFrame) -> dict[tuple[str, str], float]:
    """The learning rate of each (family, method): highest mean agreement with the votes on validation items.

    The mean is over the search seeds, after the last epoch; ties go to the lower mean NLL of the votes, then to the
    smaller rate. A rate with a run that is not finite cannot be chosen.
    """
    if search.empty:
        return {}
    search = search.assign(family=search["data"].map(FAMILY_OF))
    score = ["val_agreement", "val_vote_nll"]
    mean = search.groupby(["family", "method", "lr"])[score].agg(lambda values: values.mean(skipna=False)).dropna()
    order = mean.reset_index().sort_values([*score, "lr"], ascending=[False, True, True])
    best = order.drop_duplicates(["family", "method"])
    return {(row.family, row.method): row.lr for row in best.itertuples()}


def current(final: pd.DataFrame, search: pd.DataFrame) -> pd.DataFrame:
    """The rows of the study: its data, methods and seeds at the learning rates that the search chooses now."""
    if final.empty:
        return final.assign(family="")
    best = chosen(search)
    final = final.assign(family=final["data"].map(FAMILY_OF))
    pairs = zip(final["family"], final["method"], strict=True)
    rate = [PINNED_LR.get(method, best.get((family, method), np.nan)) for family, method in pairs]
    belongs = final["data"].isin(DATA) & final["method"].isin(METHODS) & final["seed"].isin(FINAL_SEEDS)
    return final[belongs & (final["lr"] == rate)]


def whole_families(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of those (family, method, seed) that have a result on every data set of the family with results.

    A mean over a family is then one over the same data sets for every method and seed.
    """
    needed = rows.groupby("family")["data"].nunique()
    found = rows.groupby(["family", "method", "seed"])["data"].transform("nunique")
    return rows[found == rows["family"].map(needed)]


def ranked_methods(rows: pd.DataFrame) -> list[str]:
    """The methods with results, in the study's order, without the upper bound."""
    found = set(rows["method"])
    return [method for method in GRID_METHODS if method in found and method != UPPER_BOUND]


def shared_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, also of the upper bound, of those (data set, seed) that all ranked methods have a result on."""
    methods = ranked_methods(rows)
    ranked = rows["method"].where(rows["method"].isin(methods))
    return rows[ranked.groupby([rows["data"], rows["seed"]]).transform("nunique") == len(methods)]


class Ranking(NamedTuple):
    """Ranks of the methods on blocks: data sets or families."""

    methods: list[str]
    scores: pd.DataFrame
    """(blocks, methods) mean accuracy, NaN where a run failed."""
    mean_ranks: "pd.Series[float]"
    control: str
    p: "pd.Series[float]"
    """Holm's adjusted p-value of every method against the control."""


def ranking(rows: pd.DataFrame, by: str = "data", name: str = "acc") -> Ranking | None:
    """Ranks the methods on the data sets (or families) that all of them have results on; None for fewer than two.

    Only seeds that all methods have on a data set count. Families average their data sets, which are not independent.
    """
    methods = ranked_methods(rows)
    rows = shared_seeds(rows)
    rows = rows[rows["method"].isin(methods)]
    mean = rows.groupby(["family", "data", "method"])[name].agg(lambda v: v.mean(skipna=False)).unstack("method")
    scores = mean.reindex(columns=methods)
    if name.startswith("best_"):  # data without votes for validation have no such epoch
        scores = scores.dropna(how="all")
    scores = scores.groupby(by).agg(lambda v: v.mean(skipna=False)) if len(scores) else scores
    if len(scores) < 2 or len(methods) < 3:
        return None
    mean_ranks = pd.Series(statistics.ranks(scores).mean(0), index=methods)
    control = next((method for method in CONTROLS if method in methods), methods[0])
    plain = statistics.against_control(mean_ranks, methods.index(control), num_data=len(scores))
    return Ranking(methods, scores, mean_ranks, control, pd.Series(statistics.holm(plain), index=methods))

"""Tables of the grid of shipped files, of the choice of their defaults, and of the epoch to keep, and its figures."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from experiments.annotators import choice, figures
from experiments.annotators.epochs import CRITERIA
from experiments.annotators.results import ranking, read, shared_seeds
from experiments.annotators.settings import (
    ABLATION_DATA,
    COST_FILE,
    DATA,
    FAMILIES,
    FAMILY_OF,
    FINAL_SEEDS,
    GRID_ABLATION_FILE,
    GRID_FILE,
    GRID_METHODS,
    GUIDE,
    HERE,
    REPO,
    SHIPPED_VARIANTS,
    UPPER_BOUND,
)
from experiments.annotators.tables import (
    BY_FAMILY,
    EMPTY,
    GROUPS,
    SUMMARY_GROUPS,
    Score,
    cost_table,
    group_cell,
    number,
    p_value,
    score_table,
    summary_table,
    tests_of,
)
from experiments.harness import fill, markdown_table

PAGES = (HERE / "README.md", REPO / "README.md", REPO / "docs" / "methods.md")
ORDER = (*(method for method in GRID_METHODS if method != UPPER_BOUND), UPPER_BOUND)


def current(grid: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of the grid that belong to the study, with their family."""
    belongs = grid["data"].isin(DATA) & grid["method"].isin(GRID_METHODS) & grid["seed"].isin(FINAL_SEEDS)
    return grid[belongs].assign(family=grid["data"].map(FAMILY_OF))


def state(rows: pd.DataFrame) -> str:
    """Returns how much of the grid is there: runs by seed, and the data sets that all methods or some have run on."""
    if rows.empty:
        return EMPTY
    done = ", ".join(f"seed {seed}: {count}" for seed, count in rows.groupby("seed").size().items())
    methods = rows.groupby("data")["method"].nunique().reindex(list(DATA), fill_value=0)
    whole, part = methods == len(GRID_METHODS), (methods > 0) & (methods < len(GRID_METHODS))
    found = [
        f"{title}: {', '.join(f'`{name}`' for name in methods.index[which]) or 'none'}"
        for title, which in (("all methods", whole), ("some methods", part), ("none yet", methods == 0))
    ]
    hours = rows["cpu_seconds"].sum() / 3600
    versions = {name: ", ".join(sorted(set(rows[name].astype(str)))) for name in ("commit", "torch")}
    return (
        f"{len(rows)} of {len(DATA) * len(GRID_METHODS) * len(FINAL_SEEDS)} runs ({done}), {hours:.1f} core-hours; "
        f"{int(rows['acc'].isna().sum())} not finite. Data sets with {'; '.join(found)}. "
        f"Code: {versions['commit']}; torch {versions['torch']}."
    )


def rank_table(rows: pd.DataFrame) -> str:
    """Markdown: mean ranks of accuracy and of label-error AP with adjusted p-values, ECE, accuracy by group.

    Data sets that a method has no result on are left out for all.
    """
    found, families, errors = ranking(rows), ranking(rows, "family"), ranking(rows, name="label_error_ap")
    if found is None:
        return EMPTY
    means = shared_seeds(rows).groupby(["method", "data"])[["acc", "ece"]].agg(lambda v: v.mean(skipna=False))
    accuracy, ece = (100 * means[name].unstack("data") for name in ("acc", "ece"))
    columns: dict[str, Callable[[str], str]] = {
        f"mean rank, {len(found.scores)} data sets": lambda m: number(found.mean_ranks.get(m, np.nan), 2),
        f"p against {found.control}": lambda m: p_value(found.p.get(m, np.nan)),
    }
    if families is not None:
        columns[f"mean rank, {len(families.scores)} families"] = lambda m: number(families.mean_ranks.get(m, np.nan), 2)
        columns["p, families"] = lambda m: p_value(families.p.get(m, np.nan))
    if errors is not None:
        columns["mean rank, label errors"] = lambda m: number(errors.mean_ranks.get(m, np.nan), 2)
        columns["p, label errors"] = lambda m: p_value(errors.p.get(m, np.nan))
    columns |= {
        "ECE, mean": lambda m: number(ece.loc[m].mean(skipna=False), 1),
        "ECE, worst": lambda m: number(ece.loc[m].max(skipna=False), 1),
        **{title: partial(group_cell, accuracy, members) for title, members in SUMMARY_GROUPS.items()},
    }
    order = [*found.mean_ranks.sort_values(kind="stable").index, *set(rows["method"]) & {UPPER_BOUND}]
    body = [[method, *(cell(method) for cell in columns.values())] for method in order]
    tests = [tests_of("data sets", found), *([tests_of("families", families)] if families is not None else [])]
    return "\n\n".join([markdown_table(["method", *columns], body), *tests])


def epoch_table(rows: pd.DataFrame) -> str:
    """Markdown: what each criterion loses in test accuracy against the last epoch, by method, and where it stops.

    Runs whose validation items have votes; points of accuracy, positive where the kept epoch is better.
    """
    rows = rows.dropna(subset=["acc", *(f"{name}_acc" for name in CRITERIA)])
    if rows.empty:
        return EMPTY
    methods = [method for method in ORDER if method in set(rows["method"])]
    body = [_epochs_of(f"`{method}`", rows[rows["method"] == method]) for method in methods]
    ranked = rows[rows["method"] != UPPER_BOUND]
    body.append(_epochs_of(f"all but `{UPPER_BOUND}`", ranked))
    body.append(["worst run", "", *(f"{_gain(ranked, name).min():.1f}" for name in CRITERIA), *[""] * len(CRITERIA)])
    head = [
        "method",
        "runs",
        *(f"{name}, points" for name in CRITERIA),
        *(f"{name}, median epoch" for name in CRITERIA),
    ]
    return markdown_table(head, body, left=1)


def _epochs_of(title: str, rows: pd.DataFrame) -> list[str]:
    gains = [f"{_gain(rows, name).mean():.2f}" for name in CRITERIA]
    return [title, str(len(rows)), *gains, *(f"{rows[f'{name}_epoch'].median():.0f}" for name in CRITERIA)]


def _gain(rows: pd.DataFrame, name: str) -> "pd.Series[float]":
    gain: pd.Series[float] = 100 * (rows[f"{name}_acc"] - rows["acc"])
    return gain


def choice_table(rows: pd.DataFrame) -> str:
    """Markdown: what each setting of the one choice loses, and what the choice is."""
    if rows.empty:
        return EMPTY
    parts = []
    for title, part in choice.by_kind(rows).items():
        table = choice.regrets(part)
        body = [
            [network, scaling, f"{lr:g}", f"{100 * row['mean']:.2f}", f"{100 * row['worst']:.1f}", f"{row['runs']:.0f}"]
            for (network, scaling, lr), row in zip(table.index, table.to_dict("records"), strict=True)
        ]
        head = ["network", "scaling", "rate", "mean loss, points", "largest", "runs"]
        data = ", ".join(f"`{name}`" for name in dict.fromkeys(part["data"]))
        methods = ", ".join(f"`{name}`" for name in dict.fromkeys(part["method"]))
        parts += [f"{title}: {methods} on {data}.", markdown_table(head, body, left=2)]
    hours = rows["cpu_seconds"].sum() / 3600
    return "\n\n".join([*parts, f"{len(rows)} runs, {hours:.2f} core-hours."])


def guide_table(rows: pd.DataFrame) -> str:
    """Markdown: the three methods with the highest mean accuracy on each kind of data, and where ``hilmix`` is.

    Only data sets and seeds that all methods have; the upper bound stands apart.
    """
    whole = shared_seeds(rows)
    means = 100 * whole.groupby(["method", "data"])["acc"].agg(lambda v: v.mean(skipna=False)).unstack("data")
    body = []
    for kind, members in GUIDE.items():
        found = [name for name in members if name in means]
        if not found:
            continue
        scores = means[found].mean(axis=1, skipna=False).drop(UPPER_BOUND, errors="ignore").dropna()
        best = scores.sort_values(ascending=False, kind="stable")
        first = [f"`{method}` {value:.1f}" for method, value in best.head(3).items()]
        place = f"{best.index.get_loc('hilmix') + 1} of {len(best)}" if "hilmix" in best else "-"
        body.append([kind, f"{len(found)} of {len(members)}", *first, *["-"] * (3 - len(first)), place])
    head = ["your data", "data sets", "first", "second", "third", "place of `hilmix`"]
    return markdown_table(head, body) if body else EMPTY


def ablation_table(rows: pd.DataFrame, name: str) -> str:
    """Markdown: ``hilmix.yaml`` with one thing changed at a time."""
    return score_table(rows, ABLATION_DATA, "data", name, BY_FAMILY.get(name, Score()), list(SHIPPED_VARIANTS))


def texts(grid: pd.DataFrame, chosen: pd.DataFrame, ablation: pd.DataFrame, cost: pd.DataFrame) -> dict[str, str]:
    """Everything that is generated here, by the name of its marker."""
    rows = current(grid)
    by_data = {
        f"annotators-grid-acc-{group}": partial(score_table, rows, names, "data", "acc", Score(), ORDER)
        for group, names in GROUPS.items()
    }
    by_family = {
        f"annotators-grid-{name}": partial(score_table, rows, list(FAMILIES), "family", name, score, ORDER)
        for name, score in BY_FAMILY.items()
    }
    made = {
        "annotators-summary": partial(summary_table, rows),
        "annotators-grid-state": partial(state, rows),
        "annotators-grid-ranks": partial(rank_table, rows),
        "annotators-grid-guide": partial(guide_table, rows),
        "annotators-grid-epochs": partial(epoch_table, rows),
        **by_data,
        **by_family,
    }
    return {
        **{name: EMPTY if rows.empty else make() for name, make in made.items()},
        **{
            f"annotators-ablation-{n}": EMPTY if ablation.empty else ablation_table(ablation, n) for n in ("acc", "ece")
        },
        "annotators-cost": EMPTY if cost.empty else cost_table(rows, cost),
        "annotators-defaults": choice_table(chosen),
    }


def write() -> None:
    """Fills every page that has the markers, and draws the figures."""
    grid = read(GRID_FILE)
    for name, text in texts(grid, choice.read(), read(GRID_ABLATION_FILE), read(COST_FILE)).items():
        for page in PAGES:
            if f"<!-- {name} -->" in page.read_text():
                fill(page, name, text)
    figures.draw(current(grid))

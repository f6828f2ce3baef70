"""Forms of tables that both protocols share, and the tables of the first one on the study's page."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.annotators import statistics
from experiments.annotators.cost import relative_cost
from experiments.annotators.results import Ranking, chosen, current, ranking, read, shared_seeds, whole_families
from experiments.annotators.settings import (
    ABLATION_DATA,
    ABLATION_FILE,
    DATA,
    FAMILIES,
    FINAL_FILE,
    FINAL_SEEDS,
    GRID_METHODS,
    HERE,
    LEARNING_RATES,
    METHODS,
    SEARCH_FILE,
    UPPER_BOUND,
)
from experiments.harness import fill, markdown_table, mean_and_std

EMPTY = "No runs yet."
ORDER = (*(method for method in METHODS if method != UPPER_BOUND), UPPER_BOUND)
GROUPS = {
    "digits-class": FAMILIES["digits-class"].members,
    "digits-instance": FAMILIES["digits-instance"].members,
    "simulated": FAMILIES["fashion"].members + FAMILIES["mnist"].members,
    "people": tuple(
        name
        for key in ("sentiment", "labelme", "labelme-images", "cifar10n", "cifar10h")
        for name in FAMILIES[key].members
    ),
}
"""Accuracy has a table for each of these."""


SUMMARY_GROUPS = {
    "digits, by class": GROUPS["digits-class"],
    "digits, by item": GROUPS["digits-instance"],
    "Fashion, MNIST": GROUPS["simulated"],
    "people": GROUPS["people"],
}
"""Columns of accuracy beside the ranks."""


class Score(NamedTuple):
    """Form of a column of the results."""

    scale: float = 100
    digits: int = 1
    higher: bool = True


BY_FAMILY = {
    "ece": Score(higher=False),
    "ece_calibrated": Score(higher=False),
    "nll": Score(1, 3, higher=False),
    "brier": Score(1, 3, higher=False),
    "annotator_auroc": Score(),
    "label_error_ap": Score(),
}
"""Scores with a table of families."""


def score_table(
    rows: pd.DataFrame, columns: Sequence[str], by: str, name: str, score: Score, methods: Sequence[str] = ORDER
) -> str:
    """Markdown, methods by columns: mean ± standard deviation over the seeds.

    Args:
        rows: of :func:`current`, or of the ablation.
        columns: values of ``by`` that get a column, those without results left out.
        by: ``data``, or ``family``: then the data sets of a family are averaged for each seed first.
        name: column of ``rows``.
        score: how it is shown. The best method is bold, those within one standard deviation of the best are italic;
            the upper bound stands apart.
        methods: the lines, those without results left out.
    """
    scored = rows.groupby("data")[name].count()
    rows = rows[rows["data"].isin(scored.index[scored > 0])]  # no votes to validate on, or none of known truth
    rows = whole_families(rows) if by == "family" else rows
    columns = [column for column in columns if column in set(rows[by])]
    if not columns:
        return EMPTY
    seeds = rows.groupby(["method", by, "seed"])[name].agg(lambda values: values.mean(skipna=False))
    cells = pd.DataFrame({column: _column(seeds.xs(column, level=by), score) for column in columns})
    order = [method for method in methods if method in cells.index]
    return markdown_table(["method", *columns], [[method, *cells.loc[method].fillna("-")] for method in order])


def _column(seeds: pd.Series, score: Score) -> pd.Series:
    """The cells of a column from the values (method, seed)."""
    shown = seeds * score.scale
    mean, std = shown.groupby("method").agg(lambda v: v.mean(skipna=False)), shown.groupby("method").std()
    cells = {method: _cell(shown.xs(method, level="method"), score.digits) for method in mean.index}
    rivals = mean.drop(UPPER_BOUND, errors="ignore").dropna()
    if len(rivals) > 1:
        sign = 1 if score.higher else -1
        top = (sign * rivals).idxmax()
        near = rivals.index[(sign * (rivals[top] - rivals) <= np.nan_to_num(std[top])) & (rivals.index != top)]
        cells |= {top: f"**{cells[top]}**"} | {method: f"*{cells[method]}*" for method in near}
    return pd.Series(cells)


def _cell(values: pd.Series, digits: int) -> str:
    lost = int(values.isna().sum())
    if lost:
        return "-" if lost == len(values) else f"{lost} of {len(values)} failed"
    return mean_and_std(values, digits) + (f" ({len(values)})" if len(values) < len(FINAL_SEEDS) else "")


def rank_table(rows: pd.DataFrame) -> str:
    """Markdown: mean ranks and adjusted p-values, with data sets and with families as blocks."""
    data, families = ranking(rows), ranking(rows, "family")
    if data is None:
        return EMPTY
    early = ranking(rows, name="best_acc")
    columns: dict[str, Callable[[str], str]] = {
        f"mean rank, {len(data.scores)} data sets": lambda m: f"{data.mean_ranks[m]:.2f}",
        f"p against {data.control}": lambda m: p_value(data.p[m]),
    }
    if families is not None:
        columns |= {
            f"mean rank, {len(families.scores)} families": lambda m: f"{families.mean_ranks[m]:.2f}",
            f"p against {families.control}, families": lambda m: p_value(families.p[m]),
        }
    if early is not None:
        columns["mean rank, best noisy epoch"] = lambda m: f"{early.mean_ranks[m]:.2f}"
    order = data.mean_ranks.sort_values(kind="stable").index
    body = [[method, *(cell(method) for cell in columns.values())] for method in order]
    tests = [tests_of("data sets", data), *([tests_of("families", families)] if families is not None else [])]
    return "\n\n".join([markdown_table(["method", *columns], body), *tests])


def tests_of(blocks: str, found: Ranking) -> str:
    test, k, n = statistics.friedman(found.scores), len(found.methods), len(found.scores)
    return (
        f"Over {blocks}: Friedman's chi-squared {test.chi2:.1f} (p = {test.chi2_p:.2g}), Iman and Davenport's F "
        f"{test.f:.1f} (p = {test.f_p:.2g}); Nemenyi's critical difference of mean ranks at 5 %: "
        f"{statistics.critical_difference(k, n):.2f}."
    )


def p_value(value: float) -> str:
    return "-" if np.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def cost_table(rows: pd.DataFrame, cost: pd.DataFrame) -> str:
    """Markdown: time per epoch relative to ``mv``, and the growth of a run's peak memory in MB."""
    ratio, memory = relative_cost(cost), rows.groupby("method")["peak_growth_mb"].median()
    body = [
        [m, *(number(ratio.loc[m, d], 1) for d in ratio), number(memory.get(m, np.nan), 0)]
        for m in GRID_METHODS
        if m in ratio.index
    ]
    shipped = "hilmix-fast" in ratio.index
    note = "The files as they ship." if shipped else "Measured under the first protocol: `hilmix` is its first version."
    return f"{markdown_table(['method', *ratio, 'memory, MB'], body)}\n\n{note}"


def summary_table(rows: pd.DataFrame) -> str:
    """Markdown for the front page, in the order of the study's ranking, with its tests below.

    Everything but the time comes from the means over seeds that :func:`ranking` ranks: accuracy and ECE are averaged
    over the data sets. The upper bound comes last and has no rank. Time is that of
    :func:`relative_time`.
    """
    found = ranking(rows)
    if found is None:
        return EMPTY
    order = [*found.mean_ranks.sort_values(kind="stable").index, *set(rows["method"]) & {UPPER_BOUND}]
    means = shared_seeds(rows).groupby(["method", "data"])[["acc", "ece"]].agg(lambda v: v.mean(skipna=False))
    accuracy, ece = (100 * means[name].unstack("data") for name in ("acc", "ece"))
    time = relative_time(rows)
    columns: dict[str, Callable[[str], str]] = {
        "mean rank": lambda m: number(found.mean_ranks.get(m, np.nan), 1),
        f"p against {found.control}": lambda m: p_value(found.p.get(m, np.nan)),
        "accuracy": partial(group_cell, accuracy, list(accuracy)),
        "ECE": lambda m: number(ece.loc[m].mean(skipna=False), 1),
        "time": lambda m: number(time.get(m, np.nan), 1),
    }
    body = [[method, *(cell(method) for cell in columns.values())] for method in order]
    return f"{markdown_table(['method', *columns], body)}\n\n{_verdict(rows, found)}"


def relative_time(rows: pd.DataFrame) -> "pd.Series[float]":
    """Returns CPU time per epoch over that of ``mv`` with the same data and seed, the median over both, by method."""
    seconds = rows.set_index(["data", "seed", "method"])["cpu_seconds_per_epoch"].unstack("method")
    return seconds.div(seconds["mv"], axis=0).median() if "mv" in seconds else seconds.median() * np.nan


def group_cell(accuracy: pd.DataFrame, members: Sequence[str], method: str) -> str:
    """Mean accuracy over the data sets of a group; the best but for the upper bound is bold."""
    means = accuracy[[m for m in members if m in accuracy]].mean(axis=1, skipna=False)
    cell = number(means[method], 1)
    best = means.drop(UPPER_BOUND, errors="ignore").max()
    return f"**{cell}**" if method != UPPER_BOUND and means[method] == best else cell


def _verdict(rows: pd.DataFrame, found: Ranking) -> str:
    """Describes the two first methods of the ranking, and which ones the control surpasses."""
    first, second = found.mean_ranks.sort_values(kind="stable").index[:2]
    p = p_value(found.p[second if first == found.control else first])
    behind = [m for m in found.methods if found.p[m] < 0.05 and found.mean_ranks[m] > found.mean_ranks[found.control]]
    families = ranking(rows, "family")
    of_families = (
        ""
        if families is None
        else (
            f" Over the {len(families.scores)} families, whose data sets are not independent: "
            + ", ".join(f"`{m}` {families.mean_ranks[m]:.1f}" for m in (first, second))
            + "."
        )
    )
    seeds = shared_seeds(rows).groupby("data")["seed"].nunique()
    runs = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    return (
        f"Mean ranks over {len(found.scores)} of {len(DATA)} data sets, seeds on each: {runs}, tested against "
        f"`{found.control}` with Holm's correction: "
        f"`{first}` {found.mean_ranks[first]:.1f} and `{second}` {found.mean_ranks[second]:.1f} lead (p {p}); "
        f"`{found.control}` ranks significantly before {', '.join(f'`{m}`' for m in behind) or 'none'} "
        f"(p < 0.05).{of_families}"
    )


def rate_table(search: pd.DataFrame) -> str:
    """Markdown: the chosen learning rates, methods by families."""
    if search.empty:
        return EMPTY
    best = chosen(search)
    columns = [family for family in FAMILIES if any(family == key for key, _ in best)]
    order = [method for method in METHODS if any(method == name for _, name in best)]
    body = [[m, *(f"{best[f, m]:g}" if (f, m) in best else "-" for f in columns)] for m in order]
    return markdown_table(["method", *columns], body)


def budget(final: pd.DataFrame, search: pd.DataFrame, ablation: pd.DataFrame) -> str:
    """Runs, core-hours, commits, runs that were not finite, and how often the search ended at an edge of its grid."""
    if final.empty and search.empty:
        return EMPTY
    both, best = pd.concat([final, search, ablation]), chosen(search)
    hours = [table["cpu_seconds"].sum() / 3600 if len(table) else 0.0 for table in (search, final, ablation)]
    edges = [sum(rate == edge for rate in best.values()) for edge in (LEARNING_RATES[0], LEARNING_RATES[-1])]
    lost = int(final["acc"].isna().sum() if len(final) else 0)
    versions = {name: ", ".join(sorted(set(both[name].astype(str)))) for name in ("commit", "torch")}
    return (
        f"{len(search)} runs of the search took {hours[0]:.1f} core-hours, {len(final)} final runs {hours[1]:.1f}, "
        f"{len(ablation)} of the ablation {hours[2]:.1f}; {lost} final run(s) were not finite. Of the {len(best)} "
        f"chosen learning rates {edges[0]} are the smallest and {edges[1]} the largest of the grid. "
        f"Code: {versions['commit']}; torch {versions['torch']}."
    )


def texts(final: pd.DataFrame, search: pd.DataFrame, ablation: pd.DataFrame) -> dict[str, str]:
    """Returns the tables of the first protocol, by the name of their marker."""
    rows = current(final, search)
    variants = list(dict.fromkeys(ablation["method"]))
    of_ablation = {
        f"annotators-first-ablation-{n}": partial(score_table, ablation, ABLATION_DATA, "data", n, s, variants)
        for n, s in {"acc": Score(), "ece": BY_FAMILY["ece"]}.items()
    }
    return {
        "annotators-first-ranks": EMPTY if rows.empty else rank_table(rows),
        **{name: EMPTY if ablation.empty else make() for name, make in of_ablation.items()},
        "annotators-first-rates": rate_table(search),
        "annotators-first-budget": budget(final, search, ablation),
    }


def write() -> None:
    """Fills the study's page."""
    for name, text in texts(read(FINAL_FILE), read(SEARCH_FILE), read(ABLATION_FILE)).items():
        fill(HERE / "README.md", name, text)


def number(value: float, digits: int) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}"

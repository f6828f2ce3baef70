"""Figures from the committed results. Needs matplotlib, the extra ``plots`` of hilmix."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.annotators import statistics
from experiments.annotators.results import ranked_methods, ranking
from experiments.annotators.settings import FAMILIES, GRID_METHODS, REPO
from hilmix.plotting import AMBER, BLUE, GREEN, INK, MUTED, RED, SKY, STYLE

FOLDER = REPO / "docs" / "images"
COLOURS = {
    "hilmix": RED,
    "annot-mix": BLUE,
    "mv": INK,
    "ds-mixup": GREEN,
    "geo-reg-f": AMBER,
    "crowd-layer": "#8a5fa8",
}
"""Methods that a reader should find again in every figure; the others are grey."""
OTHER = "#c4ccd4"
NOISE = ("30", "50", "65")
"""Names of the digits with two labels per item, by about how many of them are wrong."""


def draw(rows: pd.DataFrame, folder: Path = FOLDER) -> list[Path]:
    """Draws every figure that the rows have results for and returns the files written."""
    if rows.empty:
        return []
    with mpl.rc_context(STYLE):
        figures = {"noise": noise_figure(rows), "ranks": rank_figure(rows), "calibration": calibration_figure(rows)}
    written = []
    for name, figure in figures.items():
        if figure is not None:
            path = folder / f"annotators-{name}.png"
            figure.savefig(path, dpi=150, metadata={"Software": None})  # the same bytes from the same results
            written.append(path)
    return written


def noise_figure(rows: pd.DataFrame) -> Figure | None:
    """Accuracy against the share of wrong votes: digits, errors by class and by item."""
    kinds = {kind: [f"digits-{kind}-{level}" for level in NOISE] for kind in ("class", "instance")}
    kinds = {kind: names for kind, names in kinds.items() if set(names) <= set(rows["data"])}
    if not kinds:
        return None
    figure = Figure(figsize=(4.6 * len(kinds), 4.0), layout="constrained")
    for axes, (kind, names) in zip(np.atleast_1d(figure.subplots(1, len(kinds))), kinds.items(), strict=True):
        found = rows[rows["data"].isin(names)]
        mean = 100 * found.groupby(["method", "data"])[["acc", "wrong_votes"]].mean()
        ends = {}
        for method in _grey_first(ranked_methods(found)):
            line = mean.loc[method].sort_values("wrong_votes")
            colour, strong = COLOURS.get(method, OTHER), method in COLOURS
            axes.plot(line["wrong_votes"], line["acc"], color=colour, lw=1.8 if strong else 1.0, marker="o", ms=3.5)
            if strong:
                ends[method] = line["acc"].iloc[-1]
        _label_ends(axes, ends, mean["wrong_votes"].max())
        axes.set(title=FAMILIES[f"digits-{kind}"].title, xlabel="wrong votes, %", ylabel="test accuracy, %")
        axes.grid(axis="y")
    return figure


def rank_figure(rows: pd.DataFrame) -> Figure | None:
    """Mean rank of every method, the range that Nemenyi's test cannot distinguish from the best shaded."""
    found = ranking(rows)
    if found is None:
        return None
    order = found.mean_ranks.sort_values(kind="stable")
    difference = statistics.critical_difference(len(order), len(found.scores))
    figure = Figure(figsize=(6.4, 0.9 + 0.27 * len(order)), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(order))
    axes.axvspan(order.iloc[0], order.iloc[0] + difference, color=SKY, alpha=0.35, lw=0)
    axes.hlines(place, order.iloc[0], order, color=OTHER, lw=1)
    for y, (method, rank) in zip(place, order.items(), strict=True):
        colour = COLOURS.get(str(method), MUTED)
        differs = found.p[method] <= 0.05
        axes.plot(rank, y, "o", ms=7, mec=colour, mfc=colour if differs or method == found.control else "white")
        axes.annotate(f"{rank:.1f}", (rank, y), (8, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(place, list(order.index))
    axes.invert_yaxis()
    axes.set_xlim(0.7, max(order.max(), order.iloc[0] + difference) + 0.8)
    axes.set_xlabel(
        f"mean rank of the test accuracy on {len(found.scores)} data sets\n"
        "shaded: within Nemenyi's critical difference of the best\n"
        f"filled: {found.control} and what differs from it (Holm, 5 %)",
        fontsize=8,
    )
    axes.set_title("Mean ranks")
    return figure


def calibration_figure(rows: pd.DataFrame) -> Figure | None:
    """Accuracy against calibration error, a panel for each family."""
    families = [family for family in FAMILIES if family in set(rows["family"])]
    if not families:
        return None
    wide = min(3, len(families))
    high = -(-len(families) // wide)
    figure = Figure(figsize=(3.3 * wide, 2.7 * high + 0.4), layout="constrained")
    panels = np.atleast_1d(figure.subplots(high, wide, squeeze=False)).ravel()
    for axes, family in zip(panels, families, strict=False):
        seeds = 100 * rows[rows["family"] == family].groupby(["method", "seed"])[["ece", "acc"]].mean()
        mean, std = seeds.groupby("method").mean(), seeds.groupby("method").std()
        for method in _grey_first(ranked_methods(rows[rows["family"] == family])):
            axes.errorbar(
                *mean.loc[method],
                xerr=std.loc[method, "ece"],
                yerr=std.loc[method, "acc"],
                fmt="o",
                ms=4.5,
                lw=0.8,
                color=COLOURS.get(method, OTHER),
            )
        axes.set(title=FAMILIES[family].title, xlabel="ECE, %", ylabel="accuracy, %")
        axes.grid()
    for axes in panels[len(families) :]:
        axes.set_axis_off()
    shown = [method for method in COLOURS if method in set(rows["method"])]
    handles = [mpl.lines.Line2D([], [], marker="o", ls="", color=c) for c in [*map(COLOURS.get, shown), OTHER]]
    figure.legend(handles, [*shown, "other methods"], loc="outside lower center", ncols=len(handles), fontsize=8)
    return figure


def _grey_first(methods: list[str]) -> list[str]:
    """Coloured methods last, so that they lie on top."""
    return sorted(methods, key=lambda method: (method in COLOURS, GRID_METHODS.index(method)))


def _label_ends(axes: Axes, ends: dict[str, float], x: float) -> None:
    """Names lines at their right ends, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    gap, floor = 0.05 * (high - low), -np.inf
    for method, y in sorted(ends.items(), key=lambda end: end[1]):
        floor = max(y, floor + gap)
        axes.annotate(method, (x, y), (x + 1.2, floor), color=COLOURS[method], va="center", fontsize=8)
    axes.margins(x=0.05)
    left, right = axes.get_xlim()
    axes.set_xlim(left, right + 0.28 * (right - left))  # room for the names

"""Figures of what participants see: relabelling curves, confidence, midpoints."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from hilmix.human.functional.perception import CURVES
from hilmix.human.report.frame import ALL, build_answer_frame
from hilmix.human.report.summary import Studies, Summary
from hilmix.plotting import AMBER, BLUE, GREEN, INK, MUTED, RED, SKY, blank_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWN = (
    ("logit", "likelihood", BLUE, "-"),
    ("probit", "likelihood", GREEN, (0, (1, 1.2))),
    ("logistic", "squares", AMBER, (0, (5, 1.5))),
)
"""Fits that the figure shows, each by the criterion that hilmix takes its constants from."""
_FINEST = 0.05
"""Width of bars where answers are finer than this."""
_MEASURES = {
    "one_sidedness": ("one-sidedness", "|2h - 1|, h the answer"),
    "absolute_deviation": ("deviation", "|h - generating weight|"),
}
_DIAGONAL: dict[str, Any] = {"color": MUTED, "linestyle": (0, (4, 3)), "linewidth": 1, "zorder": 1}


def draw_relabelling_figure(studies: Studies, summary: Summary) -> "Figure":
    """Draws single answers, their means with intervals and the fitted curves against the diagonal; beside it, what is
    left of them above and below the diagonal."""
    figure = blank_figure(8.4, 4.4)
    left, right = figure.subplots(1, 2)
    points = _by_weight(summary.tables["weights"], "answer")
    frame = build_answer_frame(studies["infer"])
    left.plot([0, 1], [0, 1], label="as mixed", **_DIAGONAL)
    # Answers at five weights would lie on five lines; a fixed seed keeps the figure the same.
    shift = np.random.default_rng(0).uniform(-0.018, 0.018, len(frame))
    left.scatter(frame["generating_weight"] + shift, frame["answer"], s=3, color=SKY, alpha=0.35, linewidths=0)
    right.axhline(0, **_DIAGONAL)
    grid = np.linspace(0.005, 0.995, 199)
    for kind, criterion, color, dashes in DRAWN:
        curve = _curve(summary, kind, criterion, grid)
        if curve is not None:
            left.plot(grid, curve, color=color, linestyle=dashes, linewidth=1.6, label=f"{kind} ({criterion})")
            right.plot(grid, curve - grid, color=color, linestyle=dashes, linewidth=1.6)
    _errors(left, points, label=f"mean, {100 * summary.level:g} % interval")
    _errors(right, points, less=points["weight"])
    left.set(
        xlim=(0, 1),
        ylim=(-0.01, 1.01),
        xlabel="generating weight of image 1",
        ylabel="seen weight of image 1",
        title="Relabelling curve",
    )
    right.set(
        xlim=(0, 1), xlabel="generating weight of image 1", ylabel="seen less generating", title="Deviation of the mean"
    )
    right.grid(linewidth=0.6)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    return figure


def _by_weight(weights: pd.DataFrame, quantity: str) -> pd.DataFrame:
    rows = weights[(weights["study"] == "infer") & (weights["quantity"] == quantity) & (weights["group"] != ALL)]
    return rows.assign(weight=rows["group"].astype(float))


def _curve(summary: Summary, kind: Any, criterion: str, grid: np.ndarray) -> np.ndarray | None:
    """The fitted curve, or None where the answers did not determine it."""
    if "curves" not in summary.tables:
        return None
    table = summary.tables["curves"]
    fit = table[table["quantity"].str.startswith(f"{kind}_") & (table["group"] == criterion)]
    return None if fit.empty else CURVES[kind](torch.tensor(grid), *fit["value"].tolist()).numpy()


def _errors(axis: "Axes", points: pd.DataFrame, *, less: Any = 0.0, x: str = "weight", **keywords: Any) -> None:
    value = points["value"]
    ends = np.nan_to_num(np.stack([value - points["low"], points["high"] - value]))
    axis.errorbar(
        points[x],
        value - less,
        ends,
        **{"fmt": "o", "color": INK, "markersize": 4.5, "capsize": 3, "elinewidth": 1.2, "zorder": 5, **keywords},
    )


def draw_confidence_figure(studies: Studies, summary: Summary) -> "Figure":
    """Draws mean confidence by generating weight, by one-sidedness of the answer and by deviation from the weight.
    Grey numbers count answers."""
    figure = blank_figure(9.6, 3.6)
    axes = figure.subplots(1, 3, sharey=True)
    points = _by_weight(summary.tables["weights"], "confidence")
    _errors(axes[0], points)
    axes[0].set(
        xlabel="generating weight of image 1",
        ylabel=f"mean confidence, {100 * summary.level:g} % interval",
        title="By weight",
    )
    bins = summary.tables["confidence_bins"]
    for axis, (measure, (name, label)), color in zip(axes[1:], _MEASURES.items(), (BLUE, RED), strict=True):
        part = bins[bins["measure"] == measure].assign(middle=lambda t: (t["bin_low"] + t["bin_high"]) / 2)
        _errors(axis, part, x="middle", color=color)
        for row in part.itertuples():
            axis.annotate(f"{row.n:,}", (row.middle, 0.03), ha="center", fontsize=7.5, color=MUTED)
        axis.set(xlabel=label, title=f"By {name}{_correlation(summary, measure)}")
    for row in points.itertuples():
        axes[0].annotate(f"{row.n:,}", (row.weight, 0.03), ha="center", fontsize=7.5, color=MUTED)
    for axis in axes:
        axis.set(xlim=(-0.04, 1.04), ylim=(0, 1))
        axis.grid(linewidth=0.6)
    figure.supxlabel("grey: number of answers", fontsize=8, color=MUTED)
    return figure


def _correlation(summary: Summary, measure: str) -> str:
    if "confidence" not in summary.tables:
        return ""
    table = summary.tables["confidence"]
    row = table[(table["group"] == measure) & (table["quantity"] == "correlation")].iloc[0]
    return f", r = {row['value']:.2f}"


def draw_midpoint_figure(studies: Studies, summary: Summary) -> "Figure":
    """Draws which weights participants chose as half of each, by start value where there is one, with the mean."""
    shown = [study for task, study in studies.items() if task in ("construct", "select")]
    figure = blank_figure(4.3 * len(shown), 3.6)
    table = summary.tables["midpoints"]
    for axis, study in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        frame = build_answer_frame(study)
        # Bars as wide as the steps that were offered, without float noise between equal answers.
        steps = np.diff(np.unique(frame["answer"].round(9)))
        step = max(steps.min(), _FINEST) if len(steps) else 0.1
        frame["answer"] = (frame["answer"] / step).round()
        chosen = np.unique(frame["answer"])
        starts = np.unique(frame["start"].dropna())
        parts = [(f"start at {s:g}", frame[frame["start"] == s]) for s in starts] or [("all", frame)]
        width = 0.85 * step / len(parts)
        for k, (label, part) in enumerate(parts):
            share = np.array([(part["answer"] == value).mean() for value in chosen])
            axis.bar(
                chosen * step + (k - (len(parts) - 1) / 2) * width,
                share,
                width,
                color=(BLUE, SKY, GREEN)[k % 3],
                label=label,
            )
        mean = table.query("study == @study.task and quantity == 'midpoint' and group == 'all'").iloc[0]
        axis.axvspan(mean["low"], mean["high"], color=RED, alpha=0.2, linewidth=0, zorder=0)
        axis.axvline(mean["value"], color=RED, linewidth=1.2, label=f"mean {mean['value']:.3f}")
        axis.set(
            title=study.task,
            xlabel="weight of image 1 that shows half of each",
            ylabel="share of answers",
            xlim=(-0.06, 1.06),
        )
        axis.legend(fontsize=8)
    return figure

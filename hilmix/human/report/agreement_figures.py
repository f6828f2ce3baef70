"""Figures of agreement, repeats, classes and labels."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hilmix.human.report.agreement import find_repeat_pairs
from hilmix.human.report.categorical import RULES, build_label_frame
from hilmix.human.report.frame import ALL, build_answer_frame
from hilmix.human.report.summary import Studies, Summary
from hilmix.names import figure_text, short_names
from hilmix.plotting import AMBER, BLUE, GREEN, INK, MUTED, RED, SKY, blank_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {"construct": GREEN, "select": AMBER, "infer": BLUE, "categorical": RED}
_MANY_CLASSES = 25
_LEGIBLE_NAME = 24
"""Characters of a class beside an axis."""
_LEGIBLE = 0.04
"""Share of a bar below which no number fits into it."""


def draw_reliability_figure(studies: Studies, summary: Summary) -> "Figure":
    """Draws the agreement of two participants (ICC with interval), and second answers against first ones."""
    repeated = [task for task, study in studies.items() if study.judgments.repeat.any()]
    # Two rows of panels at most; -(-n // 2) rounds up.
    columns = -(-len(repeated) // 2)
    figure = blank_figure(4.4 + 2.6 * columns, 5.4 if len(repeated) > 1 else 3.2)
    left, right = figure.subfigures(1, 2, width_ratios=[4.4, max(2.6 * columns, 0.1)], squeeze=False)[0]
    axis = left.subplots()
    table = summary.tables["agreement"].query("quantity == 'icc_single'")
    # One clamp rule, or every measure of labels would be drawn twice. Reversed, as axes count upwards.
    table = table[~table["group"].str.startswith("cifar10s_")].iloc[::-1]
    names = [
        f"{study}: {group.removeprefix('hmix_').replace('_', ' ').replace('image1', 'on image 1')}"
        for study, group in zip(table["study"], table["group"], strict=True)
    ]
    _intervals(axis, table, np.arange(len(table)), [_COLORS[task] for task in table["study"]])
    axis.axvline(0, color=MUTED, linewidth=0.8)
    axis.set_yticks(range(len(names)), list(map(figure_text, names)))
    axis.set(title="Agreement of two participants", xlabel=f"ICC(1), {100 * summary.level:g} % interval")
    axis.grid(axis="x", linewidth=0.6)
    if repeated:
        cells = right.subplots(min(len(repeated), 2), columns, squeeze=False).flat
        for cell, task in zip(cells, repeated, strict=False):
            _repeat_panel(cell, studies, summary, task)
        for cell in cells[len(repeated) :]:
            cell.set_axis_off()
    return figure


def _repeat_panel(axis: "Axes", studies: Studies, summary: Summary, task: str) -> None:
    study = studies[task]  # type: ignore[index]
    categorical = task == "categorical"
    measure = "hmix_off_endpoints" if categorical else "answer"
    pairs = find_repeat_pairs(build_label_frame(study) if categorical else build_answer_frame(study, repeats=True))
    axis.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
    # Answers lie on a grid and hide each other: areas count them.
    dots = pairs.groupby([measure, f"{measure}_again"]).size().reset_index(name="pairs")
    axis.scatter(
        dots[measure],
        dots[f"{measure}_again"],
        s=12 * dots["pairs"],
        color=_COLORS[task],
        alpha=0.6,
        edgecolors="white",
        linewidths=0.5,
    )
    found = summary.tables["repeats"].query("study == @task and quantity == 'correlation' and group == @measure")
    value = found["value"].iloc[0] if len(found) else np.nan
    what = "mass off the endpoints" if categorical else "answer"
    axis.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal", xlabel=f"first {what}", ylabel="second")
    axis.set_title(f"{task}\nr = {value:.2f}, {len(pairs)} pairs", fontsize=9)


def _intervals(axis: "Axes", table: pd.DataFrame, place: np.ndarray, colors: list[str]) -> None:
    for y, color, row in zip(place, colors, table.itertuples(), strict=True):
        axis.plot([row.low, row.high], [y, y], color=color, linewidth=2, solid_capstyle="butt")
        axis.plot(row.value, y, "o", color=color, markersize=5)


def draw_strength_figure(studies: Studies, summary: Summary) -> "Figure":
    """Draws the strength of each class with intervals, one colour per study, in the order of the largest study."""
    table = summary.tables["class_strengths"]
    largest = table.groupby("study")["n"].sum().idxmax()
    order = table[table["study"] == largest].sort_values("value")["group"].tolist()
    order += [name for name in table["group"].unique() if name not in order]
    tasks = table["study"].unique()
    figure = blank_figure(5.6, 0.9 + 0.34 * len(order))
    axis = figure.subplots()
    for k, task in enumerate(tasks):
        part = table[table["study"] == task]
        place = np.array([order.index(name) for name in part["group"]]) + 0.22 * ((len(tasks) - 1) / 2 - k)
        _intervals(axis, part, place, [_COLORS[task]] * len(part))
        axis.plot([], [], "o-", color=_COLORS[task], linewidth=2, markersize=5, label=task)
    axis.axvline(0, color=MUTED, linewidth=0.8)
    axis.set_yticks(range(len(order)), list(map(figure_text, short_names(order, _LEGIBLE_NAME))))
    axis.set(
        title="Class strengths", xlabel=f"seen that much further towards the class ({100 * summary.level:g} % interval)"
    )
    axis.grid(axis="x", linewidth=0.6)
    axis.legend(fontsize=8, loc="lower right")
    return figure


def draw_pair_figure(studies: Studies, summary: Summary) -> "Figure":
    """Draws the shrunk mean deviation of each pair of classes, towards the class of the row; one panel per study."""
    table = summary.tables["label_pairs"]
    tasks = list(table["study"].unique())
    # A colour scale needs a range, also where all deviations are 0.
    limit = max(float(table["shrunk"].abs().max()), 1e-9)
    figure = blank_figure(3.9 * len(tasks) + 0.6, 4.0)
    axes = figure.subplots(1, len(tasks), squeeze=False)[0]
    for axis, task in zip(axes, tasks, strict=True):
        part = table[table["study"] == task]
        classes = studies[task].classes
        used = [name for name in classes if name in {*part["class1"], *part["class2"]}]
        grid = np.full((len(used), len(used)), np.nan)
        first, second = (part[c].map(used.index).to_numpy() for c in ("class1", "class2"))
        grid[first, second], grid[second, first] = part["shrunk"], -part["shrunk"]
        shown = axis.imshow(grid, cmap="RdBu", vmin=-limit, vmax=limit)
        few = len(used) <= _MANY_CLASSES
        names = [figure_text(name) for name in short_names(used, _LEGIBLE_NAME)] if few else []
        axis.set_xticks(range(len(names)), names, rotation=90, fontsize=7.5)
        axis.set_yticks(range(len(names)), names, fontsize=7.5)
        axis.tick_params(length=0)
        axis.set(title=task, xlabel="mixed with")
    axes[0].set_ylabel("class")
    figure.colorbar(shown, ax=list(axes), shrink=0.75, label="towards the class of the row (shrunk)")
    return figure


def draw_label_figure(studies: Studies, summary: Summary) -> "Figure":
    """Draws where the mass of the labels lies by generating weight, and the entropy of the labels beside that of mixup,
    under both clamp rules."""
    table = summary.tables["labels"]
    table = table[table["group"] != ALL]
    weights = list(dict.fromkeys(table["group"]))
    figure = blank_figure(9.0, 3.7)
    axes = figure.subplots(1, len(RULES) + 1)
    # Not strict: the last axis is for entropies.
    for axis, rule in zip(axes, RULES, strict=False):
        bottom = np.zeros(len(weights))
        for part, color, label in (
            ("image1", BLUE, "class of image 1"),
            ("image2", SKY, "class of image 2"),
            ("off_endpoints", RED, "other classes"),
        ):
            share = table[table["quantity"] == f"{rule}_{part}"]["value"].to_numpy()
            axis.bar(weights, share, bottom=bottom, color=color, label=label, width=0.7)
            middle = bottom + share / 2
            for x, y, value in zip(range(len(weights)), middle, share, strict=True):
                dark = part != "image2"
                if value < _LEGIBLE:
                    continue
                axis.text(x, y, f"{value:.0%}", ha="center", va="center", fontsize=7.5, color="white" if dark else INK)
            bottom += share
        axis.set(title=f"Mass, {rule} rule", xlabel="generating weight of image 1", ylim=(0, 1))
    axes[0].set_ylabel("mean mass")
    _entropy_panel(axes[-1], table, weights, summary.level)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _entropy_panel(axis: "Axes", table: pd.DataFrame, weights: list[str], level: float) -> None:
    for k, (name, color) in enumerate((("hmix", BLUE), ("cifar10s", GREEN), ("mixup", MUTED))):
        part = table[table["quantity"] == f"{name}_entropy"]
        place = np.arange(len(weights)) + 0.12 * (k - 1)
        # Intervals of one participant are NaN: bars of length 0.
        ends = np.nan_to_num(np.stack([part["value"] - part["low"], part["high"] - part["value"]]))
        axis.errorbar(
            place,
            part["value"],
            None if name == "mixup" else ends,
            fmt="o",
            color=color,
            markersize=5,
            capsize=3,
            label=name if name == "mixup" else f"{name} rule",
        )
    axis.set_xticks(range(len(weights)), weights)
    axis.set(
        title=f"Entropy, {100 * level:g} % interval",
        xlabel="generating weight of image 1",
        ylabel="nats",
        ylim=(0, None),
    )
    axis.grid(axis="y", linewidth=0.6)
    axis.legend(fontsize=8)

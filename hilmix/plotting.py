"""Figures: reliability diagrams, suspicious items, annotators, training curves. Needs the extra ``plots``.

Every function returns a matplotlib ``Figure`` that belongs to no window and no global state.
"""

import importlib.util
import logging
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.functional.calibration import Bins
from hilmix.names import figure_text, fold_name, short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

INK, MUTED, GRID = "#22303c", "#6b7785", "#e3e7ec"
BLUE, SKY, RED, GREEN, AMBER = "#2f6db3", "#a9c7e8", "#c8443c", "#2e8b6a", "#d98f24"
__all__ = [
    "AMBER",
    "BLUE",
    "GRID",
    "INK",
    "STYLE",
    "AnnotatorPanel",
    "Reliability",
    "Thumbnail",
    "annotator_figure",
    "blank_figure",
    "reliability_diagram",
    "thumbnail_sheet",
    "training_curves",
]
CURVES = ("loss", "acc", "nll", "ece", "brier", "agreement", "annotator_auroc")
"""Quantities whose curves come first."""
_INCH = 156
"""Characters times points that fit below a thumbnail."""
STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "legend.frameon": False,
}


def available() -> bool:
    """Returns whether matplotlib is installed."""
    # Looks for it without importing it.
    return importlib.util.find_spec("matplotlib") is not None


@cache
def explain_absence() -> None:
    """Says once per process why there are no figures."""
    log.warning(
        "Figures are skipped, data files are written: matplotlib is not installed (pip install 'hilmix[plots]')."
    )


class Reliability(NamedTuple):
    """One column of a reliability figure."""

    title: str
    bins: Bins
    """(bins,) sums."""
    note: str = ""
    """Scores, shown inside the panel."""
    xlabel: str = "confidence"
    ylabel: str = "accuracy"


def reliability_diagram(panels: Sequence[Reliability], title: str) -> "Figure":
    """Draws accuracy against confidence with the gap to perfect calibration, and the histogram of confidence below."""
    with styled():
        figure = blank_figure(3.3 * len(panels) + 0.3, 4.4)
        axes = figure.subplots(2, len(panels), squeeze=False, sharex=True, height_ratios=[3.4, 1])
        for (top, bottom), panel in zip(axes.T, panels, strict=True):
            _reliability_panel(top, bottom, panel)
        handles = {label: handle for handle, label in zip(*axes[0, 0].get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), fontsize=8)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def _reliability_panel(top: "Axes", bottom: "Axes", panel: Reliability) -> None:
    samples, confidence, correct = (np.asarray(sums, dtype=np.float64) for sums in panel.bins)
    width = 1 / len(samples)
    edges = np.arange(len(samples)) * width
    filled = samples > 0
    accuracy, mean = correct[filled] / samples[filled], confidence[filled] / samples[filled]
    bar: dict[str, Any] = {"width": width, "align": "edge", "linewidth": 0.6, "edgecolor": "white"}
    lower, x = np.minimum(accuracy, mean), edges[filled]
    top.bar(x, lower, color=BLUE, label=panel.ylabel, **bar)
    top.bar(x, np.maximum(mean - accuracy, 0), bottom=lower, color=RED, alpha=0.4, label="too confident", **bar)
    top.bar(x, np.maximum(accuracy - mean, 0), bottom=lower, color=SKY, label="not confident enough", **bar)
    top.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    top.set(xlim=(0, 1), ylim=(0, 1.001), title=panel.title, ylabel=panel.ylabel)
    paper = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5}  # bars may reach behind the note
    top.text(0.04, 0.96, panel.note, transform=top.transAxes, va="top", fontsize=8.5, linespacing=1.5, bbox=paper)
    share = samples / max(samples.sum(), 1)
    bottom.bar(edges, share, color=MUTED, alpha=0.6, **bar)
    # matplotlib warns of an axis from 0 to 0.
    bottom.set(xlabel=panel.xlabel, ylabel="share", ylim=(0, max(share.max(), 1e-9) * 1.15))


class Thumbnail(NamedTuple):
    """One item of a sheet."""

    image: NDArray[np.uint8]
    """(H, W) or (H, W, C)."""
    given_label: str
    """In red."""
    suggested: str
    """In green."""
    detail: str = ""


def thumbnail_sheet(thumbnails: Sequence[Thumbnail], title: str, *, columns: int = 8) -> "Figure":
    """Draws suspicious items with the label given (red) and the class that the model suggests (green)."""
    with styled():
        columns = min(columns, len(thumbnails))
        rows = -(-len(thumbnails) // columns)
        captions = [_caption_lines(item) for item in thumbnails]
        cell, caption, head = 1.35, 0.125 + 0.165 * max(3, *map(len, captions)), 0.45  # inches
        width, height = max(cell * columns, 5.0), rows * (cell + caption) + head
        # Placed by hand: the layout engine draws every text to measure it, which takes seconds for a sheet of captions.
        figure = blank_figure(width, height, layout=None)
        for i, (item, lines) in enumerate(zip(thumbnails, captions, strict=True)):
            left, row = (i % columns) * cell + 0.06, i // columns
            bottom = height - head - row * (cell + caption) - cell
            box = (left / width, bottom / height, (cell - 0.12) / width, (cell - 0.12) / height)
            axis = figure.add_axes(box)
            axis.imshow(item.image, cmap="gray", interpolation="nearest")
            axis.set_axis_off()
            for line, (text, color, size) in enumerate(lines):
                y = (bottom - 0.05 - 0.165 * line) / height
                figure.text(left / width, y, figure_text(text), color=color, fontsize=size, va="top")
        figure.text(0.06 / width, 1 - 0.12 / height, title, va="top", fontsize=11)
    return figure


def _caption_lines(item: Thumbnail) -> list[tuple[str, str, float]]:
    """Text, colour and size of each line."""
    parts = ((item.given_label, RED, 8.0), (item.suggested, GREEN, 8.0), (item.detail, MUTED, 6.5))
    return [(line, color, size) for text, color, size in parts for line in fold_name(text, round(_INCH / size))]


class AnnotatorPanel(NamedTuple):
    """One confusion matrix of an annotator figure."""

    title: str
    confusion: NDArray[np.floating]
    """(K, K), rows = true class; NaN rows are left blank."""


def annotator_figure(
    table: pd.DataFrame, panels: Sequence[AnnotatorPanel], classes: Sequence[str], title: str
) -> "Figure":
    """Draws accuracies (estimated against true where truth is known) and confusion matrices of chosen annotators.

    Args:
        table: one row per annotator: ``labels``, ``estimated_accuracy``, ``true_accuracy`` (NaN where unknown).
        panels: up to six matrices.
        classes: K names.
        title: of the figure.
    """
    with styled():
        columns = -(-len(panels) // 2) if panels else 0
        figure = blank_figure(4.2 + 2.6 * columns, 5.0)
        parts = figure.subfigures(1, 2, width_ratios=[4.2, max(2.6 * columns, 0.1)], squeeze=False)[0]
        _accuracy_panel(parts[0].subplots(), table)
        if panels:
            cells = parts[1].subplots(2, columns, squeeze=False)
            for axis in cells.flat[len(panels) :]:
                axis.set_axis_off()
            for axis, panel in zip(cells.flat, panels, strict=False):
                shown = axis.imshow(panel.confusion, vmin=0, vmax=1, cmap="Blues")
                axis.set_title("\n".join(map(figure_text, fold_name(panel.title, 26))), fontsize=8.5)
                _class_ticks(axis, classes)
            parts[1].supxlabel("label", fontsize=9, color=MUTED)
            parts[1].supylabel("true class", fontsize=9, color=MUTED)
            parts[1].colorbar(shown, ax=cells, shrink=0.6, label="p(label | true)")
        figure.suptitle(figure_text(title), x=0.01, ha="left", fontsize=11)
    return figure


def _accuracy_panel(axis: "Axes", table: pd.DataFrame) -> None:
    estimated, true = table["estimated_accuracy"].to_numpy(), table["true_accuracy"].to_numpy()
    dots: dict[str, Any] = {"color": BLUE, "alpha": 0.7, "linewidths": 0.6, "edgecolors": "white"}
    # The area of a dot grows with its labels, so its side with their root.
    size = 14 + 60 * np.sqrt(table["labels"] / max(table["labels"].max(), 1))
    if np.isfinite(true).any():
        low = max(0.0, np.nanmin([np.nanmin(estimated), np.nanmin(true)]) - 0.06)
        axis.plot([low, 1], [low, 1], color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
        axis.scatter(true, estimated, s=size, **dots)
        axis.set(xlim=(low, 1.01), ylim=(low, 1.01), xlabel="true accuracy", title="Accuracy of annotators")
    else:
        order = np.argsort(estimated)
        axis.scatter(np.arange(len(order)), estimated[order], s=size.to_numpy()[order], **dots)
        axis.set(xlabel="annotators, worst first", title="Estimated accuracy (no truth known)", ylim=(0, 1.01))
        axis.locator_params(axis="x", integer=True)
    axis.set_ylabel("estimated accuracy (area: labels)")
    axis.grid(linewidth=0.6)


def training_curves(metrics: pd.DataFrame) -> "Figure | None":
    """Draws what a run logged per epoch, one panel per quantity, at most eight; None if there is nothing to draw.

    Args:
        metrics: Lightning's ``metrics.csv``.
    """
    metrics = metrics.dropna(subset=["epoch"]) if "epoch" in metrics else metrics.head(0)
    panels: dict[str, list[str]] = {}
    for column in metrics.columns:
        stage, _, name = str(column).partition("/")
        if stage in ("train", "val") and name and metrics[column].notna().any():
            panels.setdefault(name, []).append(column)
    shown = sorted(panels, key=lambda name: (CURVES.index(name) if name in CURVES else len(CURVES), name))[:8]
    if not shown:
        return None
    with styled():
        columns = min(4, len(shown))
        rows = -(-len(shown) // columns)
        figure = blank_figure(3.0 * columns, 2.3 * rows)
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axis, name in zip(axes, shown, strict=False):
            for column in panels[name]:
                values = metrics.groupby("epoch")[column].last().dropna()
                stage = str(column).partition("/")[0]
                marker = "o" if len(values) < 3 else None
                axis.plot(values.index, values, color=BLUE if stage == "val" else AMBER, label=stage, marker=marker)
            axis.set_title(figure_text(name))
            axis.grid(linewidth=0.6)
            axis.legend(fontsize=8)
            axis.set_xlabel("epoch")
            axis.locator_params(axis="x", integer=True)
        for axis in axes[len(shown) :]:
            axis.set_axis_off()
    return figure


def _class_ticks(axis: "Axes", classes: Sequence[str]) -> None:
    if len(classes) > 12:
        axis.set(xticks=[], yticks=[])
        return
    names = [figure_text(name) for name in short_names(classes, 9)]
    axis.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 2 else 0, fontsize=6.5)
    axis.set_yticks(range(len(names)), names, fontsize=6.5)
    axis.tick_params(length=0)


def blank_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> "Figure":
    """Returns an empty figure, width and height in inches."""
    from matplotlib.figure import Figure

    # Not by pyplot, which keeps every figure alive and chooses a window system.
    return Figure(figsize=(width, height), layout=layout, dpi=150)


def styled() -> Any:
    """Returns the context in which figures of hilmix are drawn."""
    from matplotlib import rc_context

    # A context, so that a user's own figures in the same process keep their style.
    return rc_context(STYLE)

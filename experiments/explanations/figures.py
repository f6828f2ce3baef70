"""Figures from the results files, and saliency maps of two networks that are trained for them."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.annotators.train import quiet
from experiments.explanations.published import NAMES
from experiments.explanations.results import chosen, current, has_search, in_grid, read
from experiments.explanations.settings import (
    DATA,
    EXACT,
    FINAL_FILE,
    HERE,
    MASK_DATA,
    MASK_METHODS,
    MASKS_FILE,
    METHODS,
    SEARCH_FILE,
    SHARES,
    TWICE,
    parse,
)
from experiments.explanations.tables import case_rows
from experiments.explanations.train import RADII, Job, trained
from hilmix.functional.inputs import as_float
from hilmix.plotting import AMBER, BLUE, GREEN, INK, MUTED, RED, STYLE

COLOURS = {
    "erm": INK,
    "group_dro": MUTED,
    "rrr": GREEN,
    "rrr_log": "#7cc08a",
    "cdep": "#b49a5a",
    "avg_ex": AMBER,
    "pgd_ex": BLUE,
    "ibp_ex": "#8a5fa8",
    "r4": "#5aa0a0",
    "pgd_ex+rrr": RED,
    "pgd_ex+rrr_log": "#8c2f39",
    "ibp_ex+rrr": "#d77fa1",
}
SALIENCY_DATA, SALIENCY_METHODS, SHOWN = "decoy-mnist-10k", ("erm", "pgd_ex+rrr"), 5
WORST = "best_test_worst_group_acc"


def draw() -> None:
    """Draws every figure that there are results for, into the folder of the study."""
    search, masks = read(SEARCH_FILE), read(MASKS_FILE)
    final = current(read(FINAL_FILE), search)
    with mpl.rc_context(STYLE):
        figures = {
            "epsilon": epsilon_figure(final, search),
            "shares": share_figure(masks, search),
            "saliency": saliency_figure(search),
        }
    for name, figure in figures.items():
        if figure is not None:
            figure.savefig(HERE / f"{name}.png", dpi=150, metadata={"Software": None})


def epsilon_figure(final: pd.DataFrame, search: pd.DataFrame) -> Figure | None:
    """Accuracy under attacks inside the masks, and what the radius of training does to the worst group."""
    data = [name for name in ("decoy-mnist", "decoy-digits") if name in set(final["data"])]
    if not data:
        return None
    figure = Figure(figsize=(8.6, 3.3 * len(data) + 0.5), layout="constrained")
    for (left, right), name in zip(figure.subplots(len(data), 2, squeeze=False), data, strict=True):
        _attacks(left, final[final["data"] == name])
        left.set(title=DATA[name].title, xlabel="largest change of marked pixels, std", ylabel="test accuracy, %")
        _radii(right, search, DATA[name].searched)
        right.set(title="the radii searched", xlabel="radius of training, std", ylabel="worst group, test, %")
    _legend(figure, loc="outside lower center", ncols=5)
    return figure


def _legend(figure: Figure, *, loc: str, ncols: int = 1) -> None:
    """One for all panels, in the order of the methods."""
    shown = {label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    names = [NAMES[method] for method in METHODS if NAMES[method] in shown]
    figure.legend([shown[name] for name in names], names, loc=loc, ncols=ncols, fontsize=8)


def _attacks(axes: Axes, rows: pd.DataFrame) -> None:
    columns = ["test_mean_group_acc", *(f"attacked_{radius:g}" for radius in RADII)]
    for method in [m for m in METHODS if m in set(rows["method"])]:
        mean = 100 * rows.loc[rows["method"] == method, columns].mean()
        axes.plot([0, *RADII], mean, "o-", color=COLOURS[method], ms=3, lw=1.4, label=NAMES[method])
    axes.set_ylim(0, 100)
    axes.grid(axis="y")


def _radii(axes: Axes, search: pd.DataFrame, data: str) -> None:
    """Each method at the best of its other settings on validation, radius by radius."""
    for method in METHODS:
        rows = in_grid(search, data, method, EXACT)
        rows = rows.assign(radius=[parse(setting).get("radius", np.nan) for setting in rows["setting"]]).dropna(
            subset=["radius"]
        )
        if rows.empty:
            continue
        rows = rows.sort_values("best_val_worst_group_acc", ascending=False).drop_duplicates("radius")
        rows = rows.sort_values("radius")
        axes.plot(rows["radius"], 100 * rows[WORST], "o-", color=COLOURS[method], ms=3, lw=1.4, label=NAMES[method])
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 100)
    axes.grid(axis="y")


def share_figure(masks: pd.DataFrame, search: pd.DataFrame) -> Figure | None:
    """Worst-group accuracy against the share of explained images; dashed where they are repeated, or all twice."""
    data = [name for name in MASK_DATA if name in set(masks["data"])]
    if not data:
        return None
    figure = Figure(figsize=(4.6 * len(data) + 1.6, 3.8), layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(data))), data, strict=True):
        own = masks[masks["data"] == name]
        for method in [m for m in MASK_METHODS if has_search(search, name, m) and m in set(own["method"])]:
            setting = chosen(search, name, method)
            for style, suffix in (("o-", ""), ("s--", "repeat")):
                points = [(share, _worst(own, _case_of(share, suffix), method, setting)) for share in (*SHARES, 1.0)]
                shown = np.array([point for point in points if np.isfinite(point[1])]).reshape(-1, 2)
                label = NAMES[method] if not suffix else None
                axes.plot(*shown.T, style, color=COLOURS[method], ms=3.5, lw=1.3, label=label)
        axes.set_xscale("log")
        axes.set_xticks([*SHARES, 1.0], [f"{share:.0%}" for share in (*SHARES, 1.0)])
        axes.minorticks_off()
        axes.set(
            title=DATA[name].title, xlabel="explained training images", ylabel="worst group, test, %", ylim=(0, 100)
        )
        axes.grid(axis="y")
    _legend(figure, loc="outside right")
    return figure


def _case_of(share: float, repeat: str) -> str:
    if share == 1:
        return TWICE if repeat else EXACT
    return f"share={share:g}" + (f" repeat={round(1 / share)}" if repeat else "")


def _worst(masks: pd.DataFrame, case: str, method: str, setting: str) -> float:
    return 100 * float(case_rows(masks, case, method, setting)[WORST].mean())


class Maps(NamedTuple):
    """Maps of one network for some test images."""

    saliency: NDArray[np.float32]
    """(n, H, W)"""
    inside: float
    """Mean share of it inside the masks, over more images."""


def saliency_figure(search: pd.DataFrame) -> Figure | None:
    """Test images, and where the predicted log-probability reacts to a pixel, without and with explanations."""
    if not all(has_search(search, SALIENCY_DATA, method) for method in SALIENCY_METHODS):
        return None
    quiet()
    columns, images = dict[str, Maps](), np.empty(0)
    for method in SALIENCY_METHODS:
        model, data, *_ = trained(Job(SALIENCY_DATA, method, chosen(search, SALIENCY_DATA, method), 0))
        rows = data.rows("test")[:500]
        images = data.data.inputs.fetch(rows[:SHOWN])[:, 0].numpy()
        x = model.standardized(data.data.inputs.fetch(rows)).requires_grad_()
        log_prob = model.head(model.features(x)).log_softmax(1).amax(1)
        (gradient,) = torch.autograd.grad(log_prob.sum(), x)
        assert data.data.masks is not None
        found, mask = gradient.abs().sum(1), as_float(data.data.masks.fetch(rows))[:, 0]
        share = ((found * mask).sum((1, 2)) / found.sum((1, 2)).clamp_min(1e-12)).mean().item()
        columns[method] = Maps(found[:SHOWN].numpy(), share)
    return _map_figure(images, columns)


def _map_figure(images: NDArray[np.uint8], columns: dict[str, Maps]) -> Figure:
    figure = Figure(figsize=(1.35 * SHOWN + 1.4, 1.35 * (1 + len(columns)) + 0.3), layout="constrained")
    grid = figure.subplots(1 + len(columns), SHOWN)
    for axes, image in zip(grid[0], images, strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    grid[0, 0].set_ylabel("test image")
    for line, (method, maps) in zip(grid[1:], columns.items(), strict=True):
        for axes, saliency in zip(line, maps.saliency, strict=True):
            axes.imshow(saliency, cmap="magma", vmin=0, vmax=np.quantile(saliency, 0.995))
        line[0].set_ylabel(f"{NAMES[method]}\n{maps.inside:.0%} in the decoy")
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure

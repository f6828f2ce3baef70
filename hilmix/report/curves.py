"""Figures of a report: calibration with intervals, risk by coverage, training curves."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from hilmix.diagnostics.evaluation import reference_column
from hilmix.functional.uncertainty import (
    risk_coverage_curve,
    smooth_reliability,
    wilson_interval,
)
from hilmix.report import charts
from hilmix.report.run import Run

FULL_BIN = 30
"""Samples from which on a bin is drawn in full; smaller ones are fainter."""
KERNEL = 0.07
"""Width of the kernel of the smooth reliability; half that of a bin would follow single items."""
FIRST = ("loss", "acc", "nll", "ece", "brier", "agreement", "annotator_auroc")
REFERENCES = {"target": "the true classes", "majority": "the majority votes, as no true class is known"}
NAMES = {
    ("class", "before"): "Class probabilities",
    ("class", "after"): "after the temperature",
    ("vote", "before"): "Expected votes",
    ("vote", "after"): "votes after the temperature",
    ("annotator", "before"): "Annotator is right",
}


class Figure(NamedTuple):
    """A chart and what is written around it."""

    title: str
    svg: Markup
    note: str


def reliability_figures(run: Run) -> list[Figure]:
    """Returns a reliability diagram for each kind of prediction: accuracy of the bins with intervals, smooth curve."""
    bins = run.reliability
    if bins is None:
        return []
    bins = bins[bins["split"] == (run.split if (bins["split"] == run.split).any() else "val")]
    kinds = [*bins[["what", "stage"]].drop_duplicates().itertuples(index=False)]
    truth = any(kind.what == "class" for kind in kinds)
    shown = [k for k in kinds if (k.what, k.stage) in NAMES and k.what != ("vote" if truth else "class")]
    return [
        _reliability(run, bins[(bins["what"] == k.what) & (bins["stage"] == k.stage)], k.what, k.stage) for k in shown
    ]


def _reliability(run: Run, bins: pd.DataFrame, what: str, stage: str) -> Figure:
    axes = charts.Axes((0, 1), (0, 1), "confidence", "share right", (True, True))
    edges = np.append(bins["lower"], bins["upper"].iloc[-1])
    filled = bins[bins["samples"] > 0]
    hits = filled["accuracy"] * filled["samples"]
    marks = [
        charts.bars(axes, edges, 0.22 * bins["samples"] / max(bins["samples"].max(), 1), "count"),
        charts.line(axes, [0, 1], [0, 1], "ideal"),
    ]
    table = run.evaluation
    if (what, stage) == ("class", "before") and table is not None and "target" in table:
        known = table[table["target"].notna()]
        right = (known["predicted"].astype(object) == known["target"].astype(object)).to_numpy(dtype=np.float64)
        grid = np.linspace(0, 1, 101)
        # Beside the bins, whose picture changes with their edges: a kernel has none (Blasiok and Nakkiran, 2023).
        curve, near = smooth_reliability(known["confidence"], right, grid, width=KERNEL)
        # Of fewer than five neighbours the curve says nothing.
        curve = np.where(near >= 5, curve, np.nan)
        lower, upper = wilson_interval(np.nan_to_num(curve) * near, near)
        marks += [
            charts.band(axes, grid, np.where(near >= 5, lower, np.nan), np.where(near >= 5, upper, np.nan), "smooth"),
            charts.line(axes, grid, curve, "smooth"),
        ]
    notes = [
        f"{row.samples:,} samples: confidence {row.confidence:.2f}, right {row.accuracy:.2f}"
        for row in filled.itertuples(index=False)
    ]
    weight = np.minimum(filled["samples"] / FULL_BIN, 1)
    ends = wilson_interval(hits, filled["samples"])
    marks.append(charts.intervals(axes, filled["confidence"], filled["accuracy"], ends, weight, notes))
    row = _score(run, what, stage)
    note = (
        ""
        if row is None
        else f"ECE {row['ece']:.3f}, NLL {row['nll']:.3f}, Brier {row['brier']:.3f}, {int(row['samples']):,} samples"
    )
    title = NAMES[what, stage]
    return Figure(title, charts.chart(axes, marks, f"Reliability diagram, {title}: {note}"), note)


def _score(run: Run, what: str, stage: str) -> "pd.Series | None":
    table = run.calibration
    if table is None:
        return None
    table = table[table["split"] == (run.split if (table["split"] == run.split).any() else "val")]
    found = table[(table["what"] == what) & (table["stage"] == stage)]
    return found.iloc[0] if len(found) else None


def risk_figure(run: Run) -> Figure | None:
    """Returns the share of errors among the most confident predictions by the share that is answered."""
    table = run.evaluation
    if table is None or table.empty:
        return None
    column = reference_column(table)
    known = table[table[column].notna()]
    if known.empty:
        return None
    right = (known["predicted"].astype(object) == known[column].astype(object)).to_numpy()
    coverage, risk = risk_coverage_curve(known["confidence"], right)
    samples = np.arange(1, len(risk) + 1)
    lower, upper = wilson_interval(risk * samples, samples)
    # The first few answered items have intervals as wide as the chart.
    start = min(9, len(risk) - 1)
    top = max(0.05, float(upper[start:].max()) * 1.05)
    axes = charts.Axes((0, 1), (0, min(top, 1)), "coverage", "risk", (True, True))
    # More than 200 points cannot be seen, and a test set of a million would make tens of megabytes of path.
    part = np.unique(np.linspace(start, len(risk) - 1, 200).astype(np.int64))
    marks = [
        charts.band(
            axes, coverage[part], np.minimum(lower[part], axes.y[1]), np.minimum(upper[part], axes.y[1]), "smooth"
        ),
        charts.line(axes, [0, 1], [risk[-1]] * 2, "ideal"),
        charts.line(axes, coverage[part], risk[part], "smooth"),
    ]
    half = max(len(risk) // 2, 1)
    errors = risk * samples
    note = (
        f"Of the surer half, {errors[half - 1]:.0f} of {half:,} are wrong; of all, {errors[-1]:.0f} of {len(risk):,}. "
        f"Held against {REFERENCES[column]}."
    )
    return Figure("Risk by coverage", charts.chart(axes, marks, f"Risk by coverage. {note}"), note)


def training_figures(run: Run) -> list[Figure]:
    """Returns what the run logged per epoch, one chart per quantity, at most eight."""
    return [*_training(run)]


def _training(run: Run) -> Iterator[Figure]:
    curves = run.curves
    if curves is None or "epoch" not in curves:
        return
    curves = curves.dropna(subset=["epoch"])
    panels: dict[str, list[str]] = {}
    for column in curves.columns:
        stage, _, name = str(column).partition("/")
        if stage in ("train", "val") and name and curves.groupby("epoch")[column].last().notna().sum() > 1:
            panels.setdefault(name, []).append(column)
    for name in sorted(panels, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))[:8]:
        # A resumed run has the epoch in which it was stopped in both of its logs; the later one counts.
        lines = {column: curves.groupby("epoch")[column].last().dropna() for column in panels[name]}
        values = np.concatenate([one.to_numpy() for one in lines.values()])
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        room = 0.05 * ((values.max() - values.min()) or 1)
        epochs = np.concatenate([one.index.to_numpy() for one in lines.values()])
        axes = charts.Axes(
            (float(epochs.min()), float(epochs.max())), (values.min() - room, values.max() + room), "epoch", ""
        )
        marks = [charts.line(axes, one.index, one, str(column).partition("/")[0]) for column, one in lines.items()]
        last = ", ".join(f"{column.partition('/')[0]} {one.iloc[-1]:.3g}" for column, one in lines.items())
        yield Figure(
            name.replace("_", " "), charts.chart(axes, marks, f"{name} by epoch, at last {last}"), f"at last: {last}"
        )

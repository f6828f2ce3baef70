"""Simulated crowds: accuracy of aggregators by one property of the crowd at a time.

    python -m experiments.aggregation.simulate run      # resumable; about 5 minutes of one core
    python -m experiments.aggregation.simulate table    # also into README.md and docs/aggregation.md, and simulate.png

The middle of the design is 500 items of three equally likely classes, five labels each, by 50 annotators. An annotator
knows an item with the probability whose logit is that of a Beta(4, 2) of their own, plus a standard normal for each
class, plus the item's; otherwise the label is drawn with the chance 1/K of being right, and at least half of the wrong
ones are the next class. One property at a time leaves the middle: labels per item, annotators, classes, the share of
spammers (uniform labels), the share of labels copied from the item's first one, the standard deviation of the items'
logits. Rows of simulate.csv are accuracies in per cent of one crowd, means over ten draws of ties.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import special

from experiments.harness import fill, markdown_table, step_parser
from hilmix.annotations import Annotations
from hilmix.functional.aggregation import aggregate, choose_classes
from hilmix.plotting import AMBER, BLUE, GREEN, INK, MUTED, RED, SKY, blank_figure, styled

HERE = Path(__file__).parent
FILE = HERE / "simulate.csv"
METHODS = ("majority", "wawa", "one-coin", "dawid-skene", "ibcc", "ptbcc", "bwa", "glad", "ensemble")
SHOWN = {
    "wawa": MUTED,
    "one-coin": SKY,
    "dawid-skene": RED,
    "ptbcc": AMBER,
    "bwa": GREEN,
    "glad": BLUE,
    "ensemble": INK,
}
SEEDS = range(4)
TIES = range(10)
ITEMS = 500


class Crowd(NamedTuple):
    """Properties of a simulated crowd."""

    labels: int = 5
    annotators: int = 50
    classes: int = 3
    spammers: float = 0.0
    copies: float = 0.0
    difficulty: float = 0.0


AXES: dict[str, tuple[float, ...]] = {
    "labels": (1, 2, 3, 5, 10, 20),
    "annotators": (5, 20, 50, 200, 500, 2000),
    "classes": (2, 3, 5, 10, 30, 100),
    "spammers": (0.0, 0.2, 0.4, 0.6, 0.8),
    "copies": (0.0, 0.2, 0.4, 0.6, 0.8),
    "difficulty": (0.0, 1.0, 2.0, 3.0),
}
TITLES = {
    "labels": "labels per item",
    "annotators": "annotators",
    "classes": "classes",
    "spammers": "share of spammers",
    "copies": "share of copied labels",
    "difficulty": "spread of items (logits)",
}


def draw(crowd: Crowd, seed: int) -> tuple[Annotations, np.ndarray]:
    """Returns the votes and the (N,) true classes."""
    rng = np.random.default_rng(seed)
    n, k = ITEMS, crowd.classes
    truth = rng.integers(0, k, n)
    skill = special.logit(np.clip(rng.beta(4, 2, crowd.annotators), 0.02, 0.98))
    by_class = skill[:, None] + rng.normal(0, 1, (crowd.annotators, k))
    spams = rng.random(crowd.annotators) < crowd.spammers
    item = np.repeat(np.arange(n), crowd.labels)
    # annotators of an item differ
    annotator = np.concatenate([rng.choice(crowd.annotators, crowd.labels, replace=False) for _ in range(n)])
    easiness = rng.normal(0, crowd.difficulty, n)
    right = 1 / k + (1 - 1 / k) * special.expit(by_class[annotator, truth[item]] + easiness[item])
    step = np.where(rng.random(len(item)) < 0.5, 1, rng.integers(1, k, len(item)) if k > 2 else 1)
    label = np.where(rng.random(len(item)) < right, truth[item], (truth[item] + step) % k)
    label = np.where(spams[annotator], rng.integers(0, k, len(item)), label)
    copied = rng.random(len(item)) < crowd.copies
    label = np.where(copied, label[item * crowd.labels], label)
    return Annotations.build(item, annotator, label, num_items=n, classes=k, annotators=crowd.annotators), truth


def cells() -> Iterator[tuple[str, float, int]]:
    """Property, its value, seed."""
    for axis, values in AXES.items():
        for value in values:
            yield from ((axis, value, seed) for seed in SEEDS)


def run() -> None:
    """Runs the cells that the file lacks, and appends each once it is complete."""
    done = set()
    if FILE.is_file():
        rows = pd.read_csv(FILE)
        done = set(zip(rows["property"], rows["value"], rows["seed"], strict=True))
    for axis, value, seed in cells():
        if (axis, value, seed) in done:
            continue
        whole = axis in ("labels", "annotators", "classes")
        votes, truth = draw(Crowd(**{axis: int(value) if whole else value}), seed)
        rows = []
        for method in METHODS:
            posterior = aggregate(method, votes).posterior
            accuracy = np.mean([(choose_classes(posterior, seed=s).label == truth).mean() for s in TIES])
            rows.append([axis, value, seed, method, round(100 * float(accuracy), 2)])
        frame = pd.DataFrame(rows, columns=["property", "value", "seed", "method", "accuracy"])
        frame.to_csv(FILE, mode="a", header=not FILE.is_file(), index=False)


def table(results: pd.DataFrame) -> str:
    """Markdown: mean accuracies, the best of a row in bold."""
    wide = results.pivot_table(index=["property", "value"], columns="method", values="accuracy")[list(METHODS)]
    wide = wide.loc[[(axis, value) for axis, values in AXES.items() for value in values]]
    body = []
    for (axis, value), row in wide.iterrows():
        best = round(float(row.max()), 1)
        cells = [f"**{x:.1f}**" if round(x, 1) == best else f"{x:.1f}" for x in row]
        body.append([TITLES[axis], f"{value:g}", *cells])
    return markdown_table(["property", "value", *METHODS], body, left=1)


def figure(results: pd.DataFrame) -> Figure:
    """Points above the majority, one panel per property."""
    wide = results.pivot_table(index=["property", "value"], columns="method", values="accuracy")
    gain = wide.sub(wide["majority"], axis=0)
    with styled():
        picture = blank_figure(9.6, 5.8)
        axes = picture.subplots(2, 3)
        for axis, name in zip(axes.flat, AXES, strict=True):
            panel(axis, gain.loc[name], name)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        picture.legend(handles, labels, loc="outside lower center", ncols=len(SHOWN), frameon=False)
        picture.supylabel("accuracy, points above the majority", fontsize=9)
    return picture


def panel(axis: Axes, gain: pd.DataFrame, name: str) -> None:
    place = np.arange(len(gain))
    axis.axhline(0, color=MUTED, linewidth=0.8)
    for method, color in SHOWN.items():
        width = 2.2 if method == "ensemble" else 1.2
        axis.plot(place, gain[method], color=color, linewidth=width, marker="o", markersize=3, label=method)
    axis.set_xticks(place, [f"{value:g}" for value in gain.index])
    # One-coin has one label per item at -20 points, for which the others would become one line.
    axis.set_ylim(bottom=max(axis.get_ylim()[0], -6.0))
    axis.set_title(TITLES[name])


def main() -> None:
    args = step_parser(__doc__, ["run", "table"]).parse_args()
    if args.step == "run":
        run()
    results = pd.read_csv(FILE)
    text = table(results)
    for page in (HERE / "README.md", HERE.parent.parent / "docs" / "aggregation.md"):
        fill(page, "simulated", text)
    figure(results).savefig(HERE / "simulate.png", dpi=110)
    print(text)


if __name__ == "__main__":
    main()

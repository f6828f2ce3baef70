"""The figures show the numbers of the tables, and draw for any study."""

import numpy as np
import pytest

from hilmix import plotting
from hilmix.human.report import draw_figures, summarize_studies
from hilmix.human.report.figures import FIGURES
from hilmix.human.study import TASKS
from tests.human.report import simulated
from tests.human.study.synthetic import invent

pytest.importorskip("matplotlib")
STUDIES = {"construct": simulated.construct(), "infer": simulated.infer(), "categorical": simulated.categorical()}
SUMMARY = summarize_studies(STUDIES)


def drawn(name: str):
    with plotting.styled():
        figure = FIGURES[name][1](STUDIES, SUMMARY)
    return figure


def table(name: str, quantity: str):
    rows = SUMMARY.tables[name]
    return rows[(rows["quantity"] == quantity) & (rows["group"] != "all")]


def test_relabelling_shows_means_every_answer_and_the_fits():
    left, right = drawn("relabelling.png").axes
    means = table("weights", "answer").query("study == 'infer'")
    points = left.containers[0].lines[0]
    np.testing.assert_allclose(points.get_ydata().astype(float), means["value"])
    np.testing.assert_allclose(
        right.containers[0].lines[0].get_ydata().astype(float), means["value"] - [0.3, 0.4, 0.5, 0.6, 0.7]
    )
    (bars,) = left.containers[0].lines[2]
    np.testing.assert_allclose([s[:, 1] for s in bars.get_segments()], means[["low", "high"]])
    assert len(left.collections[0].get_offsets()) == int((~STUDIES["infer"].judgments.repeat).sum())
    logit = next(line for line in left.lines if line.get_label() == "logit (likelihood)")
    a, b = SUMMARY.tables["curves"].query("group == 'likelihood'")["value"][:2]
    x = logit.get_xdata()
    np.testing.assert_allclose(logit.get_ydata(), 1 / (1 + np.exp(-a) * ((1 - x) / x) ** b), atol=1e-9)


def test_confidence_shows_every_bin_and_counts_all_answers():
    axes = drawn("confidence.png").axes
    bins = SUMMARY.tables["confidence_bins"]
    for axis, measure in zip(axes[1:], ("one_sidedness", "absolute_deviation"), strict=True):
        part = bins[bins["measure"] == measure]
        np.testing.assert_allclose(axis.containers[0].lines[0].get_ydata().astype(float), part["value"])
        assert [text.get_text() for text in axis.texts] == [f"{n:,}" for n in part["n"]]
    assert bins.groupby("measure")["n"].sum().tolist() == [60 * 40] * 2


def test_repeats_are_all_there():
    _, *panels = drawn("reliability.png").axes
    for axis, task in zip(panels, STUDIES, strict=False):
        pairs = axis.collections[0].get_sizes().sum() / 12
        assert pairs == int(STUDIES[task].judgments.repeat.sum())


def test_pairs_are_mirrored_with_the_opposite_sign():
    axis = drawn("label_pairs.png").axes[1]
    grid = np.asarray(axis.images[0].get_array(), dtype=float)
    np.testing.assert_allclose(grid + grid.T, np.where(np.eye(4, dtype=bool), np.nan, 0))
    shrunk = SUMMARY.tables["label_pairs"].query("study == 'infer' and group == 'ant / dog'")["shrunk"]
    assert grid[0, 3] == pytest.approx(shrunk.iloc[0])


def test_strengths_are_sorted():
    axis = drawn("class_strengths.png").axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["dog", "cow", "bee", "ant"]


def test_masses_fill_the_bars():
    for axis in drawn("labels.png").axes[:2]:
        assert sum(bar.get_height() for bars in axis.containers for bar in bars) == pytest.approx(1)  # one weight


def test_midpoints_count_every_answer_once():
    axis = drawn("midpoints.png").axes[0]
    assert [sum(bar.get_height() for bar in bars) for bars in axis.containers] == pytest.approx([1, 1])
    assert len(axis.containers[0]) <= 21  # answers of any fineness


@pytest.mark.parametrize("seed", [3])
def test_small_odd_studies_draw(tmp_path, seed):
    studies = {task: invent(task, seed) for task in TASKS}
    for file in draw_figures(studies, summarize_studies(studies), tmp_path):
        assert file.stat().st_size > 3000
    assert not list(tmp_path.glob(".partial*"))

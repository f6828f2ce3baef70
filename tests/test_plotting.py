"""Figures: they draw for every shape of data, and show the numbers that they were given."""

import io

import numpy as np
import pandas as pd
import pytest
import torch

from hilmix import plotting as P
from hilmix.functional.calibration import bin_sums

pytest.importorskip("matplotlib")


def pixels(figure) -> int:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.tell()


def test_reliability_bars_are_accuracy_and_gap():
    confidence = torch.tensor([0.1, 0.1, 0.9, 0.9, 0.9, 0.9])
    correct = torch.tensor([1, 0, 1, 0, 0, 0], dtype=torch.bool)
    figure = P.reliability_diagram([P.Reliability("model", bin_sums(confidence, correct, num_bins=2), "ECE")], "title")
    top, bottom = figure.axes[:2]
    blue, red, sky = ([bar.get_height() for bar in bars] for bars in top.containers)
    assert blue == pytest.approx([0.1, 0.25])  # the smaller of accuracy and confidence
    assert red == pytest.approx([0, 0.9 - 0.25])
    assert sky == pytest.approx([0.5 - 0.1, 0])
    assert [bar.get_height() for bar in bottom.containers[0]] == pytest.approx([2 / 6, 4 / 6])
    assert pixels(figure) > 5000


def test_reliability_of_nothing_draws():
    empty = bin_sums(torch.empty(0), torch.empty(0))
    assert pixels(P.reliability_diagram([P.Reliability("none", empty)] * 2, "title")) > 1000


@pytest.mark.parametrize("number", [1, 8, 19])
def test_sheet_has_one_picture_per_item(number):
    gray, color = np.zeros((8, 8, 1), np.uint8), np.full((30, 20, 3), 255, np.uint8)
    items = [P.Thumbnail(color if i % 2 else gray, "label a" * 9, "suggests b", "by c") for i in range(number)]
    figure = P.thumbnail_sheet(items, "title")
    assert len(figure.axes) == number
    assert pixels(figure) > 2000


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("panels", [0, 1, 6])
def test_annotators_with_and_without_truth(truth, panels):
    true = [0.8, np.nan, 0.2] if truth else [np.nan] * 3
    table = pd.DataFrame({"labels": [5, 0, 30], "estimated_accuracy": [0.7, 0.5, 0.3], "true_accuracy": true})
    matrix = np.array([[1.0, 0.0], [np.nan, np.nan]])
    figure = P.annotator_figure(table, [P.AnnotatorPanel("someone", matrix)] * panels, ["cat", "dog"], "title")
    points = figure.axes[0].collections[0].get_offsets()
    want = [[0.8, 0.7], [0.2, 0.3]] if truth else [[0, 0.3], [1, 0.5], [2, 0.7]]
    np.testing.assert_allclose(np.ma.compress_rows(np.ma.masked_invalid(points)), want)
    assert pixels(figure) > 2000


def test_many_classes_have_no_ticks():
    table = pd.DataFrame({"labels": [5], "estimated_accuracy": [0.7], "true_accuracy": [np.nan]})
    figure = P.annotator_figure(table, [P.AnnotatorPanel("a", np.eye(40))], [str(k) for k in range(40)], "title")
    assert not figure.axes[1].get_xticks().size


def test_curves_show_the_last_value_of_each_epoch():
    log = pd.DataFrame(
        {
            "epoch": [0, 0, 1, np.nan],
            "step": [1, 2, 3, 3],
            "train/loss": [9.0, 3.0, 2.0, 7.0],
            "val/acc": [np.nan, 0.5, 0.6, np.nan],
            "val/temperature": [np.nan] * 3 + [2.0],
        }
    )
    figure = P.training_curves(log)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["loss", "acc"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == [3, 2]
    assert P.training_curves(log.drop(columns="epoch")) is None


def test_captions_stay_below_their_picture_and_are_whole():
    label_text = "label a class of many letters (12.3%)"
    item = P.Thumbnail(np.zeros((8, 8), np.uint8), label_text, "suggests W", "by $x$ and $y$")
    figure = P.thumbnail_sheet([item] * 8, "")
    figure.draw_without_rendering()
    texts = [text for text in figure.texts if text.get_text()]
    shown = "".join(text.get_text() for text in texts if text.get_color() == P.RED).replace(" ", "")
    assert shown == label_text.replace(" ", "") * 8
    step = 1.35 * figure.dpi
    for text in texts:
        box = text.get_window_extent()
        assert box.x1 <= (box.x0 // step + 1) * step + 1

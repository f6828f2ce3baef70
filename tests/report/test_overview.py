"""The headline of a report: numbers with the digits they carry, the majority vote beside them, warnings at them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hilmix.report.overview import describe_run, headline_cards
from hilmix.report.run import Run
from hilmix.report.tables import annotator_rows, confusion
from hilmix.report.words import percent, rounded, share_error

MAJORITY = {"items": 400, "acc": 0.62, "nll": 1.14, "brier": 0.51, "ece": 0.19}


def a_run(**fields: Any) -> Run:
    """A run of 400 tested items; ``fields`` replace its parts."""
    weights = {"checkpoint": "last", "epoch": 14, "step": 255}
    part = {"items": 400, "votes": 900, "pairwise_agreement": 0.3, "majority": MAJORITY}
    evaluated = {"data": "toy", "items": 400, "items_with_truth": 400, "votes": 900}
    settings: dict[str, Any] = {
        "folder": Path("runs/toy"),
        "test": {"test/acc": 0.9, "truth": True, "evaluated": evaluated, "weights": weights},
        "facts": {"data": {"splits": {"test": part}, "classes": {"a": {}, "b": {}}}},
        "pictures": {},
        "starts": [],
    }
    missing = dict.fromkeys(Run.__dataclass_fields__)
    return Run(**{**missing, **settings, **fields})


def metrics_file(items: int, **metrics: float) -> dict[str, Any]:
    evaluated = {"data": "toy", "items": items, "items_with_truth": items, "votes": 900}
    return {**{f"test/{name}": value for name, value in metrics.items()}, "truth": True, "evaluated": evaluated}


def calibration(temperature: float, fitted_on: str, determined: bool = True) -> pd.DataFrame:
    rows = [
        {"split": "test", "what": "class", "stage": stage, "temperature": t, "ece": 0.1, "fitted_on": fitted_on}
        for stage, t in (("before", 1.0), ("after", temperature))
    ]
    return pd.DataFrame(rows).assign(determined=determined)


@pytest.mark.parametrize(
    ("value", "error", "shown"), [(0.9583, 0.0105, "96 %"), (0.9583, 0.004, "95.8 %"), (0.95833, 0.0005, "95.83 %")]
)
def test_a_share_has_the_digits_of_its_error(value, error, shown):
    assert percent(value, error) == shown


def test_numbers_have_the_digits_of_their_error():
    assert [rounded(1.52869, error) for error in (0.2, 0.02, 0.002)] == ["1.5", "1.53", "1.529"]
    assert share_error(0.5, 100) == pytest.approx(0.05)
    assert share_error(1.0, 100) == pytest.approx((0.995 * 0.005 / 100) ** 0.5)  # not 0: 100 hits prove no certainty


def test_the_majority_vote_stands_beside_the_headline():
    card = headline_cards(a_run())[0]
    assert (card.name, card.value, card.warnings) == ("accuracy", "90 %", [])
    assert "62 %" in card.baseline


def test_a_model_below_the_majority_vote_and_few_items_are_marked():
    worse = headline_cards(a_run(test=metrics_file(400, acc=0.5)))[0]
    assert len(worse.warnings) == 1
    assert "majority vote" in worse.warnings[0]
    few = headline_cards(a_run(test=metrics_file(9, acc=0.9)))[0]
    assert any("9" in text for text in few.warnings)


@pytest.mark.parametrize(
    ("temperature", "fitted_on", "determined", "number"),
    [
        (1.3, "true classes of 359 validation items", True, 0),
        (20.0, "true classes of 9 validation items", False, 3),
        (20.0, "true classes of 359 validation items", True, 1),
        (1.3, "9 votes on validation items", True, 1),
    ],
)
def test_an_absurd_temperature_is_no_plain_card(temperature, fitted_on, determined, number):
    run = a_run(calibration=calibration(temperature, fitted_on, determined))
    card = next(card for card in headline_cards(run) if card.name == "temperature")
    assert len(card.warnings) == number


def test_the_head_names_method_date_commit_and_command():
    command = "hilmix fit -c configs/method/ds.yaml --run_dir 'my run'"
    start = {"command": command, "started": "2026-12-01T04:05:15+00:00", "commit": "957cee8e811e"}
    config = "model: {class_path: a.b.Classifier}\ntrainer: {max_epochs: 20}\n"
    about = dict(describe_run(a_run(starts=[start, start], config=config)))
    assert about["method"].startswith("ds · Classifier")
    assert about["date"].startswith("2026-12-01 04:05")
    assert "resumed 1 time" in about["date"]
    assert (about["commit"], about["command"]) == ("957cee8e811e", command)
    assert "epoch 14" in about["weights"]
    assert about["epochs"] == "20 planned"


def test_confusions_are_counted_and_many_classes_become_a_list():
    table = pd.DataFrame({"predicted": ["a", "a", "b", "b", "b"], "target": ["a", "b", "b", "b", None]})
    found = confusion(a_run(evaluation=table))
    assert found.classes == ["a", "b"]
    assert [[number for number, _ in row] for row in found.cells] == [[1, 0], [1, 2]]
    assert found.recall == ["100 %", "67 %"]
    assert found.pairs == [("b", "a", 1, pytest.approx(1 / 3))]
    many = pd.DataFrame({"predicted": [f"c{i}" for i in range(40)], "target": [f"c{i // 2}" for i in range(40)]})
    found = confusion(a_run(evaluation=many))
    assert (found.classes, found.cells) == ([], [])
    assert len(found.pairs) == 20


def test_annotators_are_flagged_by_their_intervals():
    table = pd.DataFrame(
        {
            "annotator": ["few", "worse", "guess", "below", "good"],
            "labels": [3, 400, 100, 400, 4000],
            "estimated_accuracy": [0.1, 0.2, 0.52, 0.7, 0.95],
            "true_accuracy": [None, None, None, None, 0.9],
        }
    )
    rows = annotator_rows(a_run(annotators=table))
    flags = {row["name"]: row["flags"] for row in rows}
    assert flags["few"] == ["few labels"]
    assert flags["worse"] == ["worse than guessing"]  # of two classes: 0.5
    assert flags["guess"] == ["no better than guessing"]
    assert flags["below"] == ["below the others"]
    assert flags["good"] == []
    assert all(row["lower"] <= row["estimate"] <= row["upper"] for row in rows)
    assert [row["truth"] for row in rows] == [None] * 4 + [0.9]

"""The calibration report against the same numbers computed from the toy's closed-form outputs."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax
from torchmetrics.functional.classification import multiclass_calibration_error

from hilmix.callbacks import CalibrationReport
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.tracker import expected_votes
from hilmix.functional.temperature import TEMPERATURE_RANGE
from tests.callbacks.toy import Toy, confusions, toy_data, toy_datamodule, toy_trainer

pytestmark = pytest.mark.usefixtures("blank_figures")

SCALE = 1.5


def run(tmp_path, stage, *, truth=True, exchangeable=False, **kwargs):
    data = toy_data(truth=truth, exchangeable=exchangeable)
    trainer = toy_trainer(tmp_path, [CalibrationReport()])
    model, datamodule = Toy(scale=SCALE, **kwargs), toy_datamodule(data, tmp_path)
    if stage == "fit":
        trainer.fit(model, datamodule=datamodule)
    else:
        trainer.test(model, datamodule=datamodule, verbose=False)
    table = pd.read_csv(tmp_path / "calibration.csv").set_index(["what", "stage"])
    return data, trainer, table


def known(data, split):
    rows = np.flatnonzero((data.split == split) & (data.target >= 0))
    return SCALE * data.inputs.array[rows].astype(np.float64), data.target[rows]


def nll(logits, target):
    return -log_softmax(logits, 1)[np.arange(len(target)), target].mean()


def best_temperature(loss):
    low, high = np.log(TEMPERATURE_RANGE)
    return np.exp(
        minimize_scalar(lambda t: loss(np.exp(t)), bounds=(low, high), method="bounded", options={"xatol": 1e-9}).x
    )


@pytest.mark.parametrize("stage", ["fit", "test"])
def test_class_model_before_and_after_the_temperature(tmp_path, stage):
    data, trainer, table = run(tmp_path, stage)
    split = "val" if stage == "fit" else "test"
    val_logits, val_target = known(data, "val")
    temperature = best_temperature(lambda t: nll(val_logits / t, val_target))
    logits, target = known(data, split)
    for when, t in (("before", 1.0), ("after", temperature)):
        row = table.loc[("class", when)]
        p = softmax(logits / t, 1)
        ece = multiclass_calibration_error(torch.from_numpy(p), torch.from_numpy(target), num_classes=3, n_bins=15)
        assert row["split"] == split
        assert row["samples"] == len(target)
        assert row["temperature"] == pytest.approx(t, rel=1e-4)
        assert row["nll"] == pytest.approx(nll(logits / t, target), rel=1e-4)
        assert row["brier"] == pytest.approx(((p - np.eye(3)[target]) ** 2).sum(1).mean(), rel=1e-4)
        assert row["ece"] == pytest.approx(ece.item(), abs=1e-5)
        assert row["fitted_on"] == f"true classes of {len(val_target)} validation items"
    if stage == "test":
        logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
        after, before = table.loc[("class", "after")], table.loc[("class", "before")]
        assert logged["test/temperature"] == pytest.approx(temperature, rel=1e-4)
        for name in ("ece", "nll", "brier"):
            assert logged[f"test/{name}_calibrated"] == pytest.approx(after[name], rel=1e-5)
        for name in ("ece_classwise", "ece_adaptive"):
            assert logged[f"test/{name}"] == pytest.approx(before[name], rel=1e-5)


def test_without_truth_the_votes_fit_and_judge(tmp_path):
    data, trainer, table = run(tmp_path, "test", truth=False)
    notes = data.annotations
    matrix = confusions()[np.where(notes.annotator == 3, -1, notes.annotator)].astype(np.float64)
    evidence = np.log(matrix[np.arange(notes.num_pairs), :, notes.label])
    logits = SCALE * data.inputs.array[notes.item].astype(np.float64)
    val, test = (data.split[notes.item] == s for s in ("val", "test"))

    def vote_nll(t, rows):
        return -logsumexp(log_softmax(logits[rows] / t, 1) + evidence[rows], 1).mean()

    temperature = best_temperature(lambda t: vote_nll(t, val))
    assert set(table.index.get_level_values("what")) == {"vote"}
    assert (table["fitted_on"] == f"{val.sum()} votes on validation items").all()
    assert vote_nll(table["temperature"].iloc[1], val) == pytest.approx(vote_nll(temperature, val), rel=1e-5)
    after = table.loc[("vote", "after")]
    assert after["nll"] == pytest.approx(vote_nll(after["temperature"], test), rel=1e-4)
    assert trainer.callback_metrics["test/vote_nll_calibrated"] == pytest.approx(after["nll"], rel=1e-5)
    assert "test/ece_calibrated" not in trainer.callback_metrics


def test_annotator_is_right(tmp_path):
    data, _, table = run(tmp_path, "fit")
    notes = data.annotations
    rows = (data.split[notes.item] == "val") & (data.target[notes.item] >= 0)
    p = softmax(SCALE * data.inputs.array[notes.item[rows]].astype(np.float64), 1)
    p_right = (p * np.diagonal(confusions()[notes.annotator[rows]], axis1=1, axis2=2)).sum(1)
    right = notes.label[rows] == data.target[notes.item[rows]]
    row = table.loc[("annotator", "before")]
    assert row["samples"] == rows.sum()
    assert row["brier"] == pytest.approx(2 * ((p_right - right) ** 2).mean(), rel=1e-4)
    bins = np.minimum((p_right * 15).astype(int), 14)
    ece = sum(abs((p_right - right)[bins == b].sum()) for b in range(15)) / len(bins)
    assert row["ece"] == pytest.approx(ece, abs=1e-6)


def test_face_value_votes_are_judged_by_the_class_model(tmp_path):
    data, _, table = run(tmp_path, "fit", truth=False, face_value=True)
    rows = data.split[data.annotations.item] == "val"
    logits = SCALE * data.inputs.array[data.annotations.item[rows]].astype(np.float64)
    label = data.annotations.label[rows]
    temperature = best_temperature(lambda t: nll(logits / t, label))
    assert table.loc[("vote", "after")]["temperature"] == pytest.approx(temperature, rel=1e-4)
    assert table.loc[("vote", "after")]["nll"] == pytest.approx(nll(logits / temperature, label), rel=1e-4)


def test_a_temperature_that_the_data_do_not_determine_is_reported(tmp_path, caplog):
    data = toy_data()
    logits = np.eye(3, dtype=np.float32)[data.target]  # separable: the colder, the better
    run_data = AnnotatedData(
        "sure", data.items, ArrayInputs(logits, "vector"), data.annotations, data.target, data.split
    )
    trainer = toy_trainer(tmp_path, [CalibrationReport()])
    trainer.fit(Toy(), datamodule=toy_datamodule(run_data, tmp_path))
    assert "temperature is set to 1" in caplog.text


def test_nothing_to_calibrate_is_reported(tmp_path, caplog):
    data = toy_data(truth=False)
    votes = data.annotations.subset(data.split == "train")
    silent = AnnotatedData("silent", data.items, data.inputs, votes, data.target, data.split)
    trainer = toy_trainer(tmp_path, [CalibrationReport()])
    trainer.fit(Toy(), datamodule=toy_datamodule(silent, tmp_path))
    assert "no validation item has a true class or a vote" in caplog.text
    assert not (tmp_path / "calibration.csv").exists()


def test_expected_votes_at_temperature_one_are_the_label_probabilities(tmp_path):
    batch = next(iter(toy_datamodule(toy_data(), tmp_path).clean_dataloader("all")))
    output = Toy().eval().evaluate(batch)
    torch.testing.assert_close(expected_votes(output), output.label_log_probs.exp())
    assert expected_votes(output._replace(confusion=None)) is None


def test_both_stages_share_one_table_and_draw(tmp_path):
    data = toy_data()
    trainer = toy_trainer(tmp_path, [CalibrationReport()])
    model, datamodule = Toy(), toy_datamodule(data, tmp_path)
    for _ in range(2):
        trainer.fit(model, datamodule=datamodule)
        trainer.test(model, datamodule=datamodule, verbose=False)
    table = pd.read_csv(tmp_path / "calibration.csv")
    assert not table.duplicated(["split", "what", "stage"]).any()
    assert set(table["split"]) == {"val", "test"}
    bins = pd.read_csv(tmp_path / "reliability.csv")
    assert not bins.duplicated(["split", "what", "stage", "lower"]).any()
    assert len(bins) == 15 * len(table)
    assert {p.name for p in tmp_path.glob("*.png")} == {"reliability.png", "reliability_test.png"}

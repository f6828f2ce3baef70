"""Label errors, annotators, predictions and the metrics file, from the toy's closed-form outputs."""

import json

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.loggers.logger import DummyLogger
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from hilmix import plotting
from hilmix.callbacks import AnnotatorReport, CalibrationReport, LabelErrors, MetricsFile, PredictionFile
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.thumbnails import thumbnails
from tests.callbacks.toy import CLASSES, N, Toy, confusions, toy_data, toy_datamodule, toy_trainer

ALL = (CalibrationReport, LabelErrors, AnnotatorReport, MetricsFile, PredictionFile)


def fit(tmp_path, data, *callbacks, **kwargs):
    trainer, model = toy_trainer(tmp_path, [c() for c in callbacks]), Toy(**kwargs)
    datamodule = toy_datamodule(data, tmp_path)
    trainer.fit(model, datamodule=datamodule)
    return trainer, model, datamodule


class Recorder(DummyLogger):
    """Keeps the last value of every metric."""

    def __init__(self, logged):
        super().__init__()
        self.logged = logged

    def log_metrics(self, metrics, step=None):
        self.logged |= metrics


def posterior(data):
    """(N, K) by Bayes' rule, label by label."""
    notes, matrix = data.annotations, confusions()
    p = np.exp(data.inputs.array.astype(np.float64))
    for item, annotator, label in zip(notes.item, notes.annotator, notes.label, strict=True):
        p[item] *= matrix[-1 if annotator == 3 else annotator][:, label]
    return p / p.sum(1, keepdims=True)


def test_labels_are_ranked_by_their_posterior(tmp_path):
    data, logged = toy_data(), {}
    trainer, model = toy_trainer(tmp_path, [LabelErrors()]), Toy()
    trainer.loggers = [Recorder(logged)]
    trainer.fit(model, datamodule=toy_datamodule(data, tmp_path))
    table = pd.read_parquet(tmp_path / "label_errors.parquet")
    train = data.split[data.annotations.item] == "train"
    assert len(table) == train.sum()
    assert table["posterior"].is_monotonic_increasing
    assert set(table["predictions"]) == {"in-sample"}
    expected = posterior(data)
    items = table["item"].map({name: i for i, name in enumerate(data.items)}).to_numpy()
    codes = table["label"].map({name: k for k, name in enumerate(CLASSES)}).to_numpy().astype(int)
    np.testing.assert_allclose(table["posterior"], expected[items, codes], rtol=1e-3)
    assert table["suggested"].tolist() == [CLASSES[k] for k in expected[items].argmax(1)]
    assert table["target"].isna().tolist() == (data.target[items] < 0).tolist()

    known = data.target[items] >= 0
    wrong = (codes != data.target[items])[known]
    found = (
        pd.read_csv(tmp_path / "label_errors_detection.csv").set_index(["level", "score"]).loc[("label", "posterior")]
    )
    score = -table["posterior"].to_numpy()[known]
    assert found["average_precision"] == pytest.approx(average_precision_score(wrong, score))
    assert found["auroc"] == pytest.approx(roc_auc_score(wrong, score))
    for stage in ("in_sample", "train"):  # the second is the former name
        assert logged[f"{stage}/label_errors_ap"] == pytest.approx(average_precision_score(wrong, score))
        assert logged[f"{stage}/label_errors_auroc"] == pytest.approx(roc_auc_score(wrong, score))
    assert not any(name.startswith("out_of_fold") for name in logged)


def test_items_are_judged_by_their_majority(tmp_path):
    data = toy_data()
    fit(tmp_path, data, LabelErrors)
    table = pd.read_parquet(tmp_path / "label_errors_items.parquet")
    counts = data.annotations.counts()
    voted = (data.split == "train") & (counts.sum(1) > 0)
    assert sorted(table["item"]) == sorted(np.array(data.items)[voted])
    items = table["item"].map({name: i for i, name in enumerate(data.items)}).to_numpy()
    codes = table["label"].map({name: k for k, name in enumerate(CLASSES)}).to_numpy().astype(int)
    np.testing.assert_array_equal(counts[items, codes], counts[items].max(1))
    np.testing.assert_allclose(table["posterior"], posterior(data)[items, codes], rtol=1e-3)


def test_exchangeable_annotators_have_no_columns_and_no_report(tmp_path):
    trainer, model, datamodule = fit(tmp_path, toy_data(exchangeable=True), *ALL)
    assert "annotator" not in pd.read_parquet(tmp_path / "label_errors.parquet")
    assert not (tmp_path / "annotators.csv").exists()
    trainer.predict(model, datamodule=datamodule, return_predictions=False)
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    assert "annotators" not in predictions
    assert "labels" in predictions
    assert not (tmp_path / "confusion.parquet").exists()


def test_without_truth_everything_still_works(tmp_path):
    trainer, model, datamodule = fit(tmp_path, toy_data(truth=False), *ALL)
    trainer.test(model, datamodule=datamodule, verbose=False)
    trainer.predict(model, datamodule=datamodule, return_predictions=False)
    assert not (tmp_path / "label_errors_detection.csv").exists()
    assert "target" not in pd.read_parquet(tmp_path / "label_errors.parquet")
    assert "target" not in pd.read_parquet(tmp_path / "predictions.parquet")
    assert pd.read_csv(tmp_path / "annotators.csv")["true_accuracy"].isna().all()
    assert json.loads((tmp_path / "metrics.json").read_text())["truth"] is False


def test_annotators(tmp_path):
    data = toy_data()
    fit(tmp_path, data, AnnotatorReport)
    table = pd.read_parquet(tmp_path / "annotators.parquet").set_index("annotator")
    notes, logits = data.annotations, data.inputs.array.astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for a in range(3):
        rows = np.flatnonzero((notes.annotator == a) & (data.split[notes.item] == "train"))
        truth = rows[data.target[notes.item[rows]] >= 0]
        found = table.loc[f"person-{a}"]
        assert found["labels"] == len(rows)
        assert found["labels_with_truth"] == len(truth)
        assert found["estimated_by"] == "annotator model"
        assert found["estimated_accuracy"] == pytest.approx(
            (p[notes.item[rows]] @ np.diag(confusions()[a])).mean(), rel=1e-4
        )
        assert found["posterior_accuracy"] == pytest.approx(
            posterior(data)[notes.item[rows], notes.label[rows]].mean(), rel=1e-4
        )
        assert found["true_accuracy"] == pytest.approx((notes.label == data.target[notes.item])[truth].mean())
    assert table.loc["person-3", "labels"] == 0
    assert not table.loc["person-3", "trained"]
    matrices = pd.read_parquet(tmp_path / "confusion.parquet")
    assert set(matrices["annotator"]) == {"person-0", "person-1", "person-2"}
    assert matrices["said"].equals(matrices["label"]), "the former name, for one version"
    one = matrices[(matrices["annotator"] == "person-1") & (matrices["true"] == "bee")].set_index("label")
    np.testing.assert_allclose(one.loc[list(CLASSES), "prob_model"], confusions()[1, 1], rtol=1e-4)
    np.testing.assert_allclose(matrices.groupby(["annotator", "true"], observed=True)["prob_posterior"].sum(), 1)


def test_without_annotator_model_the_class_model_judges(tmp_path):
    data = toy_data()
    fit(tmp_path, data, *ALL, face_value=True)
    table = pd.read_csv(tmp_path / "annotators.csv")
    assert (table["estimated_by"] == "class model").all()
    assert table["estimated_accuracy"].equals(table["posterior_accuracy"])
    errors = pd.read_parquet(tmp_path / "label_errors.parquet")
    assert "posterior" not in errors
    assert errors["self_confidence"].is_monotonic_increasing
    assert "prob_model" not in pd.read_parquet(tmp_path / "confusion.parquet")


def test_predictions_are_keyed_by_item(tmp_path):
    data = toy_data()
    trainer, model, datamodule = fit(tmp_path, data, PredictionFile)
    trainer.predict(model, datamodule=datamodule, return_predictions=False)
    table = pd.read_parquet(tmp_path / "predictions.parquet")
    logits, notes = data.inputs.array.astype(np.float64), data.annotations
    assert table["item"].tolist() == list(data.items)
    assert table["split"].tolist() == data.split.tolist()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(table[[f"prob_{c}" for c in CLASSES]], p, rtol=1e-4)
    np.testing.assert_allclose(table[[f"posterior_{c}" for c in CLASSES]], posterior(data), rtol=1e-3, atol=1e-6)
    assert table["predicted"].tolist() == [CLASSES[k] for k in logits.argmax(1)]
    silent = notes.labels_per_item == 0
    assert table["majority"].isna().tolist() == table["label_quality"].isna().tolist() == silent.tolist()
    for i in range(N):
        rows = np.flatnonzero(notes.item == i)
        assert list(table["labels"][i]) == [CLASSES[k] for k in notes.label[rows]]
        assert list(table["annotators"][i]) == [f"person-{a}" for a in notes.annotator[rows]]
        assert len(table["p_right"][i]) == len(rows)


def test_metrics_file(tmp_path, capsys):
    data = toy_data()
    trainer, model, datamodule = fit(tmp_path, data, MetricsFile)
    trainer.test(model, datamodule=datamodule, verbose=False)
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["test/acc"] == pytest.approx(float(trainer.callback_metrics["test/acc"]))
    test = data.split == "test"
    assert found["truth"] is True
    assert found["evaluated"] == {
        "data": "toy",
        "split": "test",
        "items": int(test.sum()),
        "items_with_truth": int((data.target[test] >= 0).sum()),
        "votes": int(data.annotations.labels_per_item[test].sum()),
    }
    assert "test/acc" in capsys.readouterr().out


def test_images_get_a_sheet_and_figures_are_skipped_without_matplotlib(tmp_path, monkeypatch, caplog):
    (tmp_path / "with").mkdir()
    fit(tmp_path / "with", toy_data(images=True), *ALL)
    with Image.open(tmp_path / "with" / "label_errors.png") as sheet:
        assert sheet.width > 500
    plotting.explain_absence.cache_clear()
    monkeypatch.setattr(plotting, "available", lambda: False)
    (tmp_path / "without").mkdir()
    fit(tmp_path / "without", toy_data(images=True), *ALL)
    assert not list((tmp_path / "without").glob("*.png"))
    assert (tmp_path / "without" / "label_errors.parquet").exists()
    assert caplog.text.count("matplotlib is not installed") == 1


def test_thumbnails_are_uint8_of_visible_size():
    data = toy_data()
    gray = np.random.default_rng(0).random((N, 8, 8)).astype(np.float32)
    pictures = thumbnails(
        AnnotatedData("g", data.items, ArrayInputs(gray, "image"), data.annotations), np.array([3, 1])
    )
    assert [p.shape for p in pictures] == [(64, 64, 1)] * 2
    np.testing.assert_array_equal(pictures[0][::8, ::8, 0], np.round(gray[3] * 255))
    assert thumbnails(data, np.array([0])) is None

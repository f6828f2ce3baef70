"""The clean pass: every item once, in evaluation mode, pairs in place, shared between callbacks."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Callback, Trainer

from hilmix.callbacks import LabelErrors
from hilmix.diagnostics import CleanPass, Collector, clean_pass, label_table
from hilmix.diagnostics.clean_pass import PREDICTIONS
from hilmix.errors import ConfigError, RunError
from tests.callbacks.toy import Toy, confusions, toy_data, toy_datamodule, toy_trainer
from tests.diagnostics.passes import toy_pass


class Grab(Callback):
    def __init__(self, split="train"):
        self.split, self.result = split, None

    def on_train_end(self, trainer, pl_module):
        self.result = clean_pass(trainer, pl_module, self.split)
        assert pl_module.training  # back in its own mode
        assert clean_pass(trainer, pl_module, self.split) is self.result
        pl_module.scale.data.mul_(
            2
        )  # other weights, another pass; as averaging changes them, unseen by torch's counters
        assert clean_pass(trainer, pl_module, self.split) is not self.result


def run(tmp_path, split="train", **kwargs):
    data, grab = toy_data(), Grab(split)
    trainer = toy_trainer(tmp_path, [grab])
    trainer.fit(Toy(**kwargs), datamodule=toy_datamodule(data, tmp_path))
    return data, grab.result


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_value_stands_in_its_place(tmp_path, split):
    data, result = run(tmp_path, split)
    logits = data.inputs.array
    notes = data.annotations
    np.testing.assert_array_equal(result.items, np.flatnonzero(data.split == split))
    np.testing.assert_array_equal(notes.item[result.pairs], result.items[result.row])
    np.testing.assert_allclose(result.logits, logits[result.items], rtol=1e-6)
    assert result.seen.all()
    matrix = confusions()[notes.annotator if split != "test" else np.full(notes.num_pairs, -1)]
    for j, pair in enumerate(result.pairs):
        item, label = notes.item[pair], notes.label[pair]
        p = np.exp(logits[item]) / np.exp(logits[item]).sum()
        assert result.p_right[j] == pytest.approx(p @ np.diag(matrix[pair]), rel=1e-4)
        assert result.label_log_probs[j] == pytest.approx(np.log(p @ matrix[pair][:, label]), rel=1e-4)
        np.testing.assert_allclose(result.log_likelihood[j], np.log(matrix[pair][:, label]), rtol=1e-4)
    for i, item in enumerate(result.items):
        p = np.exp(logits[item])
        for pair in np.flatnonzero(notes.item == item):
            p = p * matrix[pair][:, notes.label[pair]]
        np.testing.assert_allclose(result.posterior[i], p / p.sum(), rtol=1e-4)


def test_confusion_is_the_weighted_mean_and_nan_without_labels(tmp_path):
    _, result = run(tmp_path)
    np.testing.assert_allclose(result.confusion[:3], confusions()[:3], rtol=1e-5)  # constant over items
    assert np.isnan(result.confusion[3]).all()


def test_without_annotator_model(tmp_path):
    _, result = run(tmp_path, face_value=True)
    assert result.posterior is result.p_right is result.log_likelihood is result.confusion is None
    np.testing.assert_array_equal(result.best, result.probs)


def test_repeats_count_once_and_foreign_items_not_at_all(tmp_path):
    data = toy_data()
    datamodule = toy_datamodule(data, tmp_path)
    batch = next(iter(datamodule.clean_dataloader("all")))
    model = Toy().eval()
    collector = Collector(data.annotations, np.array([1, 3]))
    with torch.no_grad():
        collector.add(model.evaluate(batch))
        collector.add(model.evaluate(batch))
    result = collector.finish()
    np.testing.assert_allclose(result.logits, data.inputs.array[[1, 3]], rtol=1e-6)
    want = np.unique(data.annotations.annotator[np.isin(data.annotations.item, [1, 3])])
    assert np.flatnonzero(~np.isnan(result.confusion[:, 0, 0])).tolist() == [a for a in want if a < 4]


def test_a_pass_of_logits_equals_that_of_the_toy_without_annotator_model():
    data, expected = toy_pass(face_value=True)
    result = CleanPass.from_logits(data.annotations, expected.items, expected.logits)
    for field in fields(CleanPass):
        found, want = getattr(result, field.name), getattr(expected, field.name)
        assert (found is None) == (want is None)
        if want is not None:
            np.testing.assert_allclose(found, want, rtol=1e-6)
    _, judged = toy_pass()
    result = CleanPass.from_logits(data.annotations, judged.items, np.log(judged.probs), judged.posterior)
    pd.testing.assert_frame_equal(label_table(data, result).table, label_table(data, judged).table)


def test_logits_of_another_shape_are_refused():
    notes = toy_data().annotations
    with pytest.raises(ConfigError, match=r"`logits`.*\(2, 3\), got \(3, 3\)"):
        CleanPass.from_logits(notes, np.arange(2), np.zeros((3, 3)))
    with pytest.raises(ConfigError, match=r"`posterior`.*\(2, 3\), got \(2, 4\)"):
        CleanPass.from_logits(notes, np.arange(2), np.zeros((2, 3)), np.zeros((2, 4)))


def test_a_pass_knows_how_each_prediction_was_made(tmp_path):
    data = toy_data()
    batch = next(iter(toy_datamodule(data, tmp_path).clean_dataloader("all")))
    items, training = np.arange(5), np.array([True, True, False, True, False])
    fold = torch.tensor([1, 0, -1, -1, -1, 0, 1])
    with torch.no_grad():
        output = Toy().eval().evaluate(batch)
    kinds = {}
    for name, folds in (("plain", None), ("folds", fold)):
        collector = Collector(data.annotations, items, training=training)
        collector.add(output._replace(fold=folds))
        kinds[name] = collector.finish()
    assert [PREDICTIONS[kind] for kind in kinds["plain"].predictions] == [
        *("in-sample", "in-sample", "held-out", "in-sample", "held-out")
    ]
    assert kinds["plain"].kinds_of_predictions == "in-sample, held-out"
    assert kinds["plain"].fold is None
    assert [PREDICTIONS[kind] for kind in kinds["folds"].predictions] == [
        *("out-of-fold", "out-of-fold", "held-out", "in-sample", "held-out")
    ]
    assert kinds["folds"].fold.tolist() == fold[:5].tolist()


def test_what_was_not_reached_is_not_seen():
    data = toy_data()
    assert not Collector(data.annotations, np.arange(len(data))).finish().seen.any()


def test_aggregated_batches_are_refused(tmp_path):
    data = toy_data()
    batch = next(iter(toy_datamodule(data, tmp_path).clean_dataloader("all")))
    output = Toy().eval().evaluate(batch)
    with pytest.raises(ConfigError, match="carry the annotations of the data"):
        Collector(data.annotations, np.arange(len(data))).add(output._replace(row=output.row[:-1]))


def test_other_data_are_refused_with_the_remedy():
    with pytest.raises(ConfigError, match="AnnotatedDataModule"):
        clean_pass(Trainer(logger=False, enable_progress_bar=False, accelerator="cpu"), Toy(), "train")


def test_a_run_that_has_diverged_is_reported(tmp_path):
    model = Toy()
    with torch.no_grad():
        model.scale.fill_(torch.nan)
    with pytest.raises(RunError, match="the training has diverged"):
        toy_trainer(tmp_path, [LabelErrors()]).fit(model, datamodule=toy_datamodule(toy_data(), tmp_path))

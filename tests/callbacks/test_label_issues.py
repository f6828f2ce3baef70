"""Confident learning and annotators of modules that know nothing of hilmix; out of fold, on ranks, after a kill."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import CSVLogger

from hilmix.callbacks import AnnotatorReport, LabelErrors, LabelIssues, LastCheckpoint
from hilmix.errors import ConfigError
from tests.callbacks.foreign import Foreign, probabilities
from tests.callbacks.toy import CLASSES, Toy, toy_data, toy_trainer
from tests.helpers import in_memory

DATA = toy_data()
NOTES, X = DATA.annotations, DATA.inputs.array
FILES = ("label_issues.parquet", "label_issues.csv", "label_classes.csv", "label_pairs.csv")


class CrossFitted(Toy):
    """Says that another network than the one trained on an item predicts it."""

    item_folds = SimpleNamespace(known=True)

    def evaluate(self, batch):
        output = super().evaluate(batch)
        return output._replace(fold=batch.index % 2)


def fit(folder: Path, callbacks, model: LightningModule | None = None, *, epochs: int = 1, resume=None, **settings):
    trainer = toy_trainer(
        folder, [LastCheckpoint(), *callbacks], max_epochs=epochs, enable_checkpointing=True, **settings
    )
    trainer.fit(model or Foreign(), in_memory(DATA, batch_size=7), ckpt_path=resume)
    return trainer


def test_issues_of_held_out_items_of_a_foreign_module(tmp_path):
    logger = CSVLogger(tmp_path, name="", version="")
    fit(tmp_path, [LabelIssues("val", by="predicted_other")], logger=logger)
    table, issues = pd.read_parquet(tmp_path / FILES[0]), pd.read_csv(tmp_path / FILES[1])
    kept = DATA.split[NOTES.item] == "val"
    item, label = NOTES.item[kept], NOTES.label[kept]
    p = probabilities(X, 0)[item]
    assert table["item"].tolist() == [f"item-{i}" for i in item]
    assert table["annotator"].tolist() == [f"person-{a}" for a in NOTES.annotator[kept]]
    np.testing.assert_allclose(table["self_confidence"], p[np.arange(len(p)), label], rtol=1e-5)
    assert table["is_issue"].tolist() == (p.argmax(1) != label).tolist()
    assert set(table["predictions"]) == {"held-out"}
    assert len(issues) == (p.argmax(1) != label).sum() > 0
    assert issues["self_confidence"].is_monotonic_increasing
    assert table.attrs["weights"]["epoch"] == 0
    assert pd.read_csv(tmp_path / "metrics.csv")["label_issues/issues"].item() == len(issues)
    classes = pd.read_csv(tmp_path / FILES[2]).set_index("class")
    assert classes["labels"][list(CLASSES)].tolist() == np.bincount(label, minlength=3).tolist()
    # The threshold of a class: the mean probability that its own labels get.
    expected = [p[label == k, k].mean() for k in range(3)]
    np.testing.assert_allclose(classes["threshold"][list(CLASSES)], expected, rtol=1e-5)


def test_annotators_and_label_errors_of_a_foreign_module(tmp_path):
    fit(tmp_path, [AnnotatorReport(), LabelErrors()])
    p, kept = probabilities(X, 0), DATA.split[NOTES.item] == "train"
    own = p[NOTES.item[kept], NOTES.label[kept]]
    table = pd.read_csv(tmp_path / "annotators.csv").set_index("annotator")
    assert (table["estimated_by"] == "class model").all()
    for a in range(3):
        mine = NOTES.annotator[kept] == a
        assert table["estimated_accuracy"][f"person-{a}"] == pytest.approx(own[mine].mean(), rel=1e-5)
    errors = pd.read_parquet(tmp_path / "label_errors.parquet")
    np.testing.assert_allclose(errors["self_confidence"], np.sort(own), rtol=1e-4)


def test_in_sample_predictions_are_refused_before_training_unless_forced(tmp_path):
    model = Foreign()
    with pytest.raises(ConfigError, match="in-sample"):
        fit(tmp_path, [LabelIssues()], model)
    assert model.scale == 1, "no step was taken"
    fit(tmp_path, [LabelIssues(force=True)], model)
    assert set(pd.read_parquet(tmp_path / FILES[0])["predictions"]) == {"in-sample"}


def test_training_items_of_a_cross_fitted_module_need_no_force(tmp_path):
    fit(tmp_path, [LabelIssues()], CrossFitted())
    table = pd.read_parquet(tmp_path / FILES[0])
    assert len(table) == (DATA.split[NOTES.item] == "train").sum()
    assert set(table["predictions"]) == {"out-of-fold"}


@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_two_ranks_and_a_run_that_was_killed_write_what_one_writes(tmp_path):
    def run(folder, **settings):
        fit(tmp_path / folder, [LabelIssues("val"), AnnotatorReport()], **settings)

    run("whole", epochs=2)
    run("killed", epochs=1, devices=2)
    run("killed", epochs=2, resume=tmp_path / "killed" / "checkpoints" / "last.ckpt")
    run("ranks", epochs=2, devices=2)
    for name in (*FILES, "annotators.csv"):
        read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
        whole, *others = (read(tmp_path / folder / name) for folder in ("whole", "killed", "ranks"))
        for other in others:
            pd.testing.assert_frame_equal(whole, other, rtol=1e-6, obj=name)


def test_other_items_than_those_of_the_batch_are_refused(tmp_path):
    class Shuffled(Foreign):
        def predict_step(self, batch, batch_idx):
            return {"index": batch.index.flip(0), "logits": self.scale * torch.as_tensor(batch.input)}

    with pytest.raises(ConfigError, match=r"predict_step: `index` must be that of the batch"):
        fit(tmp_path, [AnnotatorReport()], Shuffled())


@pytest.mark.parametrize("settings", [{"split": "test"}, {"by": "luck"}, {"top": -1}])
def test_other_settings_are_refused(settings):
    (name,) = settings
    with pytest.raises(ConfigError, match=rf"LabelIssues\.{name}"):
        LabelIssues(**settings)

"""Training dynamics of a foreign module, in closed form; the same from a resumed run and from two ranks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch import LightningModule

from hilmix.callbacks import LastCheckpoint, TrainingDynamics
from hilmix.errors import ConfigError
from tests.callbacks.foreign import Foreign, probabilities, scale
from tests.callbacks.toy import K, toy_data, toy_trainer
from tests.helpers import in_memory

DATA = toy_data()
NOTES, X, TRAIN = DATA.annotations, DATA.inputs.array, DATA.split == "train"
FILES = ("dynamics.parquet", "dynamics_items.parquet")


def fit(folder: Path, epochs: int = 4, *, model: LightningModule | None = None, resume=None, every=1, **settings):
    callbacks = [LastCheckpoint(), TrainingDynamics(every)]
    trainer = toy_trainer(folder, callbacks, max_epochs=epochs, enable_checkpointing=True, **settings)
    trainer.fit(model or Foreign(), in_memory(DATA, batch_size=7), ckpt_path=resume)
    return [pd.read_parquet(folder / name) for name in FILES]


def test_scores_of_annotations_and_items_of_a_foreign_module(tmp_path):
    pairs, items = fit(tmp_path)
    kept = TRAIN[NOTES.item]
    item, label = NOTES.item[kept], NOTES.label[kept]
    assert pairs["item"].tolist() == [f"item-{i}" for i in item]
    assert pairs.annotator.tolist() == [f"person-{a}" for a in NOTES.annotator[kept]]
    assert items["item"].tolist() == [f"item-{i}" for i in np.flatnonzero(TRAIN)]
    p = np.stack([probabilities(X, e)[item, label] for e in range(4)])
    np.testing.assert_allclose(pairs.confidence, p.mean(0), rtol=1e-5)
    np.testing.assert_allclose(pairs.variability, p.std(0), rtol=1e-4)
    z = np.stack([scale(e) * X for e in range(4)])[:, item]
    own = np.arange(K) == label[:, None]
    np.testing.assert_allclose(pairs.aum, (z[:, own] - np.where(own, -np.inf, z).max(-1)).mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(pairs.last_loss, -np.log(p[3]), rtol=1e-4)
    counts = np.zeros((len(DATA), K))
    np.add.at(counts, (NOTES.item, NOTES.label), 1)
    clear = (np.sort(counts)[:, -1] > np.sort(counts)[:, -2])[TRAIN]  # no draw
    expected = np.stack([probabilities(X, e)[np.arange(len(X)), counts.argmax(1)] for e in range(4)]).mean(0)[TRAIN]
    np.testing.assert_allclose(items.confidence[clear], expected[clear], rtol=1e-5)
    assert items.confidence[counts[TRAIN].sum(1) == 0].isna().all(), "an item without a label has no dynamics"
    assert items.attrs["weights"] == {"checkpoint": "last", "epoch": 3, "step": 4 * -(-TRAIN.sum() // 7)}
    assert items.attrs["epochs"] == [0, 1, 2, 3]


def test_a_pass_every_other_epoch(tmp_path):
    pairs, _ = fit(tmp_path, every=2)
    kept = TRAIN[NOTES.item]
    p = np.stack([probabilities(X, e)[NOTES.item[kept], NOTES.label[kept]] for e in (1, 3)])
    np.testing.assert_allclose(pairs.confidence, p.mean(0), rtol=1e-5)
    assert pairs.attrs["epochs"] == [1, 3]


@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 1), (1, 2)])
def test_a_resumed_run_equals_an_uninterrupted_one_on_one_rank_or_two(tmp_path, before, after):
    whole = fit(tmp_path / "whole")
    fit(tmp_path / "part", epochs=2, devices=before)
    again = fit(tmp_path / "part", resume=tmp_path / "part" / "checkpoints" / "last.ckpt", devices=after)
    for left, right in zip(whole, again, strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)
        assert left.attrs["epochs"] == right.attrs["epochs"]


def test_a_run_that_resumes_at_its_end_writes_the_same(tmp_path):
    whole = fit(tmp_path)
    for name in FILES:
        (tmp_path / name).unlink()
    again = fit(tmp_path, resume=tmp_path / "checkpoints" / "last.ckpt")
    for left, right in zip(whole, again, strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)
        assert left.attrs == right.attrs


def test_mixed_logits_and_other_outputs_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"Foreign\.predict_step.*mix plan"):
        fit(tmp_path, model=Foreign(plan=object()))
    with pytest.raises(ConfigError, match=r"Foreign\.predict_step must return tensors `index`"):
        fit(tmp_path, model=Foreign(index=None))


def test_no_epochs_between_passes_is_refused():
    with pytest.raises(ConfigError, match=r"TrainingDynamics\.every_n_epochs.*got 0"):
        TrainingDynamics(0)

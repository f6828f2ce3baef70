"""Calibration of each validation epoch, of a foreign module, in closed form and on two ranks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.loggers import CSVLogger

from hilmix.callbacks import EpochCalibration
from tests.callbacks.foreign import Foreign, probabilities
from tests.callbacks.toy import toy_data, toy_trainer
from tests.helpers import in_memory


def curves(folder: Path, *, truth: bool = True, **settings) -> pd.DataFrame:
    logger = CSVLogger(folder, name="", version="")
    trainer = toy_trainer(folder, [EpochCalibration()], max_epochs=2, logger=logger, num_sanity_val_steps=1, **settings)
    trainer.fit(Foreign(), in_memory(toy_data(truth=truth), batch_size=3))
    return pd.read_csv(folder / "metrics.csv").filter(like="val/")


def test_curves_are_those_of_the_validation_items(tmp_path):
    found, data = curves(tmp_path), toy_data()
    assert len(found) == 2, "one row per epoch"
    val = np.flatnonzero(data.split == "val")
    known = val[data.target[val] >= 0]
    counts = np.zeros((len(data), 3))
    np.add.at(counts, (data.annotations.item, data.annotations.label), 1)
    voted = val[counts[val].sum(1) > 0]
    shares = counts[voted] / counts[voted].sum(1, keepdims=True)
    for epoch in range(2):
        p, row = probabilities(data.inputs.array, epoch), found.iloc[epoch]
        assert row["val/calibration_acc"] == pytest.approx((p[known].argmax(1) == data.target[known]).mean())
        assert row["val/calibration_nll"] == pytest.approx(-np.log(p[known, data.target[known]]).mean(), rel=1e-5)
        assert row["val/human_dist_ce"] == pytest.approx(np.abs(p[voted] - shares).sum(1).mean() / 2, rel=1e-5)


def test_two_ranks_log_what_one_logs(tmp_path):
    one, two = curves(tmp_path / "one"), curves(tmp_path / "two", devices=2)
    pd.testing.assert_frame_equal(one, two, rtol=1e-6)


def test_without_a_true_class_only_votes_are_scored(tmp_path):
    found = curves(tmp_path, truth=False)
    assert all(name.startswith("val/human_") for name in found)
    assert len(found.columns) > 0

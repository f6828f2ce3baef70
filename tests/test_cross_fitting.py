"""Out-of-fold predictions in one call: the table of the command, for a model built in Python."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything

import hilmix
from hilmix import MLP, AnnotatedDataModule, Classifier, ConfigError, CrossFitClassifier, TraceReg
from tests.helpers import write_vectors


def trainer(folder: Path) -> Trainer:
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    return Trainer(max_epochs=2, accelerator="cpu", default_root_dir=folder, num_sanity_val_steps=0, **quiet)


def fresh(root: Path) -> tuple[Classifier, AnnotatedDataModule]:
    seed_everything(0, verbose=False)
    data = AnnotatedDataModule(str(root), batch_size=8)
    return Classifier(3, 3, data.input_shape, MLP([6]), TraceReg(), lr=0.05), data


def test_the_table_is_that_of_the_networks(tmp_path: Path) -> None:
    root = write_vectors(tmp_path / "data")
    model, data = fresh(root)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run = trainer(tmp_path)
    callbacks = list(run.callbacks)
    table = hilmix.crossfit(model, data, run, folds=3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "it is not trained"
    assert run.callbacks == callbacks
    model, data = fresh(root)
    networks = CrossFitClassifier.from_classifier(model, folds=3)
    trainer(tmp_path).fit(networks, datamodule=data)
    assert table["fold"].tolist() == networks.fold_of(torch.arange(60)).tolist()
    inputs = torch.as_tensor(data.data.inputs.fetch(np.arange(60)))
    each = torch.stack([network.predict_proba(inputs) for network in networks.networks]).numpy()
    expected = np.where(table["fold"].to_numpy()[:, None] < 0, each.mean(0), each[table["fold"], np.arange(60)])
    found = table[[f"prob_{name}" for name in data.data.classes]]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_fold_is_refused(tmp_path: Path) -> None:
    model, data = fresh(write_vectors(tmp_path / "data"))
    with pytest.raises(ConfigError, match=r"`folds` must be >= 2, got 1"):
        hilmix.crossfit(model, data, trainer(tmp_path), folds=1)

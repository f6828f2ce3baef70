"""Metadata of annotators travel from the folder into the annotator model and the checkpoint."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.annotators import AnnotMixHead
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, write_folder
from hilmix.modules import Classifier
from tests.helpers import quiet_trainer


def folder_with_metadata(root: Path, features: NDArray[np.float32] | None = None) -> str:
    if features is None:
        features = np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 40.0]], dtype=np.float32)
    rng = np.random.default_rng(0)
    votes = Annotations.from_dense(
        rng.integers(0, 2, (60, len(features))),
        classes=["a", "b"],
        annotators=[f"annotator-{i:03d}" for i in range(len(features))],
    )
    items = tuple(f"i{i}" for i in range(60))
    inputs = ArrayInputs(rng.normal(size=(60, 4)).astype(np.float32), "vector")
    data = AnnotatedData("metadata", items, inputs, votes, annotator_features=features)
    return str(write_folder(data, root / "data"))


def build(data: AnnotatedDataModule) -> Classifier:
    return Classifier(
        data.num_classes,
        data.num_annotators,
        data.input_shape,
        annotator_model=AnnotMixHead(embed_dim=4),
        num_annotator_features=data.num_annotator_features,
    )


def test_metadata_are_standardised_and_their_weights_learn(tmp_path: Path) -> None:
    data = AnnotatedDataModule(folder_with_metadata(tmp_path), batch_size=20)
    features = data.annotator_features()
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(features.numpy().std(0), 1, atol=1e-6)
    model = build(data)
    before = model.annotator_model.embed_metadata.weight.detach().clone()
    quiet_trainer(tmp_path, max_epochs=1).fit(model, data)
    torch.testing.assert_close(model.annotator_model.metadata, features)
    assert not torch.equal(model.annotator_model.embed_metadata.weight, before)


def test_metadata_in_small_units_are_scaled_and_large_constants_are_not(tmp_path: Path) -> None:
    small = np.random.default_rng(0).normal(3e-9, 1e-9, 101)
    constant = np.full(101, 123_456_789.0, dtype=np.float32)
    assert constant.std() > 1e-6, "the case at hand: rounding of the mean"
    table = np.stack([small, constant], axis=1).astype(np.float32)
    features = AnnotatedDataModule(folder_with_metadata(tmp_path, table)).annotator_features().numpy()
    np.testing.assert_allclose(features[:, 0].mean(), 0, atol=1e-5)
    np.testing.assert_allclose(features[:, 0].std(), 1, rtol=1e-5)
    np.testing.assert_allclose(features[:, 1], 0, atol=1e-6)


def test_metadata_are_in_the_checkpoint(tmp_path: Path) -> None:
    data = AnnotatedDataModule(folder_with_metadata(tmp_path), batch_size=20)
    model = build(data)
    trainer = quiet_trainer(tmp_path, max_epochs=1)
    trainer.fit(model, data)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    again = Classifier.load_from_checkpoint(tmp_path / "model.ckpt")
    torch.testing.assert_close(again.annotator_model.metadata, data.annotator_features())


def test_aggregated_votes_have_no_annotator_features(tmp_path: Path) -> None:
    root = folder_with_metadata(tmp_path)
    spec = {"class_path": "hilmix.data.targets.Aggregated", "init_args": {"by": "soft"}}
    assert AnnotatedDataModule(root, targets=spec).num_annotator_features == 0
    assert AnnotatedDataModule(root).num_annotator_features == 2
    assert pd.read_parquet(Path(root) / "annotators.parquet").shape == (3, 3)

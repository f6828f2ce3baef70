"""Every method's file as it is: no setting of the user's is needed to be level with a plain classifier of the votes."""

import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from hilmix.annotations import Annotations
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, write_folder
from hilmix.yaml_files import load_yaml
from tests.helpers import ROOT

METHODS = sorted(file.stem for file in (ROOT / "configs" / "method").glob("*.yaml"))
TRAIN, TEST, K, A, D = 192, 2000, 4, 8, 6
MARGIN = 0.05
"""What a method may lose to the reference, which has the form of the problem, whose best classifier is linear: a
network that learns from the same majority votes is behind it, all that model annotators are before it. With the former
defaults, one layer of 128 without batch norm at a rate of 0.001, eight methods tried lost 10 to 12 points."""


def draw_items(rng: np.random.Generator, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Classes as Gaussian clusters, which overlap a little."""
    target = rng.integers(K, size=count)
    centres = 2.2 * np.eye(K, D)
    return (centres[target] + rng.normal(size=(count, D))).astype(np.float32), target


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, NDArray[np.float32], NDArray[np.int64], float]:
    """A data folder with two votes per item, test items, and the accuracy of the reference on them.

    Annotators are right with probability 0.35 to 0.95. The reference is logistic regression on majority votes, ties
    broken at random.
    """
    rng = np.random.default_rng(0)
    vectors, target = draw_items(rng, TRAIN)
    annotator = np.concatenate([rng.choice(A, 2, replace=False) for _ in range(TRAIN)])
    item = np.repeat(np.arange(TRAIN), 2)
    right = rng.random(2 * TRAIN) < np.linspace(0.35, 0.95, A)[annotator]
    label = np.where(right, target[item], (target[item] + rng.integers(1, K, 2 * TRAIN)) % K)
    votes = Annotations.build(item, annotator, label, num_items=TRAIN, classes=K, annotators=A)
    data = AnnotatedData(
        name="small",
        items=tuple(f"i{i}" for i in range(TRAIN)),
        inputs=ArrayInputs(vectors, "vector"),
        annotations=votes,
        target=target,
        split=np.full(TRAIN, "train"),
    )
    root = write_folder(data, tmp_path_factory.mktemp("data") / "small")
    majority = label.reshape(TRAIN, 2)[np.arange(TRAIN), rng.integers(2, size=TRAIN)]  # of two votes, one at random
    test_vectors, test_target = draw_items(rng, TEST)
    reference = LogisticRegression().fit(vectors, majority).score(test_vectors, test_target)
    return str(root), test_vectors, test_target, float(reference)


def build(method: str, root: str) -> tuple[Any, AnnotatedDataModule]:
    """Model and data as the files say, everything else left to hilmix."""
    config: Any = load_yaml((ROOT / "configs" / "method" / f"{method}.yaml").read_text())
    data = pkgutil.resolve_name(config["data"]["class_path"])(root, **config["data"]["init_args"])
    shape = (data.num_classes, data.num_annotators, data.input_shape)
    return pkgutil.resolve_name(config["model"]["class_path"])(*shape, **config["model"]["init_args"]), data


@pytest.mark.parametrize("method", METHODS)
def test_a_method_as_it_is_shipped_is_level_with_a_plain_reference(method: str, problem: Any, tmp_path: Path) -> None:
    root, vectors, target, reference = problem
    assert 0.6 < reference < 0.95, "a problem that can be learned, and on which a method can fall behind"
    base: Any = load_yaml((ROOT / "configs" / "base.yaml").read_text())
    seed_everything(0, verbose=False)
    model, data = build(method, root)
    trainer = Trainer(
        max_epochs=base["trainer"]["max_epochs"],
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(model, data)
    predicted = model.predict_proba(torch.from_numpy(vectors)).argmax(1).numpy()
    assert (predicted == target).mean() >= reference - MARGIN, reference

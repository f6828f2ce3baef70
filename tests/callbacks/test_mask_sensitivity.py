"""Accuracy under noise on and off the masks, of models that look at one half only."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import seed_everything

from hilmix.annotations import Annotations
from hilmix.backbones import ReadyFeatures
from hilmix.callbacks import MaskSensitivity
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs
from hilmix.data.masks import Masks
from hilmix.errors import ConfigError
from hilmix.modules import Classifier
from tests.helpers import in_memory, quiet_trainer

N = 400


def source(masks: bool = True) -> AnnotatedDataModule:
    """Vectors of two numbers; the sign of each gives the class; the first is marked as irrelevant in half the items."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, N)
    x = np.repeat(2.0 * target - 1, 2).reshape(N, 2).astype(np.float32)
    explained = np.arange(0, N, 2)
    one = ArrayInputs(np.array([[1.0, 0.0]], np.float32), "vector")
    data = AnnotatedData(
        name="signs",
        items=tuple(map(str, range(N))),
        inputs=ArrayInputs(x, "vector"),
        annotations=Annotations.from_dense(target[:, None], classes=["a", "b"], annotators=["ann"]),
        target=target,
        split=np.array(["train"] * 20 + ["test"] * (N - 20)),
        masks=Masks.build(explained, 0 * explained, one, num_items=N, annotators=["ann"], picture=0 * explained)
        if masks
        else None,
    )
    return in_memory(data, batch_size=32)


def outcome(
    folder: Path, weight: list[float], *, masks: bool = True, sigma: float = 2.0, std: float = 1.0
) -> dict[str, float]:
    seed_everything(0)
    model = Classifier(2, 1, [2], ReadyFeatures())
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[-w for w in weight], weight]))
        model.head.bias.zero_()
        model.input_std.fill_(std)
    trainer = quiet_trainer(folder, callbacks=[MaskSensitivity(sigma)])
    return trainer.test(model, source(masks), verbose=False)[0]


def test_a_model_that_looks_where_it_should(tmp_path: Path) -> None:
    found = outcome(tmp_path, [0.0, 1.0])
    assert found["test/acc_noise_irrelevant"] == 1
    # sign of 1 + 2 n: right with probability Phi(1/2)
    assert found["test/acc_noise_core"] == pytest.approx(0.6915, abs=3 * (0.6915 * 0.3085 / 190) ** 0.5)
    assert found["test/rcs"] == pytest.approx(1)


def test_a_model_that_looks_where_it_should_not(tmp_path: Path) -> None:
    found = outcome(tmp_path, [1.0, 0.0])
    assert found["test/acc_noise_core"] == 1
    assert found["test/rcs"] == pytest.approx(-1)


def test_noise_is_in_standard_deviations_of_the_inputs(tmp_path: Path) -> None:
    found = outcome(tmp_path, [0.0, 1.0], std=0.5)
    # sign of 1 + 2 * 0.5 n
    assert found["test/acc_noise_core"] == pytest.approx(0.8413, abs=3 * (0.8413 * 0.1587 / 190) ** 0.5)


def test_without_masks_nothing_is_reported(tmp_path: Path) -> None:
    assert not {"test/rcs", "test/acc_noise_core"} & set(outcome(tmp_path, [1.0, 1.0], masks=False))


def test_no_noise_is_refused() -> None:
    with pytest.raises(ConfigError, match="sigma` must be > 0, got 0"):
        MaskSensitivity(0.0)

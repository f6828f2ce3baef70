"""A run gives the same with and without its reports: weights, metrics, predictions, and what is drawn next."""

import random
from inspect import isabstract
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, seed_everything
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn

from hilmix import callbacks
from hilmix.annotations import Annotations
from hilmix.annotators import AnnotMixHead, DawidSkene
from hilmix.backbones import MLP, TimmBackbone
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs
from hilmix.data.masks import Masks
from hilmix.mix import ItemMix
from hilmix.modules import Classifier, EMClassifier
from tests.helpers import in_memory, quiet_trainer

N, SIDE = 48, 8


def annotated(kind: str) -> AnnotatedData:
    rng = np.random.default_rng(0)
    truth = np.arange(N) % 3
    shape = (N, SIDE, SIDE) if kind == "image" else (N, 4)
    x = (rng.normal(size=shape) + truth.reshape(-1, *[1] * (len(shape) - 1))).astype(np.float32)
    x = np.clip(x / 8 + 0.5, 0, 1) if kind == "image" else x
    marks = (rng.random(shape) < 0.3).astype(np.float32)
    votes = Annotations.build(
        np.repeat(np.arange(N), 2),
        np.tile([0, 1], N),
        rng.integers(3, size=2 * N),
        num_items=N,
        classes=3,
        annotators=2,
    )
    return AnnotatedData(
        name="toy",
        items=tuple(f"i{i}" for i in range(N)),
        inputs=ArrayInputs(x, kind),  # type: ignore[arg-type]
        annotations=votes,
        target=truth,
        split=np.array(["train"] * 24 + ["val"] * 12 + ["test"] * 12),
        masks=Masks.build(np.arange(N), [0] * N, ArrayInputs(marks, kind), num_items=N, annotators=["m"]),  # type: ignore[arg-type]
    )


class Drawing(Classifier):
    """Predicts with dropout, as Monte Carlo dropout does, and trains without a seed of its own for each step."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.drop = nn.Dropout(0.5)

    def features(self, x: Tensor, plan: Any = None) -> Tensor:
        return nn.functional.dropout(super().features(x, plan), 0.5, training=True)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        pass


def make(model: str, data: AnnotatedDataModule) -> Classifier:
    sizes = data.num_classes, data.num_annotators, data.input_shape
    if model == "em":
        return EMClassifier(*sizes, MLP([8], dropout=0.5), annotator_model=DawidSkene(), lr=0.01, every=1)
    if model == "timm":
        return Classifier(*sizes, TimmBackbone("test_resnet"), AnnotMixHead(), lr=0.01)
    kind = Drawing if model == "drawing" else Classifier
    return kind(*sizes, MLP([8], dropout=0.5), AnnotMixHead(), lr=0.01)


def extras(folder: Path) -> list[Any]:
    return [
        ModelCheckpoint(folder, monitor="val/loss"),
        LearningRateMonitor(),
        callbacks.LabelIssues(force=True),  # these networks predict what they have trained on
        *(
            kind()
            for name in callbacks.__all__
            if name != "LabelIssues" and not isabstract(kind := getattr(callbacks, name))
        ),
    ]


def outcome(
    folder: Path, model: str, reports: bool
) -> tuple[dict[str, Tensor], dict[str, Any], list[Tensor], list[Any]]:
    """Weights, test metrics, predictions, and the next draws of fit, test, and another fit of the same trainer."""
    seed_everything(0)
    data = in_memory(annotated("image" if model == "timm" else "vector"), mix=ItemMix())
    network: LightningModule = make(model, data)
    trainer = quiet_trainer(
        folder,
        logger=CSVLogger(folder) if reports else False,
        callbacks=extras(folder) if reports else [],
        enable_checkpointing=reports,
        num_sanity_val_steps=2,
    )
    draws: list[Any] = []

    def draw() -> None:
        draws.append((random.random(), float(np.random.rand()), float(torch.rand(()))))  # noqa: NPY002

    trainer.fit(network, data)
    draw()
    trainer.fit_loop.max_epochs = 3
    trainer.fit(network, data)
    metrics = trainer.test(network, data, verbose=False)[0]
    draw()
    predictions = [output.logits for output in trainer.predict(network, data) or []]
    draw()
    return network.state_dict(), metrics, predictions, draws


@pytest.mark.parametrize("model", ["mlp", "timm", "em", "drawing"])
def test_reports_leave_no_trace(model: str, tmp_path: Path) -> None:
    plain, reported = (outcome(tmp_path / str(reports), model, reports) for reports in (False, True))
    for name, value in plain[0].items():
        assert torch.equal(reported[0][name], value), name
    assert plain[1].items() <= reported[1].items()
    assert all(torch.equal(a, b) for a, b in zip(plain[2], reported[2], strict=True))
    assert plain[3] == reported[3]
    assert (tmp_path / "True" / "metrics.json").is_file(), "the reports were made"

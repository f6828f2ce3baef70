"""A toy run whose outputs are known in closed form: the class logits are the input itself, confusions are fixed."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from hilmix.annotations import Annotations
from hilmix.data.datamodule import AnnotatedDataModule
from hilmix.data.folder import write_folder
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.functional.confusion import DenseConfusion
from hilmix.types import Batch, StepOutput
from tests.helpers import quiet_trainer

N, K, A = 61, 3, 4
CLASSES = ("ant", "bee", "cat")


def confusions() -> np.ndarray:
    """(A, K, K) fixed matrices; the last one is for annotators unseen in training."""
    return np.random.default_rng(5).dirichlet(np.ones(K), (A + 1, K)).astype(np.float32)


def toy_data(*, truth: bool = True, exchangeable: bool = False, seed: int = 0, images: bool = False) -> AnnotatedData:
    """61 items, some without labels or truth; the last annotator labels test items only."""
    generator = np.random.default_rng(seed)
    split = np.array((["train"] * 6 + ["val", "test"]) * 8)[:N]
    target = generator.integers(0, K, N)
    item = np.repeat(np.arange(N), generator.integers(0, 4, N))
    annotator = np.where(split[item] == "test", A - 1, generator.integers(0, A - 1, len(item)))
    label = np.where(generator.random(len(item)) < 0.6, target[item], generator.integers(0, K, len(item)))
    target = np.where(generator.random(N) < 0.2, -1, target) if truth else np.full(N, -1)
    people = ["crowd"] if exchangeable else [f"person-{a}" for a in range(A)]
    annotations = Annotations.build(
        item,
        annotator * (not exchangeable),
        label,
        num_items=N,
        classes=CLASSES,
        annotators=people,
        exchangeable=exchangeable,
    )
    if images:
        inputs = ArrayInputs(generator.integers(0, 255, (N, 9, 7, 3)).astype(np.uint8), "image")
    else:
        inputs = ArrayInputs(generator.normal(0, 2, (N, K)).astype(np.float32), "vector")
    return AnnotatedData("toy", tuple(f"item-{i}" for i in range(N)), inputs, annotations, target, split)


def toy_datamodule(data: AnnotatedData, folder: Path) -> AnnotatedDataModule:
    """The data as a folder behind the real datamodule."""
    return AnnotatedDataModule(str(write_folder(data, folder / "data")), batch_size=7)


class Toy(LightningModule):
    """Obeys the contract of a classifier; ``face_value`` has no annotator model."""

    def __init__(self, *, face_value: bool = False, scale: float = 1.0) -> None:
        super().__init__()
        self.face_value = face_value
        self.scale = torch.nn.Parameter(torch.tensor(scale))
        self.dropout = torch.nn.Dropout(0.9)  # changes every output if a pass is not in evaluation mode
        self.register_buffer("confusion", torch.from_numpy(confusions()))

    def evaluate(self, batch: Batch) -> StepOutput:
        x = batch.input if batch.input.ndim == 2 else batch.input.mean((2, 3))
        logits = self.dropout(self.scale * x[:, :K])
        answers = logits.log_softmax(-1)[batch.row]
        base = StepOutput(
            batch.index, batch.target, logits, batch.row, batch.annotator, batch.label, batch.probs, None, answers
        )
        if self.face_value:
            return base
        matrix = self.confusion[batch.annotator]  # -1 picks the matrix for the unseen
        likelihood = matrix.gather(2, batch.label[:, None, None].expand(-1, K, 1)).squeeze(2).log()
        total = logits.log_softmax(-1).index_add(0, batch.row, likelihood)
        return base._replace(
            label_log_probs=torch.einsum("lc,lck->lk", answers.exp(), matrix).log(),
            diagonal=matrix.diagonal(dim1=1, dim2=2),
            confusion=DenseConfusion(matrix.log()),
            log_likelihood=likelihood,
            posterior=total.softmax(-1),
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return 0 * self.scale

    def validation_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        return self.evaluate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        output = self.evaluate(batch)
        self.log("test/acc", (output.logits.argmax(-1) == output.target).float().mean(), batch_size=len(output.index))
        return output

    def predict_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        return self.evaluate(batch)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def toy_trainer(folder: Path, callbacks: list[Any], **kwargs: Any) -> Trainer:
    """A silent trainer of one epoch."""
    return quiet_trainer(folder, callbacks=callbacks, **{"max_epochs": 1, **kwargs})

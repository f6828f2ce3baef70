"""A module that knows nothing of hilmix but the batch: its steps return a dict of index and logits."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from hilmix.types import Batch


def scale(epoch: int) -> float:
    """By which the foreign module has multiplied its inputs at the end of an epoch: its logits change sign."""
    return (1.5, -0.5, 2.0, -1.0)[epoch]


class Foreign(LightningModule):
    """The logits are the inputs times a number that is another one after each epoch."""

    def __init__(self, **extra: Any) -> None:
        super().__init__()
        self.scale, self.extra = torch.nn.Parameter(torch.ones(())), extra
        self.dropout = torch.nn.Dropout(0.9)  # changes every output if a pass is not in evaluation mode

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        with torch.no_grad():
            self.scale.fill_(scale(self.current_epoch))
        return 0 * self.scale

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        return {"index": batch.index, "logits": self.dropout(self.scale * batch.input), **self.extra}

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        return self.predict_step(batch, batch_idx)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def probabilities(x: np.ndarray, epoch: int) -> np.ndarray:
    """(N, K) softmax of the logits after an epoch."""
    e = np.exp(scale(epoch) * x.astype(np.float64))
    return e / e.sum(-1, keepdims=True)

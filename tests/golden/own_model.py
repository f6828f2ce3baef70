"""A user's own model with parts of hilmix, which it keeps in its checkpoint as hilmix does."""

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from hilmix import Batch
from hilmix.human.perception import Perception
from hilmix.regularizers import Regularizer


class OwnModel(LightningModule):
    """Linear, trained on every vote alike."""

    def __init__(
        self,
        num_classes: int,
        num_annotators: int,
        input_shape: list[int],
        penalty: Regularizer,
        perception: Perception,
        lr: float = 0.1,
    ) -> None:
        super().__init__()
        self.penalty, self.perception = Regularizer.from_spec(penalty), Perception.from_spec(perception)
        sizes = {"num_classes": num_classes, "num_annotators": num_annotators, "input_shape": list(input_shape)}
        parts = {"penalty": self.penalty.spec(), "perception": self.perception.spec()}
        self.save_hyperparameters({**sizes, **parts, "lr": lr})
        self.lr = lr
        self.head = nn.Linear(input_shape[0], num_classes)

    def forward(self, input: Tensor) -> Tensor:
        logits: Tensor = self.head(input)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        log_probs = self(batch.input).log_softmax(-1)
        votes = nn.functional.nll_loss(log_probs[batch.row], batch.label)
        return votes + self.penalty.penalty(log_probs)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("test/mean_logit", self(batch.input).mean(), batch_size=len(batch.index))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)

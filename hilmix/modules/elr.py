"""Early-learning regularisation around the training of a classifier."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from hilmix.annotators import AnnotatorOutput
from hilmix.checks import NonNegative, Rate, check_settings
from hilmix.errors import ConfigError
from hilmix.functional.early_learning import early_learning_penalty, update_memory
from hilmix.functional.precision import at_least_float32
from hilmix.functional.sizes import bytes_needed, require_memory
from hilmix.modules.classifier import Classifier
from hilmix.modules.outputs import BatchOutput, Losses
from hilmix.types import Batch


class ELRClassifier(Classifier):
    """A classifier that is pulled towards its own earlier predictions, made before it memorised wrong labels.

        t_n <- beta t_n + (1 - beta) p(x_n)                  memory of item n, from the predictions of training steps
        loss = mean over the labels of -log p(x)[z] + weight log(1 - <t, p(x)>)

    The second term falls as p comes to agree with t, and its gradient outweighs that of a label which t contradicts.

    The memory (N, K) is kept in the checkpoint. On several devices each step moves the items of all of them, so that
    the memories are equal.

    Args:
        *args: see :class:`~hilmix.modules.Classifier`.
        beta: share of the memory that a step keeps, in [0, 1).
        weight: lambda, at least 0.
        **kwargs: see :class:`~hilmix.modules.Classifier`.

    Raises:
        ConfigError: for numbers outside these ranges; when training begins, if the batches are mixed or come from
            another data module than :class:`~hilmix.data.AnnotatedDataModule`.
        SizeError: when training begins, if the memory would not fit.

    Reference: Liu, Niles-Weed, Razavian and Fernandez-Granda, "Early-Learning Regularization Prevents Memorization of
    Noisy Labels", NeurIPS 2020, ELR, with its values for CIFAR-10 and symmetric noise. ELR+, which adds a second
    network, weight averages and mixup, is not here.
    """

    def __init__(self, *args: Any, beta: Rate = 0.7, weight: NonNegative = 3.0, **kwargs: Any) -> None:
        own = {"beta": beta, "weight": weight}
        check_settings("model", ELRClassifier.__init__, own)
        super().__init__(*args, **kwargs)
        self.save_hyperparameters(own)
        self.beta, self.weight = float(beta), float(weight)
        self.memory: Tensor | None = None
        """(N + 1, K), the last row for what fills up a batch."""

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit":
            items, classes = len(self._data.data), self.hparams["num_classes"]
            needed = bytes_needed(items=items, classes=classes, per_item=1, width=4)
            require_memory("The memory of early predictions", needed, items=items, classes=classes)
            # Comes before a checkpoint is restored: another fit begins anew, a resumed one goes on.
            self.memory = None

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if self.memory is None:
            sizes = len(self._data.data) + 1, self.hparams["num_classes"]
            self.memory = torch.zeros(sizes, dtype=at_least_float32(self.input_mean).dtype)
        self.memory = self.memory.to(self.device)  # a checkpoint is restored before the module moves to its device

    def forward_batch(self, batch: Batch) -> BatchOutput:
        """Returns the values of a batch, and moves the memory of its items."""
        if batch.plan is not None:
            raise ConfigError("ELRClassifier remembers the prediction of each item. Set data.mix to NoMix.")
        found = super().forward_batch(batch)
        self._remember(batch.index, found.log_probs)
        return found

    @torch.no_grad()
    def _remember(self, index: Tensor, log_probs: Tensor) -> None:
        # Gathered tensors must have the same size on all ranks: what fills them up goes to the last row.
        room = self._data.batch_size - len(index)
        padded = pad(index, (0, room), value=len(self._memory) - 1), pad(log_probs, (0, 0, 0, room))
        rows, values = (torch.as_tensor(self.all_gather(part)) for part in padded)
        update_memory(self._memory, rows.reshape(-1), values.reshape(-1, values.shape[-1]), self.beta)

    def losses(self, log_probs: Tensor, output: AnnotatorOutput, batch: Batch) -> Losses:
        """Returns the terms of the data loss: one for each pair of the batch."""
        plain = super().losses(log_probs, output, batch)
        pull = early_learning_penalty(self._memory[batch.index], log_probs)
        return plain._replace(value=plain.value + self.weight * pull[plain.item])

    @property
    def _memory(self) -> Tensor:
        assert self.memory is not None, "made when training starts, or read from the checkpoint"
        return self.memory

    @property
    def _data(self) -> Any:
        datamodule = getattr(self.trainer, "datamodule", None)
        if not hasattr(datamodule, "data"):
            raise ConfigError(
                "ELRClassifier keeps a memory of every item: give the trainer a hilmix.data.AnnotatedDataModule."
            )
        return datamodule

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["elr"] = {"memory": self.memory}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        if "elr" not in checkpoint:
            raise ConfigError("ELRClassifier: the checkpoint is not of an ELRClassifier: it holds no 'elr'.")
        self.memory = checkpoint["elr"]["memory"]

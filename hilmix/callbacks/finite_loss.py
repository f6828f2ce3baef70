"""A run that has diverged ends before anything of it is saved."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from hilmix.callbacks.files import run_folder
from hilmix.errors import RunError


class FiniteLoss(Callback):
    """Ends ``fit`` when the training loss, a weight, or what is predicted of validation items is NaN or infinite.

    Such a model is never written to a file.

    The loss is followed on its device. It is read, which waits for the device, after each step on a CPU, else every
    ``log_every_n_steps``, before each validation, at the end of epochs and before each checkpoint. A loss that
    recovers, as when a gradient scaler drops a step, does not count.
    """

    def __init__(self) -> None:
        self._since: Tensor | None = None
        self._predicted: Tensor | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._since = torch.tensor(-1, device=trainer.strategy.root_device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if self._since is None or not isinstance(loss, Tensor):
            return
        # On the device: reading the loss here would wait for it in every step.
        step = torch.where(self._since < 0, trainer.global_step, self._since)
        self._since = torch.where(loss.detach().isfinite().all(), -1, step)
        free = self._since.device.type == "cpu" and trainer.world_size == 1
        if free or trainer.global_step % max(1, trainer.log_every_n_steps) == 0:  # type: ignore[attr-defined]
            self._refuse_loss(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._refuse(trainer, pl_module)
        self._predicted = torch.tensor(True, device=trainer.strategy.root_device)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        logits = getattr(outputs, "logits", None)
        if self._predicted is not None and isinstance(logits, Tensor):
            self._predicted = self._predicted & logits.isfinite().all()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Also called by validation outside of training, where a bad checkpoint is for its metrics to show.
        if self._since is None or self._predicted is None or trainer.state.fn != TrainerFn.FITTING:
            return
        if not _everywhere(trainer, self._predicted):
            raise _diverged(trainer, f"The loss of validation items is not finite since step {trainer.global_step}")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._refuse(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._refuse(trainer, pl_module)

    def _refuse(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._since is None or trainer.state.fn != TrainerFn.FITTING:
            return
        self._refuse_loss(trainer)
        # Weights, too: a step can overflow them behind a loss that was still finite.
        finite = [p.detach().isfinite().all() for p in pl_module.parameters() if p.numel()]
        if finite and not _everywhere(trainer, torch.stack(finite).all()):
            raise _diverged(trainer, f"Weights are not finite since step {trainer.global_step} at the latest")

    def _refuse_loss(self, trainer: Trainer) -> None:
        assert self._since is not None
        if not _everywhere(trainer, self._since < 0):
            raise _diverged(trainer, f"The loss is not finite since step {max(int(self._since), 1)}")


def _everywhere(trainer: Trainer, holds: Tensor) -> bool:
    """Returns whether ``holds`` is true on every rank; each of them must call it."""
    if trainer.world_size == 1:
        return bool(holds)
    # All ranks raise together; one alone would leave the others waiting in their next collective.
    fails = torch.as_tensor(trainer.strategy.reduce((~holds).int(), reduce_op="max"))
    return not bool(fails)


def _diverged(trainer: Trainer, what: str) -> RunError:
    last = run_folder(trainer) / "checkpoints" / "last.ckpt"
    kept = f"{last} holds the last finite model" if last.exists() else "no checkpoint had been saved before"
    return RunError(
        f"{what} (epoch {trainer.current_epoch}): the training has diverged; {kept}. Use a smaller learning rate "
        "(model.lr), or smaller weights of penalties and explanation losses, in a fresh run."
    )

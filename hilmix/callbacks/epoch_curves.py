"""Curves beyond the metrics of the model: the learning rate, and the share of labels that are wrong."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torchmetrics import MeanMetric

from hilmix.types import StepOutput


class EpochCurves(Callback):
    """Logs ``train/lr`` with the training steps that are logged and ``val/label_noise`` once per validation.

    ``train/lr`` is the largest learning rate of all groups of parameters, by which the step is taken: one curve,
    whatever their number. ``val/label_noise`` is the mean of 1 - p(annotator is right) over the labels of the
    validation items, before seeing them: the share of wrong labels as the annotator model estimates it. Without one it
    is not logged.
    """

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]
        if rates:
            pl_module.log("train/lr", float(max(rates)), on_step=True, on_epoch=False, batch_size=1)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._noise = MeanMetric(nan_strategy="disable").to(pl_module.device)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if isinstance(outputs, StepOutput) and (p_right := outputs.p_right) is not None:
            self._noise.update(1 - p_right.float())

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        noise = self._noise.compute()  # sums over ranks; NaN where no rank has seen a label
        if not noise.isnan():
            pl_module.log("val/label_noise", noise, batch_size=1)

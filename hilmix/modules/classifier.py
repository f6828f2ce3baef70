"""The model under Lightning: steps, metrics, optimizer, checkpoints."""

import logging
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import LearningRateFinder
from torch import Tensor
from torchmetrics import MeanMetric

from hilmix.checks import NonNegative, check_settings
from hilmix.errors import RunError, unfit_weights
from hilmix.functional.random import run_seed, step_seed
from hilmix.integrity import check_intact, read_checkpoint
from hilmix.modules.explained import require_masks
from hilmix.modules.model import CrowdModel
from hilmix.modules.optimization import LrScaling, Optimization, Schedule
from hilmix.modules.stage_metrics import StageMetrics
from hilmix.trusted import check_class_paths
from hilmix.types import Batch, StepOutput

log = logging.getLogger(__name__)


class Classifier(CrowdModel, LightningModule):
    """A :class:`~hilmix.modules.CrowdModel` that Lightning trains.

    Args:
        *args: see :class:`~hilmix.modules.CrowdModel`.
        optimizer: name of a class in ``torch.optim``.
        lr: learning rate.
        weight_decay: of backbone and class head; the annotator model has none, as in annot-mix.
        optimizer_kwargs: further arguments of the optimizer.
        lr_scaling: ``fan-in`` lets one ``lr`` suit inputs and layers of any width; ``none`` is the same for all. See
            :func:`~hilmix.modules.optimization.class_model_groups`.
        schedule: ``cosine`` to zero over all steps, or ``constant``.
        **kwargs: see :class:`~hilmix.modules.CrowdModel`.

    Raises:
        ConfigError: as :class:`~hilmix.modules.CrowdModel`; or if the optimizer cannot take a step.

    Example:
        >>> model = Classifier(num_classes=3, num_annotators=5, input_shape=(8,), lr=0.01)
        >>> model(torch.zeros(2, 8)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        *args: Any,
        optimizer: str = "RAdam",
        lr: NonNegative = 1e-3,
        weight_decay: NonNegative = 1e-4,
        optimizer_kwargs: dict[str, Any] | None = None,
        lr_scaling: LrScaling = "none",
        schedule: Schedule = "cosine",
        **kwargs: Any,
    ) -> None:
        check_settings("model", Classifier.__init__, locals())
        super().__init__(*args, **kwargs)
        self.optimization = Optimization(optimizer, lr, weight_decay, optimizer_kwargs or {}, lr_scaling, schedule)
        # Plain values, not Lightning's own collection: that stores a subclass's arguments under LightningCLI alone, and
        # pickles modules, which loading with weights_only refuses.
        self.save_hyperparameters(self.settings | asdict(self.optimization))
        self.lr, self.seed = lr, 0  # a finder of learning rates sets `lr`
        self.trained_on: dict[str, Any] | None = None
        """State of the data module that served the training; names of classes and annotators are in it."""
        # By default torchmetrics drops NaN, which would hide divergence, and reads each value on the host to find it.
        self.train_loss = MeanMetric(nan_strategy="disable")
        groups = self.settings["num_groups"]
        self.val_metrics, self.test_metrics = StageMetrics(groups), StageMetrics(groups)

    # -- steps -------------------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        step = self.compute_step(batch, progress=self._progress() if self.explanations else None)
        value, terms = step.losses.value, step.losses.terms
        # Weighted by terms: the mean of an epoch is over annotations, however many each batch has; one without adds 0.
        self.train_loss.update(value.detach().sum() / terms.clamp_min(1), terms)
        # The metric, not a float: Lightning truncates the batch sizes by which it averages floats over ranks (its issue
        # 21859). Without batch_size it would search the batch for one.
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, batch_size=len(batch.index))
        return {"loss": step.loss, "output": step.output}

    def _progress(self) -> float | None:
        steps = self.trainer.estimated_stepping_batches
        return None if math.isinf(steps) else self.trainer.global_step / steps

    def per_term(self, count: Tensor) -> Tensor:
        """Returns the factor that makes a sum over ``count`` terms of this rank the mean over the terms of all ranks.

        DDP averages gradients over ranks; times their number the average is the gradient of one process.
        """
        # A copy, as the collective writes into its argument.
        total = torch.as_tensor(self.trainer.strategy.reduce(count.clone(), reduce_op="sum"))
        return self.trainer.world_size / total.clamp_min(1)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> StepOutput:
        output = self.evaluate(batch)
        self.val_metrics.update(output)
        return output

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> StepOutput:
        output = self.evaluate(batch)
        self.test_metrics.update(output)
        return output

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> StepOutput:
        return self.evaluate(batch)

    # -- hooks -------------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        self.seed = run_seed()
        datamodule = getattr(self.trainer, "datamodule", None)
        groups = getattr(datamodule, "num_groups", None)
        if groups not in (None, self.hparams["num_groups"]):  # evaluated on data with others than those of training
            self.val_metrics, self.test_metrics = StageMetrics(groups), StageMetrics(groups)
        if stage == "fit" and self.explanations:
            require_masks(getattr(datamodule, "has_masks", True))
        if stage == "fit" and datamodule is not None:
            self.trained_on = datamodule.state_dict()
        if stage == "fit" and datamodule is not None and self.hparams["num_annotator_features"]:
            self.annotator_model.set_annotator_features(datamodule.annotator_features())
        if stage == "fit" and hasattr(datamodule, "input_statistics"):
            self.scale_inputs(datamodule)  # a checkpoint's values, if one is resumed, are loaded after this

    def on_fit_start(self) -> None:
        if any(isinstance(callback, LearningRateFinder) for callback in self.trainer.callbacks):  # type: ignore[attr-defined]
            # Lightning gives the found rate to the optimizer, but not to its schedule, which sets it from step 2 on
            self.trainer.strategy.setup_optimizers(self.trainer)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Lightning restores no random state: seeded per step, dropout repeats after a resume and differs between ranks.
        # Not by global_step, which stands still while gradients accumulate.
        counter = self.trainer.fit_loop.epoch_loop.total_batch_idx
        torch.manual_seed(step_seed(self.seed, counter, self.global_rank))

    def on_validation_epoch_start(self) -> None:
        # Values are logged, not these metrics, so Lightning does not reset them, nor after its sanity check.
        self.val_metrics.reset()

    def on_validation_epoch_end(self) -> None:
        self._log_stage("val", self.val_metrics)

    def on_test_epoch_start(self) -> None:
        self.test_metrics.reset()

    def on_test_epoch_end(self) -> None:
        self._log_stage("test", self.test_metrics)

    def _log_stage(self, stage: str, metrics: StageMetrics) -> None:
        values = metrics.compute()  # reduced over ranks by torchmetrics, so equal on all of them
        shown = {"loss", "acc"} if "acc" in values else {"loss", "agreement"}
        for name, value in values.items():
            self.log(f"{stage}/{name}", value, prog_bar=stage == "val" and name in shown, batch_size=1)

    def configure_optimizers(self) -> Any:
        optimization = replace(self.optimization, lr=self.lr)
        if optimization.lr_scaling == "fan-in" and self.backbone.input_normalisation is not None:
            log.warning(
                "lr_scaling fan-in with lr %g is for random weights and can undo pretrained ones; give these a small "
                "rate of their own, as lr 3e-4 with lr_scaling none.",
                self.lr,
            )
        parts = [self.backbone, self.head]
        optimizer, schedule = optimization.build(
            parts, self.annotator_model, steps=lambda: self.trainer.estimated_stepping_batches
        )
        return optimizer if schedule is None else ([optimizer], [{"scheduler": schedule, "interval": "step"}])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seed"], checkpoint["scaled_by"] = self.seed, self.scaled_by

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Checkpoints of other tools and of older versions lack these entries.
        self.seed, self.scaled_by = checkpoint.get("seed", self.seed), checkpoint.get("scaled_by", self.scaled_by)
        # that of the data module bears its class name, which may be any
        states = (value for value in checkpoint.values() if isinstance(value, dict))
        self.trained_on = next((state for state in states if {"classes", "annotators", "items"} <= state.keys()), None)

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: str | Path, **kwargs: Any) -> Self:
        """Rebuilds the classifier from a checkpoint; pretrained weights are not fetched again.

        Raises:
            RunError: if the file is damaged, not of a classifier, or its weights are not those of the model that its
                settings describe: with the names that are missing, unexpected or of another size.
        """
        check_intact(checkpoint_path)
        saved = read_checkpoint(checkpoint_path).get("hyper_parameters")
        if not isinstance(saved, dict) or "backbone" not in saved:
            raise RunError(f"{checkpoint_path} holds no settings of a hilmix classifier; load it with its own class.")
        check_class_paths(saved, where=str(checkpoint_path))
        backbone = kwargs.pop("backbone", saved["backbone"])
        if isinstance(backbone, dict) and backbone.get("init_args", {}).get("pretrained"):
            backbone = {**backbone, "init_args": {**backbone["init_args"], "pretrained": False}}
        kwargs |= {"backbone": backbone, "weights_only": True}  # Lightning runs code of a file it takes for an address
        try:
            return super().load_from_checkpoint(checkpoint_path, **kwargs)
        except (RuntimeError, TypeError) as error:
            unfit = unfit_weights(str(error), str(checkpoint_path))
            if "unexpected keyword argument" in str(error):
                unfit = f"{checkpoint_path} holds settings that {cls.__name__} lacks: {error}."
            if unfit is None:
                raise
            raise RunError(unfit) from error

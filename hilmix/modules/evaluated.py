"""Base of every module of hilmix under Lightning: evaluation steps, their metrics, and checkpoints."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from lightning.pytorch import LightningModule
from torchmetrics import MeanMetric

from hilmix.backbones import without_pretrained
from hilmix.errors import RunError, unfit_weights
from hilmix.functional.random import run_seed
from hilmix.integrity import check_intact, name_module, named_module, read_checkpoint
from hilmix.modules.optimization import Optimization
from hilmix.modules.outputs import Losses
from hilmix.modules.stage_metrics import StageMetrics
from hilmix.trusted import check_class_paths
from hilmix.types import Batch, StepOutput


class EvaluatedModule(LightningModule):
    """Base of modules whose :meth:`evaluate` gives the outputs for an un-mixed batch.

    Their constructor calls :meth:`measure_groups`, once the number of groups is known.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seed = 0
        self.trained_on: dict[str, Any] | None = None
        """State of the data module that served the training; names of classes and annotators are in it."""
        # By default torchmetrics drops NaN, which would hide divergence, and reads each value on the host to find it.
        self.train_loss = MeanMetric(nan_strategy="disable")

    def measure_groups(self, num_groups: int) -> None:
        """Makes the metrics of validation and test items anew, for data with G groups."""
        self.val_metrics, self.test_metrics = StageMetrics(num_groups), StageMetrics(num_groups)

    def evaluate(self, batch: Batch) -> StepOutput:
        """Returns all outputs for an un-mixed batch."""
        raise NotImplementedError

    # -- steps -------------------------------------------------------------------------------------------------------

    def log_training_losses(self, losses: Sequence[Losses], *, items: int) -> None:
        """Logs ``train/loss`` in a training step: the mean over all terms of the epoch.

        Args:
            losses: of the step, of one network or several.
            items: B of the batch.
        """
        for value, _, terms in losses:
            # By terms: the mean of an epoch is over annotations, however many each batch has; one without adds 0.
            self.train_loss.update(value.detach().sum() / terms.clamp_min(1), terms)
        # The metric, not a float: Lightning truncates the batch sizes by which it averages floats over ranks (its issue
        # 21859). Without batch_size it would search the batch for one.
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, batch_size=items)

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

    @property
    def _counter(self) -> int:
        """Number of batches since the start of training."""
        return self.trainer.fit_loop.epoch_loop.total_batch_idx

    # -- hooks -------------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        self.seed = run_seed()
        datamodule = getattr(self.trainer, "datamodule", None)
        groups = getattr(datamodule, "num_groups", None)
        if groups not in (None, self.hparams["num_groups"]):  # evaluated on data with others than those of training
            self.measure_groups(groups)
        if stage == "fit" and datamodule is not None:
            self.trained_on = datamodule.state_dict()

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

    def build_optimizer(self, optimization: Optimization, groups: list[dict[str, Any]]) -> Any:
        """Returns an optimizer of parameter groups, with its schedule, as Lightning takes them."""
        optimizer, schedule = optimization.build(groups, steps=lambda: self.trainer.estimated_stepping_batches)
        return optimizer if schedule is None else ([optimizer], [schedule])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seed"] = self.seed
        name_module(checkpoint, self)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.seed = checkpoint.get("seed", self.seed)  # checkpoints of other tools and of older versions lack it
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
        checkpoint = read_checkpoint(checkpoint_path)
        saved = checkpoint.get("hyper_parameters")
        if not isinstance(saved, dict) or "backbone" not in saved:
            raise RunError(f"{checkpoint_path} holds no settings of a hilmix classifier; load it with its own class.")
        check_class_paths(saved, where=str(checkpoint_path))
        kwargs["backbone"] = without_pretrained(kwargs.get("backbone", saved["backbone"]))
        kwargs["weights_only"] = True  # Lightning runs code of a file that it takes for an address
        try:
            return super().load_from_checkpoint(checkpoint_path, **kwargs)
        except (RuntimeError, TypeError) as error:
            unfit = unfit_weights(str(error), str(checkpoint_path))
            if "unexpected keyword argument" in str(error):
                unfit = f"{checkpoint_path} holds settings that {cls.__name__} lacks: {error}."
                if (named := named_module(checkpoint)) is not None:
                    unfit += f" It was saved from {named}: load it with that class."
            if unfit is None:
                raise
            raise RunError(unfit) from error

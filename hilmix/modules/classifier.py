"""The model under Lightning: steps, metrics, optimizer, checkpoints."""

import logging
import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import LearningRateFinder
from numpy.typing import NDArray
from torch import Tensor

from hilmix.checks import NonNegative, NonNegativeInt, PositiveShare, check_settings
from hilmix.functional.generators import seed_torch
from hilmix.functional.random import step_seed
from hilmix.modules.evaluated import EvaluatedModule
from hilmix.modules.explained import require_masks
from hilmix.modules.model import CrowdModel
from hilmix.modules.optimization import Optimization, find_rate
from hilmix.modules.outputs import TrainingStep
from hilmix.modules.parameter_groups import LrScaling
from hilmix.modules.schedules import Schedule
from hilmix.types import Batch

log = logging.getLogger(__name__)


class Classifier(CrowdModel, EvaluatedModule):
    """A :class:`~hilmix.modules.CrowdModel` that Lightning trains.

    Args:
        *args: see :class:`~hilmix.modules.CrowdModel`.
        optimizer: name of a class in ``torch.optim``.
        lr: learning rate; None for the one of the kind of input, 0.01 for vectors, 0.001 for images, and 3e-4 where
            the backbone is pretrained.
        weight_decay: of backbone and class head; the annotator model has none, as in annot-mix.
        optimizer_kwargs: further arguments of the optimizer.
        lr_scaling: ``fan-in`` multiplies ``lr`` by 64 over the number of inputs of each layer that has more, ``none``
            is the same for all. None goes with the default rate, and leaves a given one as it is. See
            :func:`~hilmix.modules.parameter_groups.class_model_groups`.
        schedule: ``cosine`` to zero over all steps, or ``constant``.
        lr_warmup_steps: steps in which the rate rises linearly to its value, for large pretrained networks; 0 for none.
        lr_scheduler: name of a class in ``torch.optim.lr_scheduler``, such as ``OneCycleLR``, in place of ``schedule``;
            see :func:`~hilmix.modules.schedules.make_scheduler`.
        lr_scheduler_kwargs: its arguments, such as ``{max_lr: 0.1}``.
        layer_decay: factor of the learning rate per layer of the backbone, from the head down to the input, as 0.75
            where large pretrained networks are fine-tuned; 1 for none.
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
        lr: NonNegative | None = None,
        weight_decay: NonNegative = 1e-4,
        optimizer_kwargs: dict[str, Any] | None = None,
        lr_scaling: LrScaling | None = None,
        schedule: Schedule = "cosine",
        lr_warmup_steps: NonNegativeInt = 0,
        lr_scheduler: str | None = None,
        lr_scheduler_kwargs: dict[str, Any] | None = None,
        layer_decay: PositiveShare = 1.0,
        **kwargs: Any,
    ) -> None:
        check_settings("model", Classifier.__init__, locals())
        super().__init__(*args, **kwargs)
        rate = find_rate(self.backbone.input_kind, lr, lr_scaling)
        self.optimization = Optimization(
            optimizer,
            rate.lr,
            weight_decay,
            optimizer_kwargs or {},
            rate.scaling,
            schedule,
            lr_warmup_steps,
            lr_scheduler,
            lr_scheduler_kwargs or {},
            layer_decay,
        )
        # Plain values, not Lightning's own collection: that stores a subclass's arguments under LightningCLI alone, and
        # pickles modules, which loading with weights_only refuses.
        self.save_hyperparameters(self.settings | asdict(self.optimization))
        self.lr = rate.lr  # a finder of learning rates sets it
        self.left_out: NDArray[np.bool_] | None = None
        """(N,) bool, items of the data whose labels a network of cross-fitting must not read, or None."""
        self.measure_groups(self.settings["num_groups"])

    # -- steps -------------------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        step = self.trainer_step(batch)
        self.log_training_losses([step.losses], items=len(batch.index))
        return {"loss": step.loss, "output": step.output}

    def trainer_step(self, batch: Batch) -> TrainingStep:
        """Returns the loss of a batch, its terms and outputs, at the point of the run that the trainer has reached."""
        return self.compute_step(batch, progress=self._progress() if self.explanations else None)

    def fold_losses(self, batch: Batch) -> list[Tensor]:
        """Returns the losses of further networks that are trained beside this one; none here.

        Args:
            batch: un-mixed.
        """
        return []

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

    # -- hooks -------------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        super().setup(stage)
        datamodule = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and self.explanations:
            require_masks(getattr(datamodule, "has_masks", True))
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
        seed_torch(step_seed(self.seed, self._counter, self.global_rank), self.device)

    def configure_optimizers(self) -> Any:
        return self.build_optimizer(replace(self.optimization, lr=self.lr), self.parameter_groups())

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Returns the groups of the optimizer, with their learning rates."""
        optimization = replace(self.optimization, lr=self.lr)
        if optimization.lr_scaling == "fan-in" and self.backbone.input_normalisation is not None:
            log.warning(
                "lr_scaling fan-in with lr %g is for random weights and can undo pretrained ones; give these a small "
                "rate of their own, as lr 3e-4 with lr_scaling none.",
                self.lr,
            )
        return optimization.parameter_groups([self.backbone, self.head], self.annotator_model)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["scaled_by"] = self.scaled_by

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.scaled_by = checkpoint.get("scaled_by", self.scaled_by)  # those of older versions lack it

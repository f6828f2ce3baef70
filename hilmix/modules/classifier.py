"""The classifier: backbone, annotator model and regularisers, wired for Lightning."""

from contextlib import AbstractContextManager, nullcontext
from copy import copy
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import LearningRateFinder
from torch import Tensor, nn
from torchmetrics import MeanMetric

from hilmix.annotators import AnnotatorModel, AnnotatorOutput, Perfect
from hilmix.backbones import Backbone, default_backbone
from hilmix.checks import NonNegative, NonNegativeInt, PositiveInt, check_settings
from hilmix.errors import ConfigError, RunError, unfit_weights
from hilmix.explanations import Explanation
from hilmix.functional.inputs import as_float, normalise
from hilmix.functional.mixing import mix_rows, partner_rows
from hilmix.functional.precision import at_least_float32
from hilmix.functional.random import run_seed, step_seed
from hilmix.group_dro import GroupDRO
from hilmix.integrity import check_intact, read_checkpoint
from hilmix.modules.batch_norm import running_statistics
from hilmix.modules.evaluation import evaluate, training_output
from hilmix.modules.explained import double_backward_attention, refuse_without_masks, training_pass
from hilmix.modules.optimization import LrScaling, configured, try_optimizer
from hilmix.modules.scaling import Standardize, scaling_of
from hilmix.modules.stage_metrics import StageMetrics
from hilmix.regularizers import Regularizer
from hilmix.trusted import check_class_paths
from hilmix.types import Batch, MixPlan, StepOutput


class Losses(NamedTuple):
    """The terms of a batch's loss."""

    value: Tensor
    """(T,) float, one for each pair; from an EMClassifier one for each row that counts."""
    item: Tensor
    """(T,) int64, the row of ``index`` that a term belongs to."""
    terms: Tensor
    """Scalar float: how many terms their sum counts for."""


class Classifier(LightningModule):
    """Class model p(y | x) and annotator model p(z | x, a, y), trained on whatever annotations a batch carries.

    ``num_classes``, ``num_annotators``, ``input_shape`` and the like come from the data; the command line links them.

    Args:
        num_classes: K.
        num_annotators: A.
        input_shape: (C, H, W) or (D,).
        backbone: None chooses by the kind of input: an MLP for vectors, a small timm ResNet for images.
        annotator_model: what annotators say given the class; default: labels at face value.
        regularizers: penalties on the class probabilities.
        explanations: losses by which marked inputs are kept from mattering; the data need masks.
        group_dro: weighs the data's groups by how badly they fare; default: every annotation counts alike.
        standardize: how inputs are scaled before the network. ``global``: vectors by one mean and one standard
            deviation of the training inputs, which keeps the proportions of ready features; ``feature``: each feature
            by its own, for quantities in different units; ``auto``: one of these by how much the features' deviations
            differ (:func:`~hilmix.functional.inputs.unit_ratio`), logged and kept in checkpoints; ``none``. Images:
            per channel for all but the last. Pretrained networks always get the scaling they were trained with.
        optimizer: name of a class in ``torch.optim``.
        lr: learning rate.
        weight_decay: of backbone and class head; the annotator model has none, as in annot-mix.
        optimizer_kwargs: further arguments of the optimizer.
        lr_scaling: ``fan-in`` lets one ``lr`` suit inputs and layers of any width; ``none`` is the same for all. See
            :func:`~hilmix.modules.optimization.class_model_groups`.
        schedule: ``cosine`` to zero over all steps, or ``constant``.
        num_annotator_features: F, width of the annotators' metadata, 0 without.
        num_groups: G, evaluation groups of the data, 0 without.

    Example:
        >>> model = Classifier(num_classes=3, num_annotators=5, input_shape=(8,))
        >>> model(torch.zeros(2, 8)).shape
        torch.Size([2, 3])
    """

    input_mean: Tensor
    input_std: Tensor

    def __init__(
        self,
        num_classes: PositiveInt,
        num_annotators: PositiveInt,
        input_shape: list[PositiveInt],
        backbone: Backbone | None = None,
        annotator_model: AnnotatorModel | None = None,
        regularizers: list[Regularizer] | None = None,
        explanations: list[Explanation] | None = None,
        group_dro: GroupDRO | None = None,
        standardize: Standardize = "auto",
        optimizer: str = "RAdam",
        lr: NonNegative = 1e-3,
        weight_decay: NonNegative = 1e-4,
        optimizer_kwargs: dict[str, Any] | None = None,
        lr_scaling: LrScaling = "none",
        schedule: Literal["cosine", "constant"] = "cosine",
        num_annotator_features: NonNegativeInt = 0,
        num_groups: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        check_settings("model", Classifier.__init__, locals())
        backbone = default_backbone(input_shape) if backbone is None else Backbone.from_spec(backbone)
        annotator_model = Perfect() if annotator_model is None else AnnotatorModel.from_spec(annotator_model)
        penalties = [Regularizer.from_spec(r) for r in regularizers or []]
        explained = [copy(Explanation.from_spec(e)) for e in explanations or []]  # each knows its model's network
        group_dro = None if group_dro is None else GroupDRO.from_spec(group_dro)
        self.save_hyperparameters(
            {
                "num_classes": num_classes,
                "num_annotators": num_annotators,
                "input_shape": list(input_shape),
                "num_annotator_features": num_annotator_features,
                "backbone": backbone.spec(),
                "annotator_model": annotator_model.spec(),
                "num_groups": num_groups,
                "regularizers": [r.spec() for r in penalties],
                "explanations": [e.spec() for e in explained],
                "group_dro": None if group_dro is None else group_dro.spec(),
                "standardize": standardize,
                "optimizer": optimizer,
                "lr": lr,
                "weight_decay": weight_decay,
                "optimizer_kwargs": dict(optimizer_kwargs or {}),
                "lr_scaling": lr_scaling,
                "schedule": schedule,
            }
        )
        self.optimizer, self.optimizer_kwargs, self.schedule = optimizer, dict(optimizer_kwargs or {}), schedule
        self.standardize, self.lr_scaling = standardize, lr_scaling
        self.scaled_by: Standardize = standardize
        self.lr, self.weight_decay, self.seed = lr, weight_decay, 0
        self.trained_on: dict[str, Any] | None = None
        """State of the data module that served the training; names of classes and annotators are in it."""
        try_optimizer(optimizer, lr, weight_decay, self.optimizer_kwargs)
        self.backbone = backbone.build(input_shape)
        width = self.backbone.num_features
        self.head = nn.Linear(width, num_classes)
        self.annotator_model = annotator_model.build(
            num_features=width,
            num_classes=num_classes,
            num_annotators=num_annotators,
            num_annotator_features=num_annotator_features,
        )
        self.regularizers, self.explanations = penalties, explained
        for part in explained:
            part.build(nn.Sequential(self.backbone.net, self.head))
        self.group_dro = None if group_dro is None else group_dro.build(num_groups)
        known = self.backbone.input_normalisation
        mean, std = known or ([0.0] * input_shape[0], [1.0] * input_shape[0])
        self.register_buffer("input_mean", torch.tensor(mean))
        self.register_buffer("input_std", torch.tensor(std))
        self.train_loss = MeanMetric(nan_strategy="disable")
        self.val_metrics, self.test_metrics = StageMetrics(num_groups), StageMetrics(num_groups)

    # -- the model ---------------------------------------------------------------------------------------------------

    def forward(self, input: Tensor) -> Tensor:
        """Returns class logits (R, K) for inputs (R, C, H, W), uint8 or float in [0, 1], or (R, D)."""
        logits: Tensor = self.head(self.features(self.standardized(input)))
        return logits

    def standardized(self, input: Tensor) -> Tensor:
        """Returns what the network reads, a fresh tensor: the inputs less their mean, in standard deviations."""
        return normalise(as_float(input), self.input_mean, self.input_std).to(self.input_mean.dtype)

    def features(self, x: Tensor, plan: MixPlan | None = None) -> Tensor:
        """Returns the backbone's output (R, D) for standardised inputs, mixed in a hidden layer if the plan says so."""
        inside: AbstractContextManager[None] = nullcontext()
        if plan is not None and plan.layer not in ("input", "features"):
            inside = self.backbone.mixing_at(plan)
        with running_statistics(self.backbone, len(x) < 2), inside:
            features: Tensor = self.backbone(x)
        return features

    def class_scores(self, x: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns features (R, D) and class logits (R, K) of a batch, mixed as its plan tells; for training.

        Args:
            x: standardised inputs, those of the batch or others in their place.
            batch: whose plan counts.
        """
        plan = batch.plan
        features = self.features(x, plan)
        if plan is not None and plan.layer == "features":
            features = features[batch.row] if plan.rows == "pairs" else features
            features = mix_rows(features, plan.partner, plan.weight)
        return features, self.head(features)

    def mixed_step(self, batch: Batch) -> tuple[StepOutput, AnnotatorOutput]:
        """Returns what the model says of a batch, mixed as its plan tells, and what its loss needs."""
        features, logits = self.class_scores(self.standardized(batch.input), batch)
        said = self.answers(features, at_least_float32(logits).log_softmax(-1), batch)
        return training_output(batch, logits, said), said

    def answers(self, features: Tensor, log_probs: Tensor, batch: Batch) -> AnnotatorOutput:
        """Returns what annotators are expected to say of the rows of a batch.

        Args:
            features: (R, D).
            log_probs: (R, K) class log-probabilities.
            batch: whose annotators are asked, under its plan.
        """
        plan, row, annotator = batch.plan, batch.row, batch.annotator
        if plan is not None and plan.rows == "pairs":
            return self._annotator_output(features, log_probs, annotator, plan)
        if plan is not None:  # own rows first, then the rows in which the item is the partner
            row, annotator = torch.cat([row, partner_rows(row, plan.partner)]), annotator.repeat(2)
        return self._annotator_output(features[row], log_probs[row], annotator, None)

    def _annotator_output(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None
    ) -> AnnotatorOutput:
        with running_statistics(self.annotator_model, len(annotator) < 2):
            label_log_probs, confusion = self.annotator_model(features, log_probs, annotator, plan)
        return AnnotatorOutput(label_log_probs, confusion, log_probs, annotator)

    def evaluate(self, batch: Batch) -> StepOutput:
        """Returns everything the model says of an un-mixed batch; the path of validation, test and prediction."""
        return evaluate(self, batch)

    # -- steps -------------------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        x = self.standardized(batch.input)
        if self.explanations:
            x.requires_grad_()
        with double_backward_attention(any(part.second_order for part in self.explanations)):
            features, logits = self.class_scores(x, batch)
        log_probs = at_least_float32(logits).log_softmax(-1)
        said = self.answers(features, log_probs, batch)
        losses = self.losses(log_probs, said, batch)
        per_term = self.per_term(losses.terms) if self.group_dro is None else self._by_group(losses, batch)
        loss = (per_term * losses.value).sum() + self.annotator_model.penalty()
        if self.regularizers:
            loss = loss + torch.stack([r.penalty(log_probs) for r in self.regularizers]).sum()
        if self.explanations:
            step = training_pass(self, batch, x, features, logits, log_probs, per_term)
            loss = loss + torch.stack([part.term(step) for part in self.explanations]).sum()
        self.train_loss.update(losses.value.detach().sum() / losses.terms.clamp_min(1), losses.terms)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, batch_size=len(batch.index))
        return {"loss": loss, "output": training_output(batch, logits, said)}

    def losses(self, log_probs: Tensor, said: AnnotatorOutput, batch: Batch) -> Losses:
        """Returns the terms of the loss: one for each pair of the batch."""
        value = self.annotator_model.loss(said, batch)
        return Losses(value, batch.row, torch.tensor(float(len(value)), device=value.device))

    def per_term(self, count: Tensor) -> Tensor:
        """Returns what a sum over ``count`` terms of this rank is multiplied by to become the mean over all ranks'.

        DDP averages gradients over ranks; times their number the average is the gradient of one process.
        """
        total = torch.as_tensor(self.trainer.strategy.reduce(count.clone(), reduce_op="sum"))
        return self.trainer.world_size / total.clamp_min(1)

    def _by_group(self, losses: Losses, batch: Batch) -> Tensor:
        """(T,) what each term is multiplied by."""
        assert self.group_dro is not None
        if batch.group is None:
            raise ConfigError("GroupDRO: the data have no groups; add the column 'group' to the items table.")
        weight: Tensor = self.group_dro(losses.value, batch.group[losses.item])
        return weight

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
            refuse_without_masks(getattr(datamodule, "has_masks", True))
        if stage == "fit" and datamodule is not None:
            self.trained_on = datamodule.state_dict()
        if stage == "fit" and datamodule is not None and self.hparams["num_annotator_features"]:
            self.annotator_model.set_annotator_features(datamodule.annotator_features())
        given = self.standardize == "none" or self.backbone.input_normalisation is not None
        if stage != "fit" or given or not hasattr(datamodule, "input_statistics"):
            return
        vectors = len(self.hparams["input_shape"]) == 1
        self.scaled_by, mean, std = scaling_of(datamodule, self.scaled_by, vectors=vectors)
        self.input_mean.copy_(mean)  # a checkpoint's values, if one is resumed, are loaded after this
        self.input_std.copy_(std)

    def on_fit_start(self) -> None:
        if any(isinstance(callback, LearningRateFinder) for callback in self.trainer.callbacks):  # type: ignore[attr-defined]
            # Lightning gives the found rate to the optimizer, but not to its schedule, which sets it from step 2 on
            self.trainer.strategy.setup_optimizers(self.trainer)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        counter = self.trainer.fit_loop.epoch_loop.total_batch_idx
        torch.manual_seed(step_seed(self.seed, counter, self.global_rank))

    def on_validation_epoch_start(self) -> None:
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
        return configured(self)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seed"], checkpoint["scaled_by"] = self.seed, self.scaled_by

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.seed, self.scaled_by = checkpoint.get("seed", self.seed), checkpoint.get("scaled_by", self.scaled_by)
        states = (
            value for value in checkpoint.values() if isinstance(value, dict)
        )  # one bears the module's class name
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
            raise RunError(
                f"{checkpoint_path} holds no settings of a classifier of hilmix; load it with its own class."
            )
        check_class_paths(saved, where=str(checkpoint_path))
        backbone = kwargs.pop("backbone", saved["backbone"])
        if isinstance(backbone, dict) and backbone.get("init_args", {}).get("pretrained"):
            backbone = {**backbone, "init_args": {**backbone["init_args"], "pretrained": False}}
        kwargs |= {
            "backbone": backbone,
            "weights_only": True,
        }  # Lightning would run code of what it takes for an address
        try:
            return super().load_from_checkpoint(checkpoint_path, **kwargs)
        except RuntimeError as error:
            if (unfit := unfit_weights(str(error), str(checkpoint_path))) is None:
                raise
            raise RunError(unfit) from error

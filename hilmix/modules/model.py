"""The model that learns from annotators, as a plain module: any training loop can train it."""

from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from hilmix.annotators import AnnotatorModel, AnnotatorOutput, Perfect
from hilmix.backbones import Backbone, default_backbone
from hilmix.checks import NonNegativeInt, PositiveInt, check_settings
from hilmix.errors import ConfigError
from hilmix.explanations import Explanation, TrainingPass
from hilmix.functional.inputs import as_float, normalise
from hilmix.functional.mixing import mix_rows, partner_rows
from hilmix.functional.modes import evaluation_mode
from hilmix.functional.precision import at_least_float32
from hilmix.group_dro import GroupDRO
from hilmix.modules.batch_norm import running_statistics
from hilmix.modules.explained import double_backward_attention, require_explainable
from hilmix.modules.outputs import (
    BatchOutput,
    Losses,
    TrainingStep,
    annotator_fields,
    evaluation_output,
    training_output,
)
from hilmix.modules.scaling import Standardize, scaling_of
from hilmix.parts import plain_value
from hilmix.regularizers import Regularizer
from hilmix.types import Batch, MixPlan, StepOutput


class CrowdModel(nn.Module):
    """Class model p(y | x) and annotator model p(z | x, a, y), trained on the annotations that a batch carries.

    ``num_classes``, ``num_annotators``, ``input_shape`` and the like come from the data; the command line links them.

    Args:
        num_classes: K.
        num_annotators: A.
        input_shape: (C, H, W) or (D,).
        backbone: None chooses by the kind of input, see :func:`~hilmix.backbones.default_backbone`: an MLP with batch
            norm for vectors, a small timm ResNet for images.
        annotator_model: p(label | class, annotator, input); default: labels at face value.
        regularizers: penalties on the class probabilities.
        explanations: losses by which marked inputs are kept from mattering; the data need masks.
        group_dro: weighs the data's groups by how badly they fare; default: every annotation counts alike.
        standardize: how inputs are scaled before the network. ``global``: vectors by one mean and one standard
            deviation of the training inputs, which keeps the proportions of ready features; ``feature``: each feature
            by its own, for quantities in different units; ``auto``: one of these by how much the features' deviations
            differ (:func:`~hilmix.functional.inputs.unit_ratio`), logged and kept in checkpoints; ``none``. Images:
            per channel for all but the last. Pretrained networks always get the scaling they were trained with.
        num_annotator_features: F, width of the annotators' metadata, 0 without.
        num_groups: G, evaluation groups of the data, 0 without.
        freeze: layers of the backbone that are not trained, such as ``[layer1]``, or ``[backbone]``; see
            :meth:`~hilmix.backbones.Backbone.freeze`.

    Raises:
        ConfigError: for a setting that does not fit its annotation, or parts that do not fit each other.

    Example:
        >>> model = CrowdModel(num_classes=3, num_annotators=5, input_shape=(8,))
        >>> batch = Batch(
        ...     input=torch.randn(4, 8),
        ...     index=torch.arange(4),
        ...     target=torch.full((4,), -1),
        ...     row=torch.tensor([0, 0, 2, 3]),
        ...     annotator=torch.tensor([0, 4, 1, 2]),
        ...     label=torch.tensor([2, 2, 0, 1]),
        ... )
        >>> model.loss(batch).backward()
        >>> model.predict_proba(batch.input).shape
        torch.Size([4, 3])
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
        num_annotator_features: NonNegativeInt = 0,
        num_groups: NonNegativeInt = 0,
        freeze: list[str] | None = None,
    ) -> None:
        # First, before more locals appear; `__class__` is one wherever super() is used.
        settings = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        check_settings("model", CrowdModel.__init__, settings)
        super().__init__()
        backbone = default_backbone(input_shape) if backbone is None else Backbone.from_spec(backbone)
        annotator_model = Perfect() if annotator_model is None else AnnotatorModel.from_spec(annotator_model)
        group_dro = None if group_dro is None else GroupDRO.from_spec(group_dro)
        self.regularizers = [Regularizer.from_spec(part) for part in regularizers or []]
        # copies: each part walks the network of one model, and may have been given to several
        self.explanations = [copy(Explanation.from_spec(part)) for part in explanations or []]
        settings |= {"backbone": backbone, "annotator_model": annotator_model, "group_dro": group_dro}
        settings |= {"regularizers": self.regularizers, "explanations": self.explanations}
        self.settings: dict[str, Any] = plain_value(settings)
        """The constructor's arguments as plain values, parts as their specifications."""
        self.scaled_by: Standardize = standardize
        self.backbone = backbone.build(input_shape)
        self.backbone.freeze(freeze or [])
        width = self.backbone.num_features
        self.head = nn.Linear(width, num_classes)
        self.annotator_model = annotator_model.build(
            num_features=width,
            num_classes=num_classes,
            num_annotators=num_annotators,
            num_annotator_features=num_annotator_features,
        )
        for part in self.explanations:
            part.build(nn.Sequential(self.backbone.net, self.head))
        self.group_dro = None if group_dro is None else group_dro.build(num_groups)
        mean, std = self.backbone.input_normalisation or ([0.0] * input_shape[0], [1.0] * input_shape[0])
        # Buffers lie in checkpoints: a loaded model scales inputs as in training, without the data.
        self.register_buffer("input_mean", torch.tensor(mean))
        self.register_buffer("input_std", torch.tensor(std))

    @property
    def ensemble(self) -> "list[CrowdModel]":
        """The networks whose mean is the prediction: itself."""
        return [self]

    # -- from inputs to probabilities --------------------------------------------------------------------------------

    def forward(self, input: Tensor) -> Tensor:
        """Returns class logits (R, K) for inputs (R, C, H, W), uint8 or float in [0, 1], or (R, D)."""
        logits: Tensor = self.head(self.features(self.standardized(input)))
        return logits

    @torch.no_grad()
    def predict_proba(self, input: Tensor) -> Tensor:
        """Returns class probabilities (B, K), float32 or float64, in evaluation mode and without a gradient.

        Args:
            input: (B, C, H, W), uint8 or float in [0, 1], or (B, D).
        """
        with evaluation_mode(self):
            return at_least_float32(self(input)).softmax(-1)

    def evaluate(self, batch: Batch) -> StepOutput:
        """Returns all outputs for an un-mixed batch: the path of validation, test and prediction.

        Args:
            batch: of B rows; put the model into evaluation mode first.
        """
        features = self.features(self.standardized(batch.input))
        # float32 before the logarithm: in bfloat16 log-probabilities have three digits.
        logits = at_least_float32(self.evaluation_logits(features, batch))
        fields = annotator_fields(self.annotator_model, features, logits.log_softmax(-1), batch)
        return evaluation_output(batch, logits, fields)

    def evaluation_logits(self, features: Tensor, batch: Batch) -> Tensor:
        """Returns class logits (B, K) of an un-mixed batch from its features (B, D)."""
        logits: Tensor = self.head(features)
        return logits

    def standardized(self, input: Tensor) -> Tensor:
        """Returns the network's inputs, a fresh tensor: the inputs less their mean, in standard deviations."""
        # In the weights' precision, which need not be that of the data.
        return normalise(as_float(input), self.input_mean, self.input_std).to(self.input_mean.dtype)

    def scale_inputs(self, datamodule: Any) -> None:
        """Sets the input scaling from training inputs; keeps that of a pretrained network, and ``none``.

        Args:
            datamodule: has ``input_statistics()``; see :func:`~hilmix.modules.scaling.scaling_of`.
        """
        if self.settings["standardize"] == "none" or self.backbone.input_normalisation is not None:
            return
        vectors = len(self.settings["input_shape"]) == 1
        self.scaled_by, mean, std = scaling_of(datamodule, self.scaled_by, vectors=vectors)
        self.input_mean.copy_(mean)
        self.input_std.copy_(std)

    def features(self, x: Tensor, plan: MixPlan | None = None) -> Tensor:
        """Returns the backbone's output (R, D) for standardised inputs, mixed in a hidden layer if the plan says so."""
        inside: AbstractContextManager[None] = nullcontext()
        if plan is not None and plan.layer not in ("input", "features"):
            inside = self.backbone.mixing_at(plan)
        with running_statistics(self.backbone, len(x) < 2), inside:
            # A ViT cannot reshape a batch without rows: a row of zeros stands in for them, and has no gradient.
            features: Tensor = self.backbone(x) if len(x) else self.backbone(x.new_zeros(1, *x.shape[1:]))[:0]
        return features

    # -- training ----------------------------------------------------------------------------------------------------

    def loss(self, batch: Batch, *, progress: float | None = None) -> Tensor:
        """Returns the loss of a batch, a scalar: data loss, penalties and explanation losses.

        Args:
            batch: mixed or not.
            progress: share of the run that is over, in [0, 1); only :class:`~hilmix.explanations.IBPEx` needs it.

        Raises:
            ConfigError: if the batch lacks masks or groups that a part needs.
        """
        return self.compute_step(batch, progress=progress).loss

    def compute_step(self, batch: Batch, *, progress: float | None = None) -> TrainingStep:
        """Returns the loss of a batch with its terms and outputs; see :meth:`loss`."""
        found = self.forward_batch(batch)
        losses = self.losses(found.log_probs, found.annotator_output, batch)
        per_term = self.per_term(losses.terms) if self.group_dro is None else self._weight_groups(losses, batch)
        # The penalty is not scaled: each rank computes all of it, and the average of equal gradients is one of them.
        loss = (per_term * losses.value).sum() + self.annotator_model.penalty()
        if self.regularizers:
            loss = loss + torch.stack([part.penalty(found.log_probs) for part in self.regularizers]).sum()
        if self.explanations:
            step = self._training_pass(batch, found, per_term, progress)
            loss = loss + torch.stack([part.term(step) for part in self.explanations]).sum()
        return TrainingStep(loss, losses, training_output(batch, found.logits, found.annotator_output))

    def forward_batch(self, batch: Batch) -> BatchOutput:
        """Returns the values from which the loss of a batch is computed, mixed as its plan says."""
        x = self.standardized(batch.input)
        if self.explanations:
            # Safe in place: standardized() has made a new tensor, and the batch's own stays without a gradient.
            x.requires_grad_()
        with double_backward_attention(any(part.second_order for part in self.explanations)):
            features, logits = self.class_scores(x, batch)
        log_probs = at_least_float32(logits).log_softmax(-1)
        return BatchOutput(x, features, logits, log_probs, self.annotator_output(features, log_probs, batch))

    def class_scores(self, x: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns features (R, D) and class logits (R, K) of a batch, mixed as its plan says.

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

    def annotator_output(self, features: Tensor, log_probs: Tensor, batch: Batch) -> AnnotatorOutput:
        """Returns the annotator model's output for the pairs of a batch.

        Args:
            features: (R, D).
            log_probs: (R, K) class log-probabilities.
            batch: whose annotators and plan count.
        """
        plan, row, annotator = batch.plan, batch.row, batch.annotator
        if plan is not None and plan.rows == "pairs":
            return self.pair_output(features, log_probs, annotator, plan)
        if plan is not None:  # own rows first, then the rows in which the item is the partner
            row, annotator = torch.cat([row, partner_rows(row, plan.partner)]), annotator.repeat(2)
        return self.pair_output(features[row], log_probs[row], annotator, None)

    def pair_output(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None
    ) -> AnnotatorOutput:
        """Returns the annotator model's output for features (S, D), log-probabilities (S, K) and annotators (S,)."""
        with running_statistics(self.annotator_model, len(annotator) < 2):
            label_log_probs, confusion = self.annotator_model(features, log_probs, annotator, plan)
        return AnnotatorOutput(label_log_probs, confusion, log_probs, annotator)

    def losses(self, log_probs: Tensor, output: AnnotatorOutput, batch: Batch) -> Losses:
        """Returns the terms of the data loss: one for each pair of the batch."""
        value = self.annotator_model.loss(output, batch)
        return Losses(value, batch.row, torch.tensor(float(len(value)), device=value.device))

    def data_losses(self, features: Tensor, log_probs: Tensor, batch: Batch) -> Tensor:
        """Returns the values (T,) of :meth:`losses` for other features (R, D) and log-probabilities (R, K)."""
        return self.losses(log_probs, self.annotator_output(features, log_probs, batch), batch).value

    def per_term(self, count: Tensor) -> Tensor:
        """Returns the factor that makes a sum over ``count`` terms their mean; over all ranks in a Classifier."""
        return 1 / count.clamp_min(1)

    def _weight_groups(self, losses: Losses, batch: Batch) -> Tensor:
        """(T,) factors of the terms."""
        assert self.group_dro is not None
        if batch.group is None:
            raise ConfigError("GroupDRO: the data have no groups; add the column 'group' to the items table.")
        weight: Tensor = self.group_dro(losses.value, batch.group[losses.item])
        return weight

    def _training_pass(
        self, batch: Batch, found: BatchOutput, per_term: Tensor, progress: float | None
    ) -> TrainingPass:
        require_explainable(batch, self.explanations)
        per_row = self.per_term(torch.tensor(float(len(found.x)), device=found.x.device))
        return TrainingPass(self, batch, *found[:4], per_term, per_row, progress)

"""The values of a training step, and the structure that metrics and callbacks read."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from hilmix.annotators import AnnotatorModel, AnnotatorOutput
from hilmix.functional.confusion import Confusion, pair_chunks
from hilmix.functional.confusion_tables import JoinedConfusion
from hilmix.functional.losses import mixed_cross_entropy
from hilmix.functional.mixing import row_shares
from hilmix.types import Batch, MixPlan, StepOutput

# 64 KiB for each pair at 128 classes in float32: tens of MiB in a batch, and 60 times as many at 1,000 classes.
DENSE_CLASSES = 128
"""Most classes for which outputs carry confusion matrices: up to O(L K^2)."""


class Losses(NamedTuple):
    """The terms of a batch's data loss."""

    value: Tensor
    """(T,) float, one for each pair; from an EMClassifier one for each row that counts."""
    item: Tensor
    """(T,) int64, the row of ``index`` that a term belongs to."""
    terms: Tensor
    """Scalar float: the number of terms that their sum counts for."""


class BatchOutput(NamedTuple):
    """The model's values for a training batch, mixed as its plan says."""

    x: Tensor
    """(R, ...) standardised inputs; they require a gradient where an explanation loss reads it."""
    features: Tensor
    """(R, D) the backbone's output."""
    logits: Tensor
    """(R, K) class logits."""
    log_probs: Tensor
    """(R, K) float32 or float64 class log-probabilities."""
    annotator_output: AnnotatorOutput
    """Of the L pairs; 2L under a plan over items."""


class TrainingStep(NamedTuple):
    """The loss of a batch and what it was computed from."""

    loss: Tensor
    """Scalar: data loss, penalties and explanation losses."""
    losses: Losses
    output: StepOutput


def target_losses(log_probs: Tensor, targets: Tensor, batch: Batch) -> Losses:
    """Returns the cross-entropy of each row with the target of its item; rows count whose items have a target.

    Args:
        log_probs: (R, K) class log-probabilities; R is the number of pairs under a plan over pairs, else B.
        targets: (N, K) distributions of all items, zeros where there is none.
        batch: mixed as its plan says.
    """
    plan = batch.plan
    pairwise = plan is not None and plan.rows == "pairs"
    item = batch.row if pairwise else torch.arange(len(batch.index), device=batch.index.device)
    target = targets[batch.index[item]]
    shares = None if plan is None or plan.shares is None else row_shares(plan.shares, batch.row, plan.partner)
    value, counts = mixed_cross_entropy(log_probs, target, plan, shares), target.any(1)
    if plan is not None:
        # A row without a target of its own still has the share of its partner.
        counts = counts | counts[plan.partner]
    return Losses(value[counts], item[counts], target.sum())


def training_output(batch: Batch, logits: Tensor, output: AnnotatorOutput) -> StepOutput:
    """Returns the output of a training step.

    Args:
        batch: of L pairs.
        logits: (R, K), of mixed rows if the batch is mixed.
        output: the annotator model's, of its pairs.
    """
    return _step_output(batch, logits, batch.plan, {"label_log_probs": output.label_log_probs})


def evaluation_output(batch: Batch, logits: Tensor, fields: dict[str, Any]) -> StepOutput:
    """Returns the output for an un-mixed batch.

    Args:
        batch: of B rows and L pairs.
        logits: (B, K).
        fields: of :func:`annotator_fields`.
    """
    return _step_output(batch, logits, None, fields)


def _step_output(batch: Batch, logits: Tensor, plan: MixPlan | None, fields: dict[str, Any]) -> StepOutput:
    return StepOutput(
        batch.index,
        batch.target,
        logits,
        batch.row,
        batch.annotator,
        batch.label,
        batch.probs,
        plan,
        group=batch.group,
        **fields,
    )


def annotator_fields(model: AnnotatorModel, features: Tensor, log_probs: Tensor, batch: Batch) -> dict[str, Any]:
    """Returns the fields of a StepOutput that the annotator model knows, those of pairs computed in chunks.

    Args:
        model: in evaluation mode.
        features: (B, D).
        log_probs: (B, K) class log-probabilities.
        batch: un-mixed, of B rows and L pairs.
    """
    k = log_probs.shape[1]
    chunks = pair_chunks(len(batch.row), k) if model.matrix_per_pair else [slice(None)]
    parts: list[dict[str, Tensor]] = []
    matrices: list[Confusion] = []
    for some in chunks:
        row, annotator = batch.row[some], batch.annotator[some]
        label_log_probs, confusion = model(features[row], log_probs[row], annotator)
        parts.append({"label_log_probs": label_log_probs})
        if confusion is not None:
            label = batch.label[some], None if batch.probs is None else batch.probs[some]
            parts[-1]["log_likelihood"] = confusion.log_likelihood(*label)
            parts[-1]["diagonal"] = confusion.diagonal()
            if k <= DENSE_CLASSES:  # else each chunk lets its matrices go
                matrices.append(confusion)
    # Joined before the posterior: the labels of an item may lie in two chunks.
    fields: dict[str, Any] = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    if matrices:
        sizes = [len(part["label_log_probs"]) for part in parts]
        fields["confusion"] = matrices[0] if len(matrices) == 1 else JoinedConfusion(matrices, sizes)
    if "log_likelihood" in fields:
        fields["posterior"] = model.posterior(log_probs, fields["log_likelihood"], batch.row)
    return fields

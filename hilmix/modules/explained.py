"""What explanation losses add to a training step."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from hilmix.errors import ConfigError
from hilmix.explanations import TrainingPass
from hilmix.functional.modes import evaluation_mode
from hilmix.functional.precision import at_least_float32
from hilmix.types import Batch

if TYPE_CHECKING:
    from hilmix.modules.classifier import Classifier


def refuse_without_masks(there: bool) -> None:
    """Tells what explanation losses need.

    Raises:
        ConfigError: unless masks are there.
    """
    if not there:
        raise ConfigError(
            "model.explanations need masks of what must not matter; the training items have none. Put drawings into "
            "masks/ of the data folder (docs/data_folder.md), or leave explanations out."
        )


def double_backward_attention(wanted: bool) -> AbstractContextManager[None]:
    """A context in which attention can be differentiated twice: only its plain form can, not the fused ones."""
    return sdpa_kernel(SDPBackend.MATH) if wanted else nullcontext()


def training_pass(
    model: Classifier,
    batch: Batch,
    x: Tensor,
    features: Tensor,
    logits: Tensor,
    log_probs: Tensor,
    per_term: Tensor,
) -> TrainingPass:
    """Returns a step as explanation losses see it.

    Args:
        model: in training.
        batch: with masks of its R rows.
        x: (R, ...) standardised inputs that require a gradient.
        features: (R, D), of ``x``.
        logits: (R, K), of ``x``.
        log_probs: (R, K) float32 or float64, of ``x``.
        per_term: what the loss's terms are multiplied by, so that their sum is a mean over all ranks: a scalar, or
            (T,) where groups count differently.

    Raises:
        ConfigError: if the batch has no masks, or a hidden layer is mixed that a part cannot follow.
    """
    refuse_without_masks(batch.mask is not None)
    assert batch.mask is not None
    walking = [type(part).__name__ for part in model.explanations if part.walks_network]
    if walking and batch.plan is not None and batch.plan.layer != "input":
        raise ConfigError(
            f"{walking[0]} goes through the network layer by layer and cannot follow data.mix into the layer "
            f"'{batch.plan.layer}'; mix inputs (ItemMix, AnnotMix), or take RRR, AvgEx or PGDEx."
        )
    per_row = model.per_term(torch.tensor(float(len(x)), device=x.device))
    full = features.to(model.input_mean.dtype)  # that of the weights: parts may leave autocast

    def loss(features: Tensor, log_probs: Tensor) -> Tensor:
        return (per_term * model.losses(log_probs, model.answers(features, log_probs, batch), batch).value).sum()

    def data_loss(other: Tensor) -> Tensor:
        hidden, scores = model.class_scores(other, batch)
        return loss(hidden, at_least_float32(scores).log_softmax(-1))

    def data_loss_at(rows: Tensor, other: Tensor) -> Tensor:
        hidden, scores = model.class_scores(other, batch)
        said = log_probs.detach().index_copy(0, rows, at_least_float32(scores).log_softmax(-1))
        return loss(full.detach().index_copy(0, rows, hidden.to(full)), said)

    def progress() -> float:
        steps = model.trainer.estimated_stepping_batches
        if math.isinf(steps):
            raise ConfigError("An explanation loss follows the length of the run; set trainer.max_epochs or max_steps.")
        return model.trainer.global_step / steps

    return TrainingPass(
        x=x,
        mask=batch.mask.to(x.dtype),
        logits=logits,
        log_probs=log_probs,
        data_loss=data_loss,
        data_loss_at=data_loss_at,
        data_loss_of=lambda other: loss(full, other),
        mean=lambda values: per_row * values.sum(),
        still=lambda: evaluation_mode(model),
        rows_mixed=batch.plan is not None and batch.plan.layer != "input",
        progress=progress,
    )

"""The calling convention of explanation losses: inputs that were marked as irrelevant must not decide."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, cast

from torch import Tensor, nn

from hilmix.functional.modes import evaluation_mode
from hilmix.functional.precision import at_least_float32
from hilmix.parts import Part
from hilmix.types import Batch


class TrainedModel(Protocol):
    """The two methods of the trained module that a :class:`TrainingPass` calls."""

    def class_scores(self, x: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns features (R, D) and class logits (R, K) for standardised inputs ``x`` in place of the batch's."""

    def data_losses(self, features: Tensor, log_probs: Tensor, batch: Batch) -> Tensor:
        """Returns the terms (T,) of the data loss for features (R, D) and class log-probabilities (R, K)."""


@dataclass(frozen=True)
class TrainingPass:
    """One training step as explanation losses read it: inputs, outputs, and the loss of the data at other values.

    Radii and gradients are in units of ``x``, the standardised input: an epsilon of 1 is one standard deviation.

    Args:
        model: a module in training mode.
        batch: with masks of its R rows.
        x: (R, ...) float, the network's inputs, mixed if the batch is; they require a gradient.
        features: (R, D) float, of ``x``; of half precision under autocast.
        logits: (R, K) float, of ``x``; differentiable in ``x`` and in the parameters.
        log_probs: (R, K) float32 or float64, of ``x``.
        per_term: factors of the terms of the loss, which make their sum a mean over all ranks: a scalar, or (T,) where
            groups count differently.
        per_row: scalar factor that makes a sum over rows the mean over the rows of all ranks, scaled so that the
            gradient that DDP averages is that of one process.
        progress: share of the run that is over, in [0, 1); None for a run without an end.
    """

    model: TrainedModel
    batch: Batch
    x: Tensor
    features: Tensor
    logits: Tensor
    log_probs: Tensor
    per_term: Tensor
    per_row: Tensor
    progress: float | None = None

    @property
    def mask(self) -> Tensor:
        """(R, 1 or C, H, W) or (R, D) float in [0, 1]: 1 = irrelevant; all zero = no explanation."""
        assert self.batch.mask is not None, "checked before the step"
        # Masks are float32, also where the weights are of double or half precision.
        return self.batch.mask.to(self.x.dtype)

    @property
    def explained_rows(self) -> Tensor:
        """(E,) int64, the rows that have a mask."""
        # Waits for the device once; without it rows without a mask would be attacked or bounded, too.
        return self.mask.flatten(1).any(1).nonzero().squeeze(1)

    @property
    def rows_mixed(self) -> bool:
        """True if rows act on each other inside the network, as in a mixed hidden layer."""
        return self.batch.plan is not None and self.batch.plan.layer != "input"

    def data_loss(self, x: Tensor) -> Tensor:
        """Returns the loss of the data at other inputs (R, ...); with group DRO, groups count as they do at ``x``."""
        features, log_probs = self._outputs(x)
        return self._loss(features, log_probs)

    def data_loss_at(self, rows: Tensor, x: Tensor) -> Tensor:
        """Returns the loss where some rows have other inputs, at the cost of these rows; not for mixed rows.

        Args:
            rows: (E,) int64.
            x: (E, ...) float, their inputs; all other rows are as in the step, without a gradient.
        """
        features, log_probs = self._outputs(x)
        # Without a gradient: what the other rows contribute is in the loss of the step already.
        full = self._full_features.detach()
        return self._loss(
            full.index_copy(0, rows, features.to(full)), self.log_probs.detach().index_copy(0, rows, log_probs)
        )

    def data_loss_of(self, log_probs: Tensor) -> Tensor:
        """Returns the loss for other class log-probabilities (R, K), which need not sum to 1."""
        return self._loss(self._full_features, log_probs)

    def mean(self, values: Tensor) -> Tensor:
        """Returns the mean of values (R,) over the rows of all ranks, as ``per_row`` scales it."""
        return self.per_row * values.sum()

    def evaluating(self) -> AbstractContextManager[None]:
        """Returns a context without dropout and with the running statistics of batch norm."""
        return evaluation_mode(cast(nn.Module, self.model))

    @property
    def _full_features(self) -> Tensor:
        return self.features.to(self.x.dtype)  # that of the weights: a term may have left autocast

    def _outputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.model.class_scores(x, self.batch)
        return features, at_least_float32(logits).log_softmax(-1)

    def _loss(self, features: Tensor, log_probs: Tensor) -> Tensor:
        return (self.per_term * self.model.data_losses(features, log_probs, self.batch)).sum()


class Explanation(Part, ABC):
    """A term of the loss that keeps marked inputs from mattering. Terms of several add up.

    Every term is a mean over *all* rows of the batch, explained or not, so that its weight depends neither on the batch
    size nor on which rows are explained. With few explanations, its whole influence is small: choose weights by
    validation on the data at hand.
    """

    second_order = False
    """Whether the term is made of gradients, so that training differentiates twice."""

    walks_network = False
    """Whether the term comes from a walk of its own through the network, which a mixed hidden layer does not change."""

    def build(self, network: nn.Module) -> None:
        """Receives the network, ``(R, *input_shape)`` to logits (R, K), before training; no-op by default.

        Raises:
            ConfigError: if the method cannot be used with it.
        """

    @abstractmethod
    def term(self, step: TrainingPass) -> Tensor:
        """Returns the scalar that is added to the loss of a step."""

"""The calling convention of explanation losses: what a person marked as irrelevant must not decide."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor, nn

from hilmix.parts import Part


@dataclass(frozen=True)
class TrainingPass:
    """One training step, as explanation losses see it: what went into the network, what came out, and how to ask again.

    Radii and gradients are in units of ``x``, the standardised input: an epsilon of 1 is one standard deviation.

    Args:
        x: (R, ...) float, the network's inputs, mixed if the batch is; they require a gradient.
        mask: (R, 1 or C, H, W) or (R, D) float in [0, 1]: 1 = irrelevant; all zero = no explanation.
        logits: (R, K) float, of ``x``; differentiable in ``x`` and in the parameters.
        log_probs: (R, K) float32, of ``x``.
        data_loss: maps other inputs (R, ...) to the loss of the data there, as :meth:`mean` scales it; with group DRO
            the groups count as they do at ``x``.
        data_loss_at: maps rows (E,) int64 and other inputs of them (E, ...) to the loss where all other rows are as at
            ``x``, at the cost of E rows.
        data_loss_of: the same as ``data_loss`` for other class log-probabilities (R, K), which need not sum to 1.
        mean: the mean of the values (R,) over the rows of all ranks, scaled so that the gradient that DDP averages is
            that of one process.
        still: a context in which the network is as in evaluation: no dropout, batch norm with running statistics.
        rows_mixed: whether rows act on each other inside the network, as in a mixed hidden layer; ``data_loss_at`` is
            not to be asked then.
        progress: the share of the run that is over, in [0, 1); raises ConfigError for a run without an end.
    """

    x: Tensor
    mask: Tensor
    logits: Tensor
    log_probs: Tensor
    data_loss: Callable[[Tensor], Tensor]
    data_loss_at: Callable[[Tensor, Tensor], Tensor]
    data_loss_of: Callable[[Tensor], Tensor]
    mean: Callable[[Tensor], Tensor]
    still: Callable[[], AbstractContextManager[None]]
    rows_mixed: bool
    progress: Callable[[], float]

    @property
    def explained(self) -> Tensor:
        """(E,) int64, the rows that have a mask."""
        return self.mask.flatten(1).any(1).nonzero().squeeze(1)


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
        """Is shown the network, (R, *input_shape) to logits (R, K), before training; by default no matter.

        Raises:
            ConfigError: if the method cannot be used with it.
        """

    @abstractmethod
    def term(self, step: TrainingPass) -> Tensor:
        """Returns what is added to the loss of a step, a scalar."""

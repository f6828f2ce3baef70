"""The base of explanation losses that need to know the layers of the network."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from hilmix.errors import ConfigError
from hilmix.explanations.base import Explanation, TrainingPass
from hilmix.explanations.propagation import Propagation


class PropagatedExplanation(Explanation):
    """Walks the network with bounds or with parts, for the explained rows only, on the network of evaluation.

    Dropout does nothing and batch norm uses its running statistics, since bounds hold for one function and not for a
    batch. Under autocast the walk is in full precision nevertheless: half precision overflows where bounds are wide.
    """

    walks_network = True
    propagation: Propagation

    def build(self, network: nn.Module) -> None:
        try:
            self.propagation = Propagation(network)
        except ConfigError as error:
            raise ConfigError(f"{type(self).__name__}: {error} RRR, AvgEx and PGDEx take any network.") from error

    def term(self, step: TrainingPass) -> Tensor:
        rows = step.explained_rows
        if not len(rows):
            return step.log_probs.new_zeros(())
        with torch.autocast(step.x.device.type, enabled=False):
            # Explained rows alone: with few masks most of the walk would be over rows that it says nothing about.
            return self.term_of(step, rows, step.x.detach()[rows], step.mask[rows])

    @abstractmethod
    def term_of(self, step: TrainingPass, rows: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """Returns what is added to the loss, a scalar.

        Args:
            step: the whole step, of R rows.
            rows: (E,) int64, the explained rows, at least one.
            x: (E, ...) float, their inputs, without a gradient.
            mask: of these rows; see :class:`TrainingPass`.
        """


def mean_over_all(step: TrainingPass, rows: Tensor, values: Tensor) -> Tensor:
    """Returns the mean over all rows of all ranks of the values (E,) of some rows; the others count as 0.

    Args:
        step: of R rows.
        rows: (E,) int64.
        values: (E,) float.
    """
    return step.mean(values.new_zeros(len(step.x)).index_copy(0, rows, values))

"""Group DRO: groups with a higher loss get a higher weight."""

from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hilmix.checks import NonNegative
from hilmix.errors import ConfigError
from hilmix.functional.groups import adversarial_group_weights, group_sums
from hilmix.functional.precision import at_least_float32
from hilmix.parts import Part
from hilmix.types import UNKNOWN

__all__ = ["GroupDRO"]


class GroupDRO(Part, nn.Module):
    """Weighs the loss by group: ``sum_g q_g mean_{i in g} loss_i`` with ``q_g <- q_g exp(step * loss_g) / Z``.

    The weights q are kept in the checkpoint. Groups come from the data; every training item needs one.

    Args:
        step: eta, at least 0; 0 weighs all groups alike.

    Raises:
        ConfigError: if the step is negative, or there are no groups.

    Reference: S. Sagawa et al., Distributionally Robust Neural Networks for Group Shifts, ICLR 2020, algorithm 1.
    """

    weight: Tensor

    def __init__(self, step: NonNegative = 0.01) -> None:
        super().__init__()
        self.step = float(step)

    def build(self, num_groups: int) -> Self:
        """Takes G, the number of groups of the data, and returns the part itself."""
        if num_groups < 1:
            raise ConfigError("GroupDRO: the data have no groups; add the column 'group' to the items table.")
        self.register_buffer("weight", torch.full((num_groups,), 1 / num_groups))
        return self

    def forward(self, loss: Tensor, group: Tensor) -> Tensor:
        """Returns how much each term of a batch's loss counts, (T,), and moves the weights of the groups.

        The loss is the sum of the terms times these. Under data parallelism the groups are those of all ranks, and the
        loss is scaled such that the gradient that DDP averages is that of one process; every rank must call it.

        Args:
            loss: (T,) float, the terms of the loss.
            group: (T,) int64, the group of each.

        Raises:
            ConfigError: if a term has no group.
        """
        if bool((group == UNKNOWN).any()):
            raise ConfigError("GroupDRO: a training item has no group; fill in the column 'group' of the items table.")
        # Detached: the weights climb by their own rule and carry no gradient.
        sums, counts = group_sums(at_least_float32(loss.detach()), group, len(self.weight))
        total, ranks = torch.stack([sums, counts]), 1
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(total)
            ranks = dist.get_world_size()
        # A group that no rank has in this step has loss 0, so it gains no weight by being absent.
        means = total[0] / total[1].clamp_min(1)
        self.weight = adversarial_group_weights(self.weight, means, step=self.step)
        share = self.weight / total[1].clamp_min(1)
        return ranks * share[group].to(loss.dtype)

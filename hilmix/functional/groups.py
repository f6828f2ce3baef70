"""Losses and accuracies by group, and how much a prediction depends on the features that should matter."""

import torch
from torch import Tensor

from hilmix.types import UNKNOWN


def group_sums(value: Tensor, group: Tensor, num_groups: int) -> tuple[Tensor, Tensor]:
    """Returns the sum of the values of each group and their number, both (G,); rows without a group are left out.

    Args:
        value: (R,) float.
        group: (R,) int64 in [0, G), -1 for none.
        num_groups: G.
    """
    # Weights in place of a selection, whose size the host would have to wait for.
    known = (group != UNKNOWN).to(value.dtype)
    # -1 would index the last group; rows without a group add 0 to group 0 instead.
    slot = group.clamp_min(0)
    sums = value.new_zeros(2, num_groups)
    return sums[0].index_add(0, slot, value * known), sums[1].index_add(0, slot, known)


def adversarial_group_weights(weight: Tensor, loss: Tensor, *, step: float) -> Tensor:
    """Returns the weights (G,) of the groups after one step of exponentiated gradient ascent; they sum to 1.

    Args:
        weight: (G,) float, before, sum 1.
        loss: (G,) float, mean loss of each group, 0 where the batch has no item of it.
        step: eta, at least 0.

    Reference: Sagawa et al., Distributionally Robust Neural Networks for Group Shifts, ICLR 2020, algorithm 1.
    """
    # In log space, as exp(step * loss) can overflow and softmax normalises anyway.
    return (weight.log() + step * loss).softmax(0)


def relative_core_sensitivity(core_noise: Tensor, spurious_noise: Tensor) -> Tensor:
    """Returns by how much noise on core regions harms more than noise on spurious ones, in [-1, 1]; higher is better.

    ``(a_s - a_c) / (2 min(a, 1 - a))``, where ``a`` is the mean of both; 0 where both are 0 or both are 1.

    Args:
        core_noise: a_c, accuracy under noise on the regions that should matter, in [0, 1].
        spurious_noise: a_s, accuracy under noise on those that should not.

    Reference: S. Singla, M. Moayeri, S. Feizi, Core Risk Minimization using Salient ImageNet, 2022, whose "core
    accuracy" is that under noise on *spurious* regions, hence the order. The released code of the perturbation paper
    prints the negative.

    Example:
        >>> relative_core_sensitivity(torch.tensor(0.5), torch.tensor(0.9)).round(decimals=3)
        tensor(0.6670)
    """
    mean = (core_noise + spurious_noise) / 2
    # The largest difference that two accuracies with this mean can have.
    room = 2 * torch.minimum(mean, 1 - mean)
    return torch.where(room > 0, (spurious_noise - core_noise) / torch.where(room > 0, room, 1.0), 0.0)

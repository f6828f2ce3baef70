"""Accuracy by group: how the worst one fares."""

from typing import Any

import torch
from torch import Tensor

from hilmix.functional.groups import group_sums
from hilmix.metrics.base import SumMetric
from hilmix.types import UNKNOWN


class GroupAccuracy(SumMetric):
    """The lowest, and the unweighted mean, of the accuracies of the groups that were seen.

    Args:
        num_groups: G.
    """

    higher_is_better = True
    right: Tensor
    count: Tensor

    def __init__(self, num_groups: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_groups = num_groups
        self.add_sum("right", num_groups)
        self.add_sum("count", num_groups)

    def update(self, probs: Tensor, target: Tensor, group: Tensor) -> None:
        """Adds a batch.

        Args:
            probs: (B, K) class probabilities.
            target: (B,) int64, -1 where unknown (not counted).
            group: (B,) int64, -1 where unknown (not counted).
        """
        # Without a known target an item can be neither right nor wrong, whatever its group.
        known = torch.where(target == UNKNOWN, UNKNOWN, group)
        right = (probs.detach().argmax(-1) == target).to(self.right.dtype)
        sums, counts = group_sums(right, known, self.num_groups)
        self.right += sums
        self.count += counts

    def compute(self) -> dict[str, Tensor]:
        """Returns ``worst_group_acc`` and ``mean_group_acc``, NaN if nothing was seen."""
        seen = (self.right / self.count)[self.count > 0]
        if not len(seen):
            return {name: torch.tensor(torch.nan) for name in ("worst_group_acc", "mean_group_acc")}
        return {"worst_group_acc": seen.min(), "mean_group_acc": seen.mean()}

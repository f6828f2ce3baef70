"""Metrics of the predicted probability that a label is right."""

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc
from torchmetrics.utilities import dim_zero_cat

from hilmix.functional.ties import rank_groups
from hilmix.metrics.base import SumMetric
from hilmix.types import UNKNOWN


class AnnotatorAUROC(SumMetric):
    """Area under the ROC curve of p(annotator is right) against whether the label is right.

    Keeps two numbers per pair; for evaluation loops. Scores that differ by rounding alone count as tied, see
    :func:`~hilmix.functional.ties.rank_groups`.
    """

    higher_is_better = True
    p_right: list[Tensor]
    right: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("p_right", [], dist_reduce_fx="cat")
        self.add_state("right", [], dist_reduce_fx="cat")

    def update(self, p_right: Tensor, right: Tensor) -> None:
        """Adds the pairs of a batch.

        Args:
            p_right: (L,) in [0, 1].
            right: (L,) int64 in {0, 1}, -1 where the target is unknown (not counted).
        """
        known = right != UNKNOWN
        # All values are kept, as ranks need them: an area from bins would tie what a good model distinguishes.
        self.p_right.append(p_right.detach()[known])
        self.right.append(right[known])

    def compute(self) -> Tensor:
        """Returns the area, NaN unless both right and wrong labels were seen."""
        # A list, but one tensor once torchmetrics has gathered the ranks: len() serves both.
        right = dim_zero_cat(self.right) if len(self.right) else torch.empty(0)
        if not right.numel() or right.min() == right.max():
            return torch.full((), torch.nan, device=self.device)
        group = rank_groups(dim_zero_cat(self.p_right)).to(right.device)
        # scores outside [0, 1] would be taken for logits
        area: Tensor = binary_auroc(group / group.max().clamp_min(1), right, validate_args=False)
        return area

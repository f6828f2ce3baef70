"""How well a model knows which labels are right."""

import torch
from torch import Tensor
from torchmetrics.classification import BinaryAUROC
from torchmetrics.utilities import dim_zero_cat

from hilmix.types import UNKNOWN


class AnnotatorAUROC(BinaryAUROC):
    """Area under the ROC curve of p(annotator is right) against whether the label is right.

    Keeps two numbers per pair; for evaluation loops.
    """

    def __init__(self) -> None:
        super().__init__(thresholds=None, validate_args=False)

    def update(self, p_right: Tensor, right: Tensor) -> None:
        """Adds the pairs of a batch.

        Args:
            p_right: (L,) in [0, 1].
            right: (L,) int64 in {0, 1}, -1 where the target is unknown (not counted).
        """
        known = right != UNKNOWN
        super().update(p_right.detach()[known].float(), right[known])

    def compute(self) -> Tensor:  # type: ignore[override]  # torchmetrics inherits it from the curve
        """Returns the area, NaN unless both right and wrong labels were seen."""
        right = dim_zero_cat(self.target) if len(self.target) else torch.empty(0)
        if not right.numel() or right.min() == right.max():
            return torch.full((), torch.nan, device=self.device)
        area: Tensor = super().compute()
        return area

"""Base of the metric shells: fixed-size sums in the best precision of the device, NaN when nothing was seen."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from hilmix.functional.calibration import sum_dtype
from hilmix.types import UNKNOWN


class SumMetric(Metric):
    """A metric whose states keep their precision when the model is moved or cast (``bf16-true`` would truncate them).

    ``set_dtype`` has no effect for the same reason.
    """

    is_differentiable = False
    # Otherwise each call of forward() updates twice.
    full_state_update = False

    def add_sum(self, name: str, *shape: int) -> None:
        """Adds a float64 state of zeros that is summed over ranks."""
        # torchmetrics sums in float32: of five million samples in one bin its ECE is five times too large.
        self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> nn.Module:
        def move(tensor: Tensor) -> Tensor:
            # Only the device is asked for: `fn` may also change the type.
            device = fn(torch.empty(0, device=tensor.device)).device
            if tensor.dtype == torch.float64:
                return tensor.to(device=device, dtype=sum_dtype(device))
            return tensor.to(device)

        return super()._apply(move, exclude_state)


class MeanMetric(SumMetric):
    """Mean of one value per sample."""

    higher_is_better: bool | None = False
    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_sum("total")
        self.add_sum("count")

    def score(self, probs: Tensor, target: Tensor) -> Tensor:
        """Returns (B,) float, one value per sample."""
        raise NotImplementedError

    def update(self, probs: Tensor, target: Tensor) -> None:
        """Adds a batch.

        Args:
            probs: (B, K) class probabilities.
            target: (B,) int64, -1 where unknown (not counted).
        """
        probs, target = known(probs, target)
        self.total += self.score(probs, target).sum(dtype=self.total.dtype)
        self.count += len(target)

    def compute(self) -> Tensor:
        """Returns the mean, NaN if nothing was seen."""
        # 0 / 0 is the NaN of a metric that saw nothing.
        return self.total / self.count


def known(probs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the rows whose target is known.

    Args:
        probs: (B, K) class probabilities; detached here.
        target: (B,) int64, -1 where unknown.
    """
    keep = target != UNKNOWN
    return probs.detach()[keep], target[keep]

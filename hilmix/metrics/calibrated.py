"""Negative log-likelihood at the best temperature, from sums of a fixed size."""

import math
from typing import Any

import torch
from torch import Tensor

from hilmix.functional.temperature import TEMPERATURE_RANGE
from hilmix.metrics.base import SumMetric

ROOM = 2**22
"""Numbers held at a time: points times rows times classes."""


class CalibratedNLL(SumMetric):
    """Lowest mean NLL that any temperature gives what was observed: how well a model ranks, confident or not.

    The NLL is summed at temperatures that are equidistant in their logarithm, in ``TEMPERATURE_RANGE``; a parabola
    through the lowest and its neighbours gives the value between them, within 2e-4 in the tests. Where ever colder
    temperatures lower it, the value at 1 counts, as in :func:`~hilmix.functional.temperature.fit_temperature`.

    Args:
        points: number of temperatures, odd, so that 1 is one of them.
    """

    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self, *, points: int = 49, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        cold, hot = (math.log(end) for end in TEMPERATURE_RANGE)
        self.inverse = torch.linspace(-cold, -hot, points).exp().tolist()
        self.add_sum("total", points)
        self.add_sum("count")

    def update(self, logits: Tensor, evidence: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: (M, K) class logits, one row per observation.
            evidence: (M,) int64 observed classes, or (M, K) log p(what was observed | true class).
        """
        logits, dtype = logits.detach(), self.total.dtype
        inverse = torch.tensor(self.inverse, dtype=dtype, device=logits.device)[:, None, None]
        rows = max(1, ROOM // (len(self.inverse) * logits.shape[1]))
        for z, seen in zip(torch.split(logits, rows), torch.split(evidence, rows), strict=True):
            scaled = (z - z.amax(-1, keepdim=True)).to(dtype) * inverse
            if seen.ndim == 1:
                explained = scaled[:, torch.arange(len(seen), device=seen.device), seen]
            else:
                explained = (scaled + seen.to(dtype)).logsumexp(-1)
            self.total += (scaled.logsumexp(-1) - explained).sum(1)
        self.count += len(logits)

    def compute(self) -> Tensor:
        """Returns the lowest mean NLL, NaN if nothing was seen."""
        means = self.total / self.count
        lowest = int(means.argmin())
        if lowest == 0:
            return means[len(means) // 2]
        if lowest == len(means) - 1:
            return means[lowest]
        left, middle, right = means[lowest - 1 : lowest + 2]
        curvature = left - 2 * middle + right
        # The minimum of the parabola through three points of the grid, which is finer than the grid.
        return torch.where(curvature > 0, middle - (left - right).square() / (8 * curvature), middle)

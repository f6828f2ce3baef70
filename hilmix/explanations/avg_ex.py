"""Avg-Ex: the labels must survive noise on irrelevant pixels."""

import torch
from torch import Tensor

from hilmix.checks import NonNegative
from hilmix.explanations.base import Explanation, TrainingPass


class AvgEx(Explanation):
    """``weight`` times the loss at ``x + radius * m * n``, with one draw ``n`` of standard normal noise.

    Args:
        radius: standard deviation of the noise, in standard deviations of the inputs, at least 0.
        weight: at least 0; 1 counts noisy and clean inputs alike.

    Raises:
        ConfigError: if one of them is negative.

    Reference: Use Perturbations when Learning from Explanations, NeurIPS 2023 ("Avg-Ex").
    """

    def __init__(self, radius: NonNegative = 1.0, weight: NonNegative = 1.0) -> None:
        self.radius, self.weight = float(radius), float(weight)

    def term(self, step: TrainingPass) -> Tensor:
        # The noise teaches the parameters; gradients of the inputs would only cost time.
        x = step.x.detach()
        return self.weight * step.data_loss(x + self.radius * step.mask * torch.randn_like(x))

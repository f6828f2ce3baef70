"""Dependence of an output on inputs that must not matter."""

from typing import Literal

import torch
from torch import Tensor

SaliencyNorm = Literal["l1", "l2"]
SCALE = 1024.0
"""The logits are multiplied by this before they are differentiated, and the gradient divided: under fp16 a gradient of
1e-5 would be rounded away. A power of two changes no bit elsewhere."""


def input_gradient(logits: Tensor, x: Tensor) -> Tensor:
    """Returns the gradient of the sum of each row's logits with respect to its inputs, (R, ...), itself differentiable.

    Args:
        logits: (R, K) float, computed from ``x``.
        x: (R, ...) float that requires a gradient. Where rows act on each other (batch norm in training, mixed hidden
            layers), the gradient is that of the sum over all rows.

    Reference:
        Ross, Hughes and Doshi-Velez, Right for the Right Reasons, IJCAI 2017. Differs from the paper: logits in place
        of log-probabilities, see :class:`hilmix.explanations.RRR`.
    """
    (gradient,) = torch.autograd.grad(SCALE * logits.sum(), x, create_graph=True)
    return gradient.to(torch.promote_types(gradient.dtype, torch.float32)) / SCALE


def saliency_penalty(gradient: Tensor, mask: Tensor, *, norm: SaliencyNorm = "l2") -> Tensor:
    """Returns the norm of each row's gradient inside its mask, (R,); 0, with gradient 0, where the mask is empty.

    Args:
        gradient: (R, ...) float.
        mask: float in [0, 1] that broadcasts to ``gradient``.
        norm: over all inputs of a row.

    Example:
        >>> saliency_penalty(torch.tensor([[3.0, 4.0, 9.0]]), torch.tensor([[1.0, 1.0, 0.0]]))
        tensor([5.])
    """
    inside = (gradient * mask).flatten(1)
    if norm == "l1":
        return inside.abs().sum(1)
    squared = inside.square().sum(1)
    # the root has no gradient at 0: rows without a mask would make it NaN
    return torch.where(squared > 0, squared, 1.0).sqrt() * (squared > 0)

"""Contextual decomposition: which part of a prediction a set of inputs carries, layer by layer.

Every value of a network is split into :class:`Parts` that sum to it: ``beta``, what a chosen set of inputs carries,
and ``gamma``, the rest. The inputs are split by a mask, ``beta = m * x`` and ``gamma = (1 - m) * x``; the rules here
say how a split passes through a layer. If the set is empty, beta is zero all the way.

Reference:
    Murdoch, Liu and Yu, Beyond Word Importance: Contextual Decomposition to Extract Interactions from LSTMs, ICLR 2018.
    Singh, Murdoch and Yu, Hierarchical Interpretations for Neural Network Predictions, ICLR 2019: the rules of affine
    layers, ReLU and max pooling for convolutional networks, which are those here.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hilmix.functional.explanation.intervals import Bilinear

FLOOR = 1e-10
"""Least size of both parts together that counts in the division of a bias; below it beta gets next to none."""


class Parts(NamedTuple):
    """Two tensors of one shape whose sum is the network's value."""

    beta: Tensor
    gamma: Tensor


def affine(x: Parts, weight: Tensor, bias: Tensor | None = None, *, apply: Bilinear = F.linear) -> Parts:
    """Returns the parts after an affine layer: each goes through the weights, the bias is divided between them.

    beta gets the share ``|W beta| / (|W beta| + |W gamma|)`` of the bias, gamma the others. Where both are zero, gamma
    gets it all: no input carries it.

    Args:
        x: (R, ...) float.
        weight: of the layer.
        bias: of a shape that broadcasts with the outputs; None for none.
        apply: the layer without its bias; see :func:`hilmix.functional.explanation.intervals.affine`.

    Example:
        >>> x = Parts(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
        >>> affine(x, torch.tensor([[1.0, 1.0]]), torch.tensor([8.0]))
        Parts(beta=tensor([[3.]]), gamma=tensor([[9.]]))
    """
    beta, gamma = apply(x.beta, weight), apply(x.gamma, weight)
    if bias is None:
        return Parts(beta, gamma)
    dtype = torch.promote_types(beta.dtype, bias.dtype)  # under autocast the shares are worth full precision
    size, rest = beta.to(dtype).abs(), gamma.to(dtype).abs()
    share = size / (size + rest).clamp_min(FLOOR)
    return Parts(beta + share * bias, gamma + (1 - share) * bias)


def elementwise(x: Parts, function: Callable[[Tensor], Tensor]) -> Parts:
    """Returns the parts after an activation: ``beta' = f(beta)``, and gamma takes what is left of the value.

    A function whose value at 0 is not 0 keeps that value in gamma, so that nothing in gives nothing out.

    Args:
        x: any shape, float.
        function: applied to each element.
    """
    # Less the value at 0, which no input has caused; gamma takes it.
    beta = function(x.beta) - function(x.beta.new_zeros(()))
    return Parts(beta, function(x.beta + x.gamma) - beta)


def linear(x: Parts, function: Callable[[Tensor], Tensor]) -> Parts:
    """Returns the parts after a linear map without bias, such as average pooling, reshaping or the identity."""
    return Parts(function(x.beta), function(x.gamma))


def max_pool(x: Parts, pool: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Parts:
    """Returns the parts of the pixels that max pooling picks, which are the largest of the *sum* of the parts.

    Args:
        x: (R, C, H, W) float.
        pool: maps (R, C, H, W) to the pooled values and the flat index in H * W of each, as ``F.max_pool2d`` does with
            ``return_indices=True``.
    """
    # By the sum, as the network itself picks: the largest of either part may be another pixel.
    _, index = pool(x.beta + x.gamma)
    picked = index.flatten(2)
    return linear(x, lambda part: part.flatten(2).gather(2, picked).reshape(index.shape))


def add(x: Parts, y: Parts) -> Parts:
    """Returns the parts of a sum, such as a residual connection."""
    return Parts(x.beta + y.beta, x.gamma + y.gamma)

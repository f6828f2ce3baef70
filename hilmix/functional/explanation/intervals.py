"""Interval bounds: what a network can say of any input in a box, layer by layer.

A box is an :class:`Interval` of two tensors of one shape. Each rule returns an interval that holds whatever its layer
makes of any point of the box. It is as narrow as the box allows for one layer; over several layers it grows, since a
box forgets how its sides hang together. Rounding is to nearest, so a bound is sound up to the rounding of the network
itself, but ``lower <= upper`` always holds.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Bilinear = Callable[[Tensor, Tensor], Tensor]
"""Maps inputs and weights to outputs, linear in each, such as ``F.linear`` or a ``functools.partial`` of
``F.conv2d``: a layer without its bias."""


class Interval(NamedTuple):
    """All tensors between two of one shape, ``lower <= upper`` everywhere."""

    lower: Tensor
    upper: Tensor


def interval_around(centre: Tensor, radius: Tensor) -> Interval:
    """Returns the box ``centre +- radius``.

    Args:
        centre: any shape, float.
        radius: of a shape that broadcasts with it, at least 0.
    """
    return Interval(centre - radius, centre + radius)


def affine(x: Interval, weight: Tensor, bias: Tensor | None = None, *, apply: Bilinear = F.linear) -> Interval:
    """Returns the exact bounds of an affine layer, ``W c + b +- |W| r`` for the box ``c +- r``.

    Args:
        x: (R, ...) float inputs.
        weight: of the layer.
        bias: of a shape that broadcasts with the outputs; None for none.
        apply: the layer without its bias. Strides, padding with zeros, dilation and groups of a convolution are its
            own business; evaluated batch norm is a product with one weight per channel.

    Reference:
        S. Gowal et al., On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models, 2018,
        section 3.

    Example:
        >>> box = Interval(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 2.0]]))
        >>> affine(box, torch.tensor([[1.0, -1.0]]), torch.tensor([0.5]))
        Interval(lower=tensor([[-1.5000]]), upper=tensor([[1.5000]]))
    """
    # Centre and radius take two products; both ends by positive and negative weights would take four.
    centre = apply((x.lower + x.upper) / 2, weight)
    radius = apply((x.upper - x.lower) / 2, weight.abs())
    return interval_around(centre if bias is None else centre + bias, radius)


def monotone(x: Interval, function: Callable[[Tensor], Tensor]) -> Interval:
    """Returns the exact bounds of a function that never falls when an input rises: its values at both ends.

    ReLU, sigmoid and tanh are such functions, but also max and average pooling, and reshaping. GELU is not.

    Args:
        x: (R, ...) float.
        function: non-decreasing in every input.
    """
    return Interval(function(x.lower), function(x.upper))


def add(x: Interval, y: Interval) -> Interval:
    """Returns the bounds of a sum, such as a residual connection; exact if the summands vary independently."""
    return Interval(x.lower + y.lower, x.upper + y.upper)


def worst_log_probs(logits: Interval) -> Tensor:
    """Returns (R, K) a lower bound of every class's log-probability over a box of logits, at most 0.

    ``W[k] = log softmax(z)[k]`` where class k has its lower bound and every other class its upper one. Each class has
    a worst case of its own, so ``exp(W)`` sums to at most 1, and to 1 if the box is a point. Training on ``W`` of
    the label is training on the worst case, and an annotator model can marginalise ``W`` like any log-probabilities.

    Args:
        logits: (R, K) float. The result is at least float32.

    Reference:
        S. Gowal et al., 2018, section 3: the log-probability of a label under their worst logits, for every label.

    Example:
        >>> z = torch.tensor([[1.0, 0.0]])
        >>> worst_log_probs(interval_around(z, torch.tensor(0.5))).exp()
        tensor([[0.5000, 0.1192]])
    """
    # Under autocast logits are of half precision, in which a bound could end on the wrong side.
    dtype = torch.promote_types(logits.lower.dtype, torch.float32)
    lower, upper = logits.lower.to(dtype), logits.upper.to(dtype)
    # log softmax as logsigmoid of a margin: exact also where the probability rounds to 1.
    return F.logsigmoid(lower - _log_sum_exp_of_others(upper))


def log_prob_bounds(logits: Interval) -> Interval:
    """Returns bounds (R, K) of the log-probability of every class over a box of logits, each exact, at least float32.

    Args:
        logits: (R, K) float.
    """
    best = worst_log_probs(Interval(logits.upper, logits.lower))  # the other way round: this class up, the others down
    return Interval(worst_log_probs(logits), best)


def _log_sum_exp_of_others(z: Tensor) -> Tensor:
    """Returns (R, K) ``log sum_{j != k} exp z_j`` for each k, in O(R K).

    To take one term out of the sum of all cancels only if it holds most of the sum: that one, the largest, gets a
    sum of its own.
    """
    # The largest term takes itself out of the total by subtraction, which cancels: for it the rest is summed anew.
    largest = torch.zeros_like(z, dtype=torch.bool).scatter(-1, z.argmax(-1, keepdim=True), True)
    without_largest = z.masked_fill(largest, -torch.inf).logsumexp(-1, keepdim=True)
    total = z.logsumexp(-1, keepdim=True)
    share = (z - total).exp().masked_fill(largest, 0)  # else log1p(-1) and its gradient
    return torch.where(largest, without_largest, total + torch.log1p(-share))

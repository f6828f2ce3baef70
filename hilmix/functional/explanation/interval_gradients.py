"""Interval bounds of gradients: how steep a network can be anywhere in a box, layer by layer, backwards.

The gradient at an input is a product of transposed weights and of slopes of activations at that input. The forward
bounds of an activation's inputs (:mod:`hilmix.functional.explanation.intervals`) say which slopes it can have; the
product of intervals of slopes holds the gradient of every point of the box.

Reference:
    M. Wicker, J. Heo, L. Costabello and A. Weller, Robust Explanation Constraints for Neural Networks, ICLR 2023.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from hilmix.functional.explanation.intervals import Bilinear, Interval, interval_around, monotone


def transposed(function: Callable[[Tensor], Tensor], gradient: Tensor, like: Tensor) -> Tensor:
    """Returns a gradient (R, ...) before a linear map, given the one after it.

    Args:
        function: the map, without a bias.
        gradient: (R, ...) float, of something with respect to the map's outputs.
        like: (R, ...) of the shape and type of the map's inputs; its values do not matter.
    """
    return _with_transpose(function, torch.zeros_like(like))[1](gradient)


def _with_transpose(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The function's value, and the map of a gradient after it to one before it."""
    outputs, pull = torch.func.vjp(function, x)  # type: ignore[misc]  # three values with has_aux only

    def back(gradient: Tensor) -> Tensor:
        (before,) = pull(gradient.to(outputs.dtype))  # under autocast a convolution's may be of half precision
        return torch.as_tensor(before)

    return outputs, back


def affine_gradient(gradient: Interval, weight: Tensor, like: Tensor, *, apply: Bilinear = F.linear) -> Interval:
    """Returns the bounds of a gradient before an affine layer, exact for one layer.

    Args:
        gradient: (R, ...) float, after the layer.
        weight: of the layer.
        like: (R, ...) of the shape and type of the layer's inputs.
        apply: the layer without its bias; see :func:`hilmix.functional.explanation.intervals.affine`.
    """
    centre, radius = (gradient.lower + gradient.upper) / 2, (gradient.upper - gradient.lower) / 2
    centre = transposed(lambda x: apply(x, weight), centre, like)
    radius = transposed(lambda x: apply(x, weight.abs()), radius, like)
    return interval_around(centre, radius)


def linear_gradient(gradient: Interval, function: Callable[[Tensor], Tensor], like: Tensor) -> Interval:
    """Returns the bounds of a gradient before a linear map with weights from 0 on: average pooling, reshaping.

    Args:
        gradient: (R, ...) float, after the map.
        function: the map.
        like: (R, ...) of the shape and type of its inputs.
    """
    return monotone(gradient, lambda g: transposed(function, g, like))


def slope_gradient(gradient: Interval, slope: Interval) -> Interval:
    """Returns the bounds of a gradient before an activation, exact for one layer.

    Args:
        gradient: any shape, float, after the activation.
        slope: of the same shape, bounds from 0 on of the activation's derivative.
    """
    lower = torch.minimum(gradient.lower * slope.lower, gradient.lower * slope.upper)
    return Interval(lower, torch.maximum(gradient.upper * slope.lower, gradient.upper * slope.upper))


def rising_slope(x: Interval, derivative: Callable[[Tensor], Tensor]) -> Interval:
    """Returns the bounds of an activation's derivative that never falls: 0, 1 or between them for ReLU.

    Args:
        x: bounds of the activation's inputs.
        derivative: non-decreasing, from 0 on.
    """
    return monotone(x, derivative)


def bell_slope(x: Interval, derivative: Callable[[Tensor], Tensor]) -> Interval:
    """Returns the bounds of a derivative that rises up to 0 and falls from there, such as that of tanh.

    Args:
        x: bounds of the activation's inputs.
        derivative: largest at 0, from 0 on.
    """
    # The peak if the interval holds 0, else the end that is nearer to it.
    nearest_to_zero = torch.zeros_like(x.lower).clamp(x.lower, x.upper)
    return Interval(torch.minimum(derivative(x.lower), derivative(x.upper)), derivative(nearest_to_zero))


def max_pool_gradient(
    gradient: Interval,
    x: Interval,
    *,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> Interval:
    """Returns the bounds of a gradient before max pooling, (R, C, H, W).

    A pixel that cannot be the largest of its window gets nothing of the window's gradient, one that is it in any case
    gets all, and any other nothing or all. Not exact: that exactly one of several gets it is forgotten.

    Args:
        gradient: (R, C, H', W') float, after the pooling.
        x: (R, C, H, W) float, bounds of its inputs.
        kernel_size: height and width, as are all that follow; see ``torch.nn.MaxPool2d``.
        stride: of the windows.
        padding: on both sides.
        dilation: of the windows.
    """
    channels, *sides = x.lower.shape[1:]
    pads: list[int] = []  # last side first; beyond the last window it is cut off, with ceil_mode there is more
    for out, size, k, s, p, d in zip(
        gradient.lower.shape[2:], sides, kernel_size, stride, padding, dilation, strict=True
    ):
        pads = [p, (out - 1) * s + d * (k - 1) + 1 - size - p, *pads]

    def windows(image: Tensor) -> Tensor:
        # Padded here, as unfold pads with zeros, which could be the largest of their window.
        padded = F.pad(image, pads, value=-torch.inf)
        columns = F.unfold(padded, kernel_size, dilation=dilation, stride=stride)
        return columns.reshape(len(image), channels, -1, columns.shape[2])  # (R, C, pixels of a window, windows)

    largest, back = _with_transpose(windows, x.upper)
    may = largest >= windows(x.lower).amax(2, keepdim=True)
    # The slope of a pixel is 1 for certain only if no other of its window can be the largest.
    must = may & (may.sum(2, keepdim=True) == 1)
    after = monotone(gradient, lambda g: g.flatten(2).unsqueeze(2))
    before = slope_gradient(after, Interval(must.to(x.upper.dtype), may.to(x.upper.dtype)))
    return monotone(before, back)

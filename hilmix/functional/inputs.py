"""Inputs on the device: from stored bytes to the numbers a network reads."""

import torch
from torch import Tensor

UNITS = 50.0
"""Ratio of :func:`unit_ratio` above which features are in different units. Ready features (pixels, layers of networks,
word counts) reach 33, tables of measurements in their own units begin at 260; docs/methods.md has the table."""
_ROUNDING = 1e-7
"""Relative deviation, that of float32, up to which a feature is constant."""


def as_float(x: Tensor) -> Tensor:
    """Returns float inputs: uint8 images (R, C, H, W) as float32 in [0, 1], others unchanged."""
    # In place on the copy that float() has made.
    return x if x.is_floating_point() else x.float().div_(255)


def normalise(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Returns ``(x - mean) / std`` per channel of images (R, C, H, W) or per feature of vectors (R, D).

    Args:
        x: float inputs.
        mean: (C,) or (D,).
        std: (C,) or (D,), positive.
    """
    shape = (1, -1, *[1] * (x.ndim - 2))
    return (x - mean.reshape(shape)) / std.reshape(shape)


def unit_ratio(mean: Tensor, std: Tensor, active: Tensor) -> float:
    """Returns how many times the reach of the widest feature exceeds the deviation of the narrowest one.

    With ``u_d = std_d / sqrt(active_d)``, which for a feature that is rarely not 0 is its size where it is, and m the
    mean of all means:

        ratio = max_d sqrt(u_d^2 + (mean_d - m)^2) / q(u)

    q is the smallest u_d above the lowest hundredth, so that a pixel of the border, or one of many features, decides
    nothing. Constant features do not count; the ratio is 1 where all are constant. Scaled by one deviation for all,
    the influence of the narrowest feature is at most ``1 / ratio`` of that of the widest.

    Args:
        mean: (D,) float.
        std: (D,) float, at least 0.
        active: (D,) float, share of values that are not 0.

    Example:
        >>> unit_ratio(torch.zeros(3), torch.tensor([1.0, 2.0, 500.0]), torch.ones(3))
        500.0
    """
    varies = ~is_constant(mean, std)
    if not bool(varies.any()):
        return 1.0
    # A feature that is never active gives 0 / 0 here, but is constant and so left out.
    unit = (std / active.sqrt())[varies].double()
    reach = torch.hypot(unit, (mean[varies] - mean.mean()).double())
    return float(reach.max() / unit.quantile(0.01, interpolation="lower"))


def is_constant(mean: Tensor, std: Tensor) -> Tensor:
    """Returns (D,) bool: whether a feature's deviation is rounding of its mean, in whatever unit it is.

    Args:
        mean: (D,) float.
        std: (D,) float, at least 0.
    """
    return std <= _ROUNDING * mean.abs()

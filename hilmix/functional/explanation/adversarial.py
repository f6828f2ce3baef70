"""Attacks on the inputs of a classifier: the worst change within a radius of every pixel, found by its gradient.

The inputs are un-normalised pixels and the loss normalises them itself, so that a radius of 4/255 is four grey levels
whatever the network. Put the network into eval mode: batch statistics would tie the inputs of a batch to each other.
Attacks work under ``torch.no_grad``, not under ``torch.inference_mode``.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hilmix.checks import NonNegative, PositiveInt, check_value
from hilmix.errors import DataError

Loss = Callable[[Tensor], Tensor]
"""Maps inputs (B, ...) to the loss of each, (B,), or to their sum or mean."""


def fgsm(loss_fn: Loss, x: Tensor, *, radius: float, low: float | None = 0.0, high: float | None = 1.0) -> Tensor:
    """Returns the inputs moved by ``radius`` along the sign of the loss's gradient, clipped to the range, (B, ...).

    Where the gradient is zero nothing moves. Parameters get no gradients.

    Args:
        loss_fn: differentiable; see :data:`Loss`.
        x: (B, ...) float in [low, high].
        radius: of the L-infinity ball, in units of ``x``, at least 0.
        low: least value of an input; None for none.
        high: largest one; None for none.

    Raises:
        ConfigError: if the radius is negative.
        DataError: if ``x`` is not float or leaves the range.

    Reference:
        Goodfellow, Shlens and Szegedy, Explaining and Harnessing Adversarial Examples, ICLR 2015, section 4. Differs
        from the paper: clipped to the range.

    Example:
        >>> x, slope = torch.tensor([[0.5, 0.5]]), torch.tensor([2.0, -1.0])
        >>> fgsm(lambda x: x @ slope, x, radius=0.25)
        tensor([[0.7500, 0.2500]])
    """
    return pgd(loss_fn, x, radius=radius, step=radius, steps=1, low=low, high=high)


def pgd(
    loss_fn: Loss,
    x: Tensor,
    *,
    radius: float,
    step: float,
    steps: int,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    low: float | None = 0.0,
    high: float | None = 1.0,
) -> Tensor:
    """Returns inputs after some steps of projected gradient ascent on the loss, (B, ...): the last ones, not the worst.

    Each step goes by ``step`` along the sign of the gradient and back into the ball around ``x`` and the range.
    Parameters get no gradients.

    Args:
        loss_fn: differentiable; see :data:`Loss`.
        x: (B, ...) float in [low, high].
        radius: of the L-infinity ball, in units of ``x``, at least 0.
        step: length of a step, in the same units, at least 0. To reach any corner of the ball from any start,
            ``step * steps`` must be at least ``2 * radius``.
        steps: at least 1.
        mask: optional float in [0, 1] that broadcasts to ``x``: the share of the radius that each value may move by.
        generator: draws the start uniformly from the ball; None starts from ``x``.
        low: least value of an input; None for none.
        high: largest one; None for none.

    Raises:
        ConfigError: if the radius or the step is negative, or there is no step.
        DataError: if ``x`` is not float or leaves the range.

    Reference:
        Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018, section 2.1.

    Example:
        >>> x = torch.tensor([[0.5, 0.9]])
        >>> pgd(lambda x: x.square().sum(1), x, radius=0.25, step=0.125, steps=4)
        tensor([[0.7500, 1.0000]])
    """
    check_value("radius", radius, NonNegative)
    check_value("step", step, NonNegative)
    check_value("steps", steps, PositiveInt)
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    _check_inputs(x, low, high)
    clean = x.detach()
    reach = radius if mask is None else radius * mask.detach()
    # Box and range in one clamp per step: their intersection is a box as well.
    least, most = (clean - reach).clamp(low, high), (clean + reach).clamp(low, high)
    moved = clean if generator is None else (clean + reach * _uniform_like(clean, generator)).clamp(least, most)
    for _ in range(steps):
        # The sign is the steepest direction within a box (the max-norm); the gradient itself is that within a ball.
        moved = (moved + step * _gradient(loss_fn, moved).sign()).clamp(least, most)
    return moved


def _gradient(loss_fn: Loss, x: Tensor) -> Tensor:
    with torch.enable_grad():  # evaluation loops run without gradients
        x = x.detach().requires_grad_()
        # autograd.grad, not backward(): an attack inside a training step must leave no gradients in the parameters.
        (gradient,) = torch.autograd.grad(loss_fn(x).sum(), x)
    return gradient


def _uniform_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from [-1, 1) on the generator's device: one on the host gives the same start on any device."""
    return torch.rand(x.shape, generator=generator, device=generator.device).to(x) * 2 - 1


def _check_inputs(x: Tensor, low: float, high: float) -> None:
    if not x.is_floating_point():
        raise DataError(f"attack: the inputs are {x.dtype}; give floats in [{low:g}, {high:g}].")
    limited = math.isfinite(low) or math.isfinite(high)
    if limited and x.numel() and not bool(((x >= low) & (x <= high)).all()):
        raise DataError(
            f"attack: the inputs reach from {x.min().item():g} to {x.max().item():g}; give un-normalised ones in "
            f"[{low:g}, {high:g}] and normalise inside the loss."
        )

"""Curves from the generating weight of a mix to the weight that participants see, and smoothing by confidence.

A weight is the share of image 1. The curves take and give weights elementwise, run in the type of the weight (float32
or wider), are exactly 0 and 1 where the text says so, and have finite gradients everywhere: training uses them for
every mix. Their parameters are numbers or tensors that broadcast against the weight.

A curve commutes with swapping the images, ``h(1 - w) = 1 - h(w)``, only where it is centred: ``a = 0`` or ``x0 = 0.5``.
Otherwise it means the first image of the pair in the order of the study, which in H-Mix is the alphabetical order of
the two classes.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Parameter = Tensor | float
CurveKind = Literal["logit", "probit", "logistic", "logistic_anchored"]

SMOOTHING = (50.0, 1e-4)
"""(a, b) of the confidence smoothing that Human-in-the-Loop Mixup used."""


def logit_curve(weight: Tensor, a: Parameter, b: Parameter) -> Tensor:
    """Returns ``s(a + b logit(w))``, s the logistic function; 0 at w = 0 and 1 at w = 1 whatever the parameters.

    Args:
        weight: (...) float in [0, 1].
        a: preference for image 1.
        b: slope, > 0; below 1, participants shrink from the ends. ``a = 0, b = 1`` is the identity.

    Example:
        >>> logit_curve(torch.tensor([0.0, 0.5, 1.0]), 0.0, 0.875).tolist()
        [0.0, 0.5, 1.0]
    """
    # log1p: 1 - w rounds away the digits of a small w.
    w = _inside(weight)
    return _with_ends(weight, torch.sigmoid(a + b * (w.log() - torch.log1p(-w))))


def probit_curve(weight: Tensor, a: Parameter, b: Parameter) -> Tensor:
    """Returns ``Phi(a + b Phi^-1(w))``, Phi the normal distribution function; 0 at w = 0 and 1 at w = 1.

    Args:
        weight: (...) float in [0, 1].
        a: preference for image 1.
        b: slope, > 0. ``a = 0, b = 1`` is the identity.
    """
    return _with_ends(weight, torch.special.ndtr(a + b * torch.special.ndtri(_inside(weight))))


def logistic_curve(weight: Tensor, k: Parameter, x0: Parameter) -> Tensor:
    """Returns ``s(k (w - x0))``, s the logistic function. It does *not* reach 0 and 1 at the pure images.

    Args:
        weight: (...) float in [0, 1].
        k: slope.
        x0: weight that looks like half.
    """
    return torch.sigmoid(k * (weight - x0))


def logistic_anchored_curve(weight: Tensor, k: Parameter, x0: Parameter) -> Tensor:
    """Returns the logistic curve rescaled to ``h(0) = 0`` and ``h(1) = 1``.

    With l the :func:`logistic_curve`, ``h(w) = (l(w) - l(0)) / (l(1) - l(0))``, computed without the cancellation as
    ``l(w) / l(1) * (1 - exp(-k w)) / (1 - exp(-k))``. The sign of k makes no difference; as k goes to 0, h becomes the
    identity.

    Args:
        weight: (...) float in [0, 1].
        k: curvature.
        x0: weight where the curve is steepest.
    """
    # At k = 0 the formula is 0 / 0; at 1e-6 it already equals the limit, the identity, up to rounding.
    steep = torch.as_tensor(k, dtype=weight.dtype, device=weight.device).abs().clamp_min(1e-6)
    ratio = torch.exp(F.logsigmoid(steep * (weight - x0)) - F.logsigmoid(steep * (1 - x0)))
    return ratio * torch.expm1(-steep * weight) / torch.expm1(-steep)


CURVES: dict[CurveKind, Callable[[Tensor, Parameter, Parameter], Tensor]] = {
    "logit": logit_curve,
    "probit": probit_curve,
    "logistic": logistic_curve,
    "logistic_anchored": logistic_anchored_curve,
}
"""Every curve by the name that configurations and fits use; each has two parameters."""


def uniform_share(confidence: Tensor, *, a: float = SMOOTHING[0], b: float = SMOOTHING[1]) -> Tensor:
    """Returns the share that the uniform distribution gets at a confidence: ``c / (1 + c)`` with ``c = a b^w``.

    With the defaults 98 % at confidence 0, 33 % at .5, 0.5 % at 1.

    Args:
        confidence: (...) float w in [0, 1].
        a: c at confidence 0, > 0.
        b: factor on c from confidence 0 to 1, > 0; below 1 so that the sure are smoothed less.

    Example:
        >>> uniform_share(torch.tensor([0.0, 0.5, 1.0])).mul(1000).round().tolist()
        [980.0, 333.0, 5.0]
    """
    # c / (1 + c) = s(log c): no power that overflows, and finite gradients.
    return torch.sigmoid(math.log(a) + confidence * math.log(b))


def smooth_by_confidence(
    probs: Tensor, confidence: Tensor, *, a: float = SMOOTHING[0], b: float = SMOOTHING[1]
) -> Tensor:
    """Returns ``S(y, w) = (y + c/K) / (1 + c)`` with ``c = a b^w``: smoothing by confidence.

    Args:
        probs: (..., K) float distributions y.
        confidence: (...) float w in [0, 1].
        a: see :func:`uniform_share`.
        b: see :func:`uniform_share`.

    Reference:
        Collins et al., Human-in-the-Loop Mixup, UAI 2023; the formula and its constants are those of the authors'
        preliminary code.
    """
    return smooth_uniformly(probs, uniform_share(confidence, a=a, b=b))


def smooth_uniformly(probs: Tensor, share: Parameter) -> Tensor:
    """Returns ``(1 - share) y + share / K``: label smoothing, and with one share for all the matched control of
    :func:`smooth_by_confidence` that uses no human input.

    Args:
        probs: (..., K) float distributions y.
        share: number or (...) float in [0, 1].
    """
    share = torch.as_tensor(share, dtype=probs.dtype, device=probs.device).unsqueeze(-1)
    return probs * (1 - share) + share / probs.shape[-1]


def two_hot(label1: Tensor, label2: Tensor, weight: Tensor, *, num_classes: int) -> Tensor:
    """Returns (M, K) labels with ``weight`` on the class of image 1 and the rest on that of image 2.

    Differentiable in the weight; two images of one class give that class 1.

    Args:
        label1: (M,) int64 in [0, K).
        label2: (M,) int64 in [0, K).
        weight: (M,) float in [0, 1].
        num_classes: K.

    Example:
        >>> two_hot(torch.tensor([0]), torch.tensor([2]), torch.tensor([0.75]), num_classes=3).tolist()
        [[0.75, 0.0, 0.25]]
    """
    both, shares = torch.stack([label1, label2], 1), torch.stack([weight, 1 - weight], 1)
    # Adds rather than assigns: two images of one class give it the whole mass.
    return weight.new_zeros(len(weight), num_classes).scatter_add(1, both, shares)


def _inside(weight: Tensor) -> Tensor:
    """Weights moved off 0 and 1 by as little as their type can tell, where logit and probit are finite."""
    limits = torch.finfo(weight.dtype)
    return weight.clamp(limits.tiny, 1 - limits.eps)


def _with_ends(weight: Tensor, seen: Tensor) -> Tensor:
    # The curve runs on clamped weights, which keeps gradients finite; only the values at the ends are set.
    return torch.where(weight <= 0, 0.0, torch.where(weight >= 1, 1.0, seen))

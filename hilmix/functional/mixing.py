"""Mixing rows of tensors: weights, partners, and the mix itself."""

import numpy as np
import torch
from torch import Tensor

from hilmix.errors import ConfigError


def draw_weights(rows: int, alpha: float, generator: np.random.Generator) -> Tensor:
    """Returns (rows,) float32 weights, each drawn from Beta(alpha, alpha).

    Drawn on the host: the batch's row count is known there, and the draws do not depend on the device.

    Args:
        rows: R.
        alpha: positive; small values keep weights near 0 and 1, 1 is uniform.
        generator: source of the draws.

    Raises:
        ConfigError: if ``alpha`` is not positive.
    """
    check_alpha(alpha)
    return torch.from_numpy(generator.beta(alpha, alpha, size=rows).astype(np.float32))


def check_alpha(alpha: float) -> float:
    """Returns ``alpha`` if a Beta distribution can have it.

    Raises:
        ConfigError: if it is not positive and finite.
    """
    if not (alpha > 0 and np.isfinite(alpha)):
        raise ConfigError(f"mix: alpha is {alpha}; allowed are positive numbers. For no mixing use the policy NoMix.")
    return float(alpha)


def draw_partners(rows: int, generator: np.random.Generator) -> Tensor:
    """Returns a uniformly drawn (rows,) int64 permutation; a row may be its own partner."""
    return torch.from_numpy(generator.permutation(rows))


def mix_rows(x: Tensor, partner: Tensor, weight: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Returns ``weight * x + (1 - weight) * x[partner]`` row by row, differentiable in ``x``.

    Without gradients it takes one gather and one pass in place, into ``out`` if given: on a CPU a fresh large
    allocation costs more than the arithmetic.

    Args:
        x: (R, ...) float.
        partner: (R,) int64 in [0, R).
        weight: (R,) float in [0, 1].
        out: optional (R, ...) buffer of the type of ``x``, overwritten; not ``x`` itself.

    Example:
        >>> mix_rows(torch.tensor([[0.0], [4.0]]), torch.tensor([1, 0]), torch.tensor([0.75, 0.5])).tolist()
        [[1.0], [2.0]]
    """
    share = weight.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    if x.requires_grad:
        return torch.lerp(x[partner], x, share)
    mixed = torch.index_select(x, 0, partner) if out is None else torch.index_select(x, 0, partner, out=out)
    return mixed.lerp_(x, share)


def partner_rows(row: Tensor, partner: Tensor) -> Tensor:
    """Returns for each pair the mixed row in which its item is the *partner*.

    Under item-wise mixing, the pairs of item j are scored on row j with weight ``w[j]``, and again on the row i
    with ``partner[i] = j``, with weight ``1 - w[i]``.

    Args:
        row: (L,) int64, the item row of each pair.
        partner: (B,) int64 permutation.

    Returns:
        (L,) int64 row i of each pair.
    """
    inverse = torch.empty_like(partner)
    inverse[partner] = torch.arange(len(partner), device=partner.device)
    return inverse[row]

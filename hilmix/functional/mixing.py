"""Mixing rows of tensors: weights, partners, and the mix itself."""

from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from hilmix.checks import Range, check_value
from hilmix.types import MixPlan

MaskMixing = Literal["max", "weighted"]
Alpha = Annotated[float, Range(0, above=True, remedy="Use NoMix to disable mixing.")]
"""Both parameters of the Beta distribution that weights are drawn from."""


Generator = np.random.Generator | torch.Generator
"""Source of draws: all are made on the host by one of NumPy, which one of torch seeds."""


def as_numpy(generator: Generator) -> np.random.Generator:
    """Returns the generator itself, or one that the next draw of a torch generator seeds.

    Args:
        generator: of NumPy, or of torch on any device, whose state moves on.
    """
    if isinstance(generator, np.random.Generator):
        return generator
    seed = torch.randint(2**63 - 1, (2,), generator=generator, device=generator.device)
    return np.random.Generator(np.random.PCG64(seed.tolist()))


def draw_weights(rows: int, alpha: float, generator: Generator) -> Tensor:
    """Returns (rows,) float32 weights, each drawn from Beta(alpha, alpha).

    Drawn on the host: the batch's row count is known there, and the draws do not depend on the device.

    Args:
        rows: R.
        alpha: positive; small values keep weights near 0 and 1, 1 is uniform.
        generator: source of the draws.

    Raises:
        ConfigError: if ``alpha`` is not positive.
    """
    check_value("alpha", alpha, Alpha)
    return torch.from_numpy(as_numpy(generator).beta(alpha, alpha, size=rows).astype(np.float32))


def draw_partners(rows: int, generator: Generator) -> Tensor:
    """Returns a uniformly drawn (rows,) int64 permutation; a row may be its own partner."""
    return torch.from_numpy(as_numpy(generator).permutation(rows))


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
    # lerp refuses a weight of another type than its inputs.
    share = weight.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    # Backward needs `x`, and writing into `out` has no gradient.
    if x.requires_grad:
        return torch.lerp(x[partner], x, share)
    mixed = torch.index_select(x, 0, partner) if out is None else torch.index_select(x, 0, partner, out=out)
    return mixed.lerp_(x, share)


def draw_boxes(weight: Tensor, height: int, width: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Returns rectangles (R, 4) int64, top, bottom, left, right, and what they leave of the image, (R,) float32.

    A rectangle has the shape of the image, an area of ``1 - weight`` of it, and a centre uniform over the pixels; what
    sticks out is cut off, so more may be left than asked for.

    Args:
        weight: (R,) float in [0, 1], on the host.
        height: H.
        width: W.
        generator: source of the centres.

    Reference: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers", ICCV 2019, equation 2, and
    the exact share of section 3.1.
    """
    sides = np.sqrt(1 - weight.numpy().astype(np.float64))
    edges = []
    for size in (height, width):
        # Whole half sides as in the authors' code: a box may lose a pixel, which the returned share takes into account.
        half = np.floor(sides * size).astype(np.int64) // 2
        centre = generator.integers(0, size, len(half))
        # Cut off at the border, not moved inside: else pixels near the border would be replaced less often than others.
        edges += [np.clip(centre - half, 0, size), np.clip(centre + half, 0, size)]
    box = np.stack(edges, 1)
    left = 1 - (box[:, 1] - box[:, 0]) * (box[:, 3] - box[:, 2]) / (height * width)
    return torch.from_numpy(box), torch.from_numpy(left.astype(np.float32))


def paste_boxes(x: Tensor, partner: Tensor, box: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Returns ``x`` with a rectangle of each image replaced by that of its partner.

    Args:
        x: (R, C, H, W) float.
        partner: (R,) int64 in [0, R).
        box: (R, 4) int64 top, bottom, left, right.
        out: optional (R, C, H, W) buffer of the type of ``x``, overwritten; not ``x`` itself.

    Example:
        >>> x, box = torch.tensor([[[[1.0, 2.0]]], [[[3.0, 4.0]]]]), torch.tensor([[0, 1, 0, 1], [0, 0, 0, 0]])
        >>> paste_boxes(x, torch.tensor([1, 0]), box).flatten(1).tolist()
        [[3.0, 2.0], [3.0, 4.0]]
    """
    # Comparing coordinates, not slicing: no loop over images, and the boxes need not be read on the host.
    rows, columns = (torch.arange(size, device=x.device) for size in x.shape[-2:])
    top, bottom, left, right = box[:, :, None].unbind(1)
    inside = ((rows >= top) & (rows < bottom))[:, None, :, None] & ((columns >= left) & (columns < right))[
        :, None, None
    ]
    if x.requires_grad:
        return torch.where(inside, x[partner], x)
    pasted = torch.index_select(x, 0, partner) if out is None else torch.index_select(x, 0, partner, out=out)
    return pasted.lerp_(x, (~inside).to(x.dtype))  # exact at 0 and 1, faster than where


def mix_masks(mask: Tensor, plan: MixPlan | None, row: Tensor, *, how: MaskMixing = "max") -> Tensor:
    """Returns the masks of mixed rows, (R, ...); as they are if nothing or a later layer than the input is mixed.

    Args:
        mask: (B, ...) float in [0, 1], 1 where a pixel must not matter.
        plan: how the inputs are mixed.
        row: (L,) int64 item row of each pair.
        how: ``max`` never trusts a pixel that was marked in either image; ``weighted`` mixes the masks like the
            images. Where rectangles are pasted, every pixel is of one image and has the mask of that.
    """
    if plan is None or plan.layer != "input":
        return mask
    # A plan of pairs mixes a row per label, of which an item has as many as annotators.
    mask = mask[row] if plan.rows == "pairs" else mask
    if plan.box is not None:
        return paste_boxes(mask, plan.partner, plan.box)
    if how == "max":
        return torch.maximum(mask, mask[plan.partner])
    return mix_rows(mask, plan.partner, plan.weight)


def row_shares(shares: Tensor, row: Tensor, partner: Tensor) -> Tensor:
    """Returns how the label of each mixed row is made up: own item, partner, uniform, (B, 3).

    The means of what the answers say about it. The three sum to 1 where both items have answers, unless annotators see
    with eyes of their own. An item without answers has no share, nor is anything uniform on its behalf.

    Args:
        shares: (2L, 2) float, see :class:`~hilmix.types.MixPlan`.
        row: (L,) int64 item row of each answer.
        partner: (B,) int64 permutation.
    """
    own, other = shares.tensor_split(2)
    # An item without answers divides 0 by 1.
    count = torch.bincount(row, minlength=len(partner)).clamp_min(1).to(shares.dtype)
    mean = shares.new_zeros(2, len(partner), 2)
    mean[0].index_add_(0, row, own / count[row, None])
    mean[1].index_add_(0, partner_rows(row, partner), other / count[row, None])
    return torch.stack([mean[0, :, 0], mean[1, :, 0], mean[:, :, 1].sum(0)], 1)


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
    # The inverse of a permutation by one assignment; argsort would sort.
    inverse = torch.empty_like(partner)
    inverse[partner] = torch.arange(len(partner), device=partner.device)
    return inverse[row]

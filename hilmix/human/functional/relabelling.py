"""Labels of mixes from what participants see: one share for the whole mix, or one for each pair of classes."""

import torch
from torch import Tensor

from hilmix.human.functional.perception import CURVES, CurveKind, Parameter


def blend_labels(label1: Tensor, label2: Tensor, seen: Tensor) -> Tensor:
    """Returns ``seen y1 + (1 - seen) y2``, (R, K): the label of a mix of which participants see one share as image 1.

    Args:
        label1: (R, K) float distribution of image 1.
        label2: (R, K) float distribution of image 2.
        seen: (R,) float in [0, 1].
    """
    share = seen[:, None]
    return share * label1 + (1 - share) * label2


def blend_classes(label1: Tensor, label2: Tensor, seen: Tensor) -> Tensor:
    """Returns ``sum_cd y1_c y2_d (seen_cd e_c + (1 - seen_cd) e_d)``, (R, K): a share for each pair of classes.

    The expectation over the classes of the two images, which are drawn independently from their labels; for hard
    labels the curve of their pair. It does not depend on which image is called the first if ``seen`` does not, that is
    if swapping the images turns ``seen_cd`` into ``1 - seen_dc``.

    Args:
        label1: (R, K) float distribution of image 1.
        label2: (R, K) float distribution of image 2.
        seen: (R, K, K) float in [0, 1], share of image 1 where its class is c and that of image 2 is d. The memory is
            what limits K: 128 rows of 100 classes take 5 MB, of 1,000 classes 0.5 GB.

    Example:
        >>> cat, dog = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> blend_classes(cat, dog, torch.full((1, 2, 2), 0.75)).tolist()
        [[0.75, 0.25]]
    """
    # One class axis at a time: the product of both labels would be a second (R, K, K) tensor.
    first = label1 * torch.einsum("rd,rcd->rc", label2, seen)
    second = label2 * torch.einsum("rc,rcd->rd", label1, 1 - seen)
    return first + second


def class_order(num_classes: int, like: Tensor) -> Tensor:
    """Returns (K, K) of the type and device of ``like``: 1 where c comes before d, -1 where after, 0 for one class."""
    place = torch.arange(num_classes, device=like.device, dtype=like.dtype)
    return torch.sign(place[None, :] - place[:, None])


def ordered_curve(kind: CurveKind, weight: Tensor, first: Parameter, second: Parameter, *, num_classes: int) -> Tensor:
    """Returns (R, K, K) shares of image 1 from a curve that belongs to the image whose class comes first.

    The curve h itself where c comes before d, ``1 - h(1 - w)`` where it comes after, and their mean within a class:
    swapping the images changes nothing, centred or not, and the shares of both images sum to 1.

    Args:
        kind: a name in :data:`~hilmix.human.functional.perception.CURVES`.
        weight: (R,) float in [0, 1].
        first: first parameter of the curve, a number or (R,).
        second: second parameter of the curve, a number or (R,).
        num_classes: K.
    """
    before = CURVES[kind](weight, first, second)[:, None, None]
    after = 1 - CURVES[kind](1 - weight, first, second)[:, None, None]
    order = class_order(num_classes, weight)
    # Within a class no image comes first; the mean of both directions is symmetric.
    return torch.where(order > 0, before, torch.where(order < 0, after, (before + after) / 2))

"""The mixed images as participants saw them, rebuilt from the images they were made of."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilmix.errors import DataError
from hilmix.human.study.study import MixStudy
from hilmix.human.study.tables import MIDPOINT_TASKS

MIDPOINT_WEIGHTS = np.arange(0, 1.01, 0.1)
"""The eleven weights of the released midpoint tasks. Their float noise, 0.30000000000000004, shows in some pixels."""


def render_mix(image1: ArrayLike, image2: ArrayLike, weight: ArrayLike) -> NDArray[np.uint8]:
    """Returns the display form of ``weight * image1 + (1 - weight) * image2``, (..., H, W, C) uint8.

    In float64, divided by 255 and multiplied by it again, then truncated, which is how the released stimuli were made.
    The order of operations counts: others give other pixels in a third of the images. The result lies at most one grey
    level below the mix that training computes (:func:`hilmix.functional.mixing.mix_rows` on floats in [0, 255]), and
    never above it by more than rounding. It is a whole level where that mix is a whole number and the display comes out
    a rounding short of it, as in one of 1,800 values of H-Mix; less elsewhere, .37 in the mean.

    Args:
        image1: (..., H, W, C) numbers in [0, 255].
        image2: as ``image1``.
        weight: (...) in [0, 1], the weight of image 1.

    Example:
        >>> render_mix(np.full((1, 1, 1), 255), np.zeros((1, 1, 1)), 0.5).item()
        127
    """
    share = np.asarray(weight, dtype=np.float64)[..., None, None, None]
    a, b = np.asarray(image1), np.asarray(image2)
    # astype truncates; the brackets fix the order of operations, on which some pixels depend.
    shown: NDArray[np.uint8] = (((share * a + (1 - share) * b) / 255) * 255).astype(np.uint8)
    return shown


def rebuild_stimuli(
    study: MixStudy, images: NDArray[np.uint8], *, midpoint_weights: ArrayLike = MIDPOINT_WEIGHTS
) -> NDArray[np.uint8]:
    """Returns every stimulus of a study, (S, H, W, C) uint8; of a midpoint study with V weights (S, V, H, W, C).

    Args:
        study: any.
        images: (num_items, H, W, C) uint8, the set that the study's ids point into; for the released studies the
            CIFAR-10 test images in their official order.
        midpoint_weights: (V,) the weights offered in a midpoint task.

    Raises:
        DataError: if the set of images has another size.
    """
    if len(images) != study.num_items:
        raise DataError(
            f"images must be the {study.num_items} that the ids of the study point into, got {len(images)}."
        )
    shown = study.stimuli
    first, second = images[shown.id1], images[shown.id2]
    if study.task in MIDPOINT_TASKS:
        return render_mix(first[:, None], second[:, None], np.asarray(midpoint_weights)[None])
    return render_mix(first, second, shown.weight)

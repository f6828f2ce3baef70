"""Small pictures of items for sheets and tables."""

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import IntArray
from hilmix.data.items import AnnotatedData

SIDE = 64
"""Smaller images are enlarged by a whole factor to about this side, or a board shows specks."""


def thumbnails(data: AnnotatedData, rows: IntArray) -> list[NDArray[np.uint8]] | None:
    """Returns one (H, W, C) uint8 picture per row with C in {1, 3}, or None where the inputs are not images."""
    if data.inputs.kind != "image":
        return None
    pictures = []
    for row in rows:  # one at a time: a batch of large images would not fit
        image = data.inputs.fetch(np.array([row]))[0].numpy()
        if image.dtype != np.uint8:
            low, high = min(0.0, float(image.min())), max(1.0, float(image.max()))
            image = np.round((image - low) / (high - low) * 255).astype(np.uint8)
        image = image[: 3 if len(image) >= 3 else 1]
        factor = max(1, SIDE // max(image.shape[1:]))
        pictures.append(np.moveaxis(image.repeat(factor, axis=1).repeat(factor, axis=2), 0, 2))
    return pictures

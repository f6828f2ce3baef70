"""Small pictures of items for sheets and tables."""

import io
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from hilmix.annotations import IntArray
from hilmix.data.items import AnnotatedData

SIDE = 64
"""Smaller images are enlarged by a whole factor to about this side, or a board shows specks."""
LONGEST = 192
"""Longer sides are reduced to this in a file of pictures, twice the pixels that a report gives them."""


def thumbnails(data: AnnotatedData, rows: IntArray) -> list[NDArray[np.uint8]] | None:
    """Returns one (H, W, C) uint8 picture per row with C in {1, 3}, or None where the inputs are not images."""
    if data.inputs.kind != "image":
        return None
    pictures = []
    for row in rows:  # one at a time: a batch of large images would not fit
        image = data.inputs.fetch(np.array([row]))[0].numpy()
        if image.dtype != np.uint8:
            # Stretched only where values leave [0, 1]: a dark picture must stay dark on the sheet.
            low, high = min(0.0, float(image.min())), max(1.0, float(image.max()))
            image = np.round((image - low) / (high - low) * 255).astype(np.uint8)
        image = image[: 3 if len(image) >= 3 else 1]
        factor = max(1, SIDE // max(image.shape[1:]))
        pictures.append(np.moveaxis(image.repeat(factor, axis=1).repeat(factor, axis=2), 0, 2))
    return pictures


def picture_table(data: AnnotatedData, items: Iterable[str]) -> pd.DataFrame | None:
    """Returns small pictures of items as files in a table, or None where the inputs are not images.

    Args:
        data: all items.
        items: names of those to show.

    Returns:
        ``item`` and ``picture``, the bytes of a PNG, or of a JPEG where the image had to be reduced.
    """
    names = list(items)
    rows = pd.Index(data.items).get_indexer(pd.Index(names, dtype=object)).astype(np.int64)
    images = thumbnails(data, rows)
    if images is None:
        return None
    return pd.DataFrame({"item": names, "picture": [_encoded(image) for image in images]})


def _encoded(image: NDArray[np.uint8]) -> bytes:
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    large = max(picture.size) > LONGEST
    picture.thumbnail((LONGEST, LONGEST))
    file = io.BytesIO()
    # A photo as PNG would be five times as large; a drawing of few pixels as JPEG would blur.
    picture.save(file, format="JPEG" if large else "PNG", **({"quality": 85} if large else {"optimize": True}))
    return file.getvalue()

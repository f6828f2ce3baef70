"""Features of the images of a data set, a few at a time."""

import numpy as np
import torch
from torch import Tensor

from hilmix.columns import IntArray
from hilmix.data.inputs import Inputs
from hilmix.functional.inputs import as_float
from hilmix.human.functional.image_statistics import STATISTICS, image_statistics

_AT_ONCE = 256


def compute_statistics(inputs: Inputs, rows: IntArray) -> Tensor:
    """Returns (N, 15) float32 statistics of images, NaN where not asked for.

    Args:
        inputs: N images of 1 or 3 channels, of at least 5 pixels a side; grey ones count as colours that are equal.
        rows: (R,) int64 different images.
    """
    found = torch.full((len(inputs), len(STATISTICS)), torch.nan)
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        # expand makes three views of a grey channel, and leaves three channels alone.
        images = as_float(inputs.fetch(part)).expand(-1, 3, -1, -1)
        found[torch.from_numpy(np.asarray(part))] = image_statistics(images)
    return found

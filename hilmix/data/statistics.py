"""Mean and spread of inputs, by which a network's inputs are standardised."""

import numpy as np
import torch
from torch import Tensor

from hilmix.annotations import IntArray
from hilmix.data.items import Inputs
from hilmix.functional.inputs import as_float
from hilmix.functional.random import step_generator

CHUNK = 64
MOST_ITEMS = 4096
"""Most items that are read for it."""


def input_statistics(inputs: Inputs, rows: IntArray, *, seed: int) -> tuple[Tensor, Tensor]:
    """Returns mean and standard deviation of inputs, per channel (C,) or feature (D,), after ``as_float``.

    Args:
        inputs: all inputs.
        rows: those to read; of more than 4,096 a sample.
        seed: of the sample.
    """
    if len(rows) > MOST_ITEMS:
        generator = step_generator(seed, 0, stream="sample")
        rows = np.sort(generator.choice(rows, MOST_ITEMS, replace=False))
    count, mean, spread = 0, torch.zeros(1), torch.zeros(1)
    for part in np.array_split(rows, -(-len(rows) // CHUNK)):  # images of thousands of items are large
        x = as_float(inputs.fetch(part)).double()
        axes = [0, *range(2, x.ndim)]
        size, step = x[:, 0].numel(), x.mean(axes) - mean
        spread = spread + x.var(axes, correction=0) * size + step**2 * (count * size / (count + size))
        mean, count = mean + step * (size / (count + size)), count + size
    return mean.float(), (spread / count).sqrt().float()

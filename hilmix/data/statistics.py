"""Mean, spread and activity of inputs, by which a network's inputs are standardised."""

import numpy as np
import torch
from torch import Tensor

from hilmix.annotations import IntArray
from hilmix.data.inputs import Inputs
from hilmix.functional.inputs import as_float
from hilmix.functional.random import step_generator

CHUNK = 64
MOST_ITEMS = 4096
"""Most items that are read for it."""


def input_statistics(inputs: Inputs, rows: IntArray, *, seed: int) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of inputs, per channel (C,) or feature (D,), after ``as_float``.

    Args:
        inputs: all inputs.
        rows: those to read; of more than 4,096 a sample.
        seed: of the sample.
    """
    rows = _sample_rows(rows, seed)
    count, mean, spread = 0, torch.zeros(1), torch.zeros(1)
    for part in _split_rows(rows):
        x = as_float(inputs.fetch(part)).double()
        axes = [0, *range(2, x.ndim)]
        size, step = x[:, 0].numel(), x.mean(axes) - mean
        # Joined chunk by chunk (Chan et al.): sums of squares would cancel for inputs far from 0.
        spread = spread + x.var(axes, correction=0) * size + step**2 * (count * size / (count + size))
        mean, count = mean + step * (size / (count + size)), count + size
    return mean.float(), (spread / count).sqrt().float()


def input_activity(inputs: Inputs, rows: IntArray, *, seed: int) -> Tensor:
    """Return the share of values that are not 0, per channel (C,) or feature (D,).

    Args:
        inputs: all inputs.
        rows: those to read; of more than 4,096 the sample of :func:`input_statistics`.
        seed: of the sample.
    """
    rows = _sample_rows(rows, seed)
    shares = [
        (x != 0).double().mean([0, *range(2, x.ndim)]) * len(x)
        for x in (inputs.fetch(part) for part in _split_rows(rows))
    ]
    return (torch.stack(shares).sum(0) / len(rows)).float()


def _sample_rows(rows: IntArray, seed: int) -> IntArray:
    if len(rows) <= MOST_ITEMS:
        return rows
    generator = step_generator(seed, 0, stream="sample")
    # Sorted, as files and memory maps are read faster in order.
    return np.sort(generator.choice(rows, MOST_ITEMS, replace=False))


def _split_rows(rows: IntArray) -> list[IntArray]:
    """Rows in parts of at most 64: images of thousands of items are large."""
    return np.array_split(rows, -(-len(rows) // CHUNK))

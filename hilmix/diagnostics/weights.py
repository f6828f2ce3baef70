"""The weights that a number belongs to."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Weights(NamedTuple):
    """The weights behind a number of a report."""

    checkpoint: str
    """``last``, ``best``, the name of another file, or ``memory`` for a model that no file was read for."""
    epoch: int
    """The epoch behind whose training they were taken, from 0; -1 for untrained ones."""
    step: int
    """Optimizer steps taken."""


def with_weights(text: str, weights: Mapping[str, Any]) -> str:
    """Returns ``text; weights: best, epoch 3, step 40``.

    Args:
        text: what the weights are named behind.
        weights: the fields of :class:`Weights`; without them, in files of older versions, the text stays as it is.
    """
    if any(weights.get(name) is None or weights[name] != weights[name] for name in Weights._fields):
        return text
    return f"{text}; weights: {weights['checkpoint']}, epoch {int(weights['epoch'])}, step {int(weights['step'])}"

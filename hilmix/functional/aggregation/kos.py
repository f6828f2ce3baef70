"""KOS: reliable annotators and sure items by message passing, for two classes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.errors import ConfigError
from hilmix.functional.aggregation.votes import FloatArray, IntArray


class Kos(NamedTuple):
    """What :func:`kos` returns. It knows sides, not probabilities."""

    posterior: FloatArray
    """(N, 2) float64, one-hot; even where nobody voted or the messages cancel."""
    reliability: FloatArray
    """(A,) float64, mean message of an annotator on the scale of the last round: below 0 speaks against the label."""


def kos(
    item: IntArray,
    annotator: IntArray,
    label: IntArray,
    *,
    num_items: int,
    num_annotators: int,
    num_classes: int,
    probs: NDArray[np.floating] | None = None,
    rounds: int = 20,
    seed: int = 0,
) -> Kos:
    """Returns the side of every item after rounds of messages between items and annotators.

    An answer is +1 or -1. An item tells each of its annotators what the others say, weighted by their reliability; an
    annotator tells each item how well the others of their items agree. Messages are rescaled each round, which changes
    no sign. Memory is O(L).

    Args:
        item: (L,) integers in [0, N), in any order.
        annotator: (L,) integers in [0, A).
        label: (L,) integers in [0, 2).
        num_items: N.
        num_annotators: A.
        num_classes: 2.
        probs: optional (L, 2) distributions that replace ``label``; an answer is then their difference.
        rounds: of messages, at least 1. The method has no objective, so nothing tells convergence.
        seed: of the first messages, normal with mean 1 and variance 1.

    Raises:
        ConfigError: for other than two classes, or no rounds.

    Reference:
        D. R. Karger, S. Oh and D. Shah, Budget-optimal task allocation for reliable crowdsourcing systems, Operations
        Research 62 (2014), the iterative algorithm. Differs from the paper: soft answers.
    """
    if num_classes != 2:
        raise ConfigError(f"KOS decides between two classes, but the data have {num_classes}; use another method.")
    if rounds < 1:
        raise ConfigError(f"KOS's rounds is {rounds}; at least 1 is needed.")
    answer = 2.0 * label - 1.0 if probs is None else (probs[:, 1] - probs[:, 0]).astype(np.float64)
    message = np.random.default_rng(seed).normal(1.0, 1.0, len(item))  # from annotator to item
    for _ in range(rounds):
        message = _others(answer * message, item, num_items)
        message = _others(answer * message, annotator, num_annotators)
        message /= max(float(np.abs(message).max(initial=0.0)), np.finfo(np.float64).tiny)
    score = np.bincount(item, answer * message, minlength=num_items)
    said = np.maximum(np.bincount(annotator, minlength=num_annotators), 1)
    reliability = np.bincount(annotator, message, minlength=num_annotators) / said
    side = np.sign(score)
    return Kos(np.stack([1 - side, 1 + side], axis=1) / 2, reliability)


def _others(value: FloatArray, group: IntArray, size: int) -> FloatArray:
    """(L,) sum over the group's other members."""
    total: FloatArray = np.bincount(group, value, minlength=size)[group] - value
    return total

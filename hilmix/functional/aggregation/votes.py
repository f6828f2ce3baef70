"""The long form that every aggregator reads, counts of votes, and the aggregators that need nothing else."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.functional.sizes import bytes_needed, require_memory

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
OnRound = Callable[[int], object]
"""Called with the number of rounds done, for a progress display."""

_TIE = 1e-6
"""Relative difference of two vote counts below which they tie: sums of float32 ``probs`` carry this much rounding."""

_SAFE_RANGE = 600.0
"""exp(-600) is far from the smallest float64, so one shift serves scores that lie this close together."""


class Entries(NamedTuple):
    """Votes with weights: one per label, or K per soft answer, which thus counts as fractional labels."""

    item: IntArray
    annotator: IntArray
    label: IntArray
    weight: FloatArray


class Majority(NamedTuple):
    """What :func:`majority` returns."""

    label: IntArray
    """(N,) int64, the class with the most votes, -1 where nobody voted."""
    tied: NDArray[np.bool_]
    """(N,) bool, whether the seed had to decide between classes."""


def entries(
    item: IntArray, annotator: IntArray, label: IntArray, num_classes: int, probs: NDArray[np.floating] | None
) -> Entries:
    """Returns the votes as (item, annotator, class, weight), answers in the order given."""
    if probs is None:
        return Entries(item, annotator, label, np.ones(len(item)))
    classes = np.tile(np.arange(num_classes), len(item))
    weight = np.asarray(probs, dtype=np.float64).ravel()
    return Entries(np.repeat(item, num_classes), np.repeat(annotator, num_classes), classes, weight)


def vote_counts(
    item: IntArray, label: IntArray, *, num_items: int, num_classes: int, probs: NDArray[np.floating] | None = None
) -> FloatArray:
    """Returns (N, K) float64 votes per item and class; a soft answer counts with its probabilities."""
    return weighted_counts(entries(item, item, label, num_classes, probs), num_items=num_items, num_classes=num_classes)


def weighted_counts(votes: Entries, *, num_items: int, num_classes: int) -> FloatArray:
    """Returns (N, K) float64 sums of the weights per item and class.

    Raises:
        DataError: where they would fill the memory.
    """
    needed = bytes_needed(items=num_items, classes=num_classes, per_item=1)
    require_memory("Counting labels by item and class", needed, items=num_items, classes=num_classes)
    cell = votes.item * num_classes + votes.label
    flat = np.bincount(cell, weights=votes.weight, minlength=num_items * num_classes)
    return flat.astype(np.float64, copy=False).reshape(num_items, num_classes)


def best_classes(counts: FloatArray) -> NDArray[np.bool_]:
    """Returns (N, K) bool, the classes with the most votes; those of a tie all, none where nobody voted.

    Args:
        counts: (N, K) non-negative votes, see :func:`vote_counts`.
    """
    top = counts.max(axis=1, keepdims=True, initial=0.0)
    best: NDArray[np.bool_] = (counts >= top * (1 - _TIE)) & (top > 0)
    return best


def majority(counts: FloatArray, *, seed: int = 0) -> Majority:
    """Returns the class with the most votes per item; ties are drawn uniformly, and reported.

    The draw of an item depends on the seed and its row alone, not on the votes of other items.

    Args:
        counts: (N, K) non-negative votes, see :func:`vote_counts`.
        seed: decides ties.

    Example:
        >>> majority(np.array([[2.0, 1.0], [0.0, 0.0]])).label.tolist()
        [0, -1]
    """
    best = best_classes(counts)
    choices = best.sum(axis=1)
    draw = np.random.default_rng(seed).random(len(counts))
    nth = np.floor(draw * choices).astype(np.int64) + 1  # take the nth of the best classes
    label = (best.cumsum(axis=1) >= nth[:, None]).argmax(axis=1)
    return Majority(np.where(choices > 0, label, -1).astype(np.int64), choices > 1)


def soft_labels(counts: FloatArray) -> FloatArray:
    """Returns (N, K) float64 shares of the votes, uniform where nobody voted.

    Args:
        counts: (N, K) non-negative votes, see :func:`vote_counts`.
    """
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts, 1 / counts.shape[1]) / np.where(total > 0, total, 1)


def softmax_in_place(scores: FloatArray) -> float:
    """Replaces (N, K) scores by their softmax over the classes; returns the summed logarithms of the normalisers."""
    if scores.size and scores.max() - scores.min() < _SAFE_RANGE:
        top = np.full((len(scores), 1), scores.max())  # a maximum per row costs more than all the rest
    else:
        top = scores.max(axis=1, keepdims=True)
    scores -= top
    np.exp(scores, out=scores)
    total = scores @ np.ones((scores.shape[1], 1))  # several times faster than sum over a short last axis
    scores /= total
    return float(top.sum() + np.log(total).sum())


def has_converged(history: list[float], least: float) -> bool:
    """Whether the last of at least two rounds gained no more than ``least``."""
    return len(history) > 1 and history[-1] - history[-2] <= least

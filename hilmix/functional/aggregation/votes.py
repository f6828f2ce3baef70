"""Counts of votes, the aggregators that need nothing else, and what the others share."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.grouped import sum_by_group
from hilmix.functional.sizes import bytes_needed, require_memory

OnRound = Callable[[int], object]
"""Called with the number of rounds done, for a progress display."""

TIE = 1e-6
"""Relative difference of two vote counts below which they tie: sums of float32 ``probs`` carry this much rounding."""

_SAFE_RANGE = 600.0
"""exp(-600) is far from the smallest float64, so one shift serves scores that lie this close together."""


class Entries(NamedTuple):
    """Votes with weights: one per label, or K per soft answer, which thus counts as fractional labels."""

    item: IntArray
    annotator: IntArray
    label: IntArray
    weight: FloatArray


class HardLabels(NamedTuple):
    """One class per item, as :func:`~hilmix.functional.aggregation.majority` and :func:`choose_classes` return it."""

    label: IntArray
    """(N,) int64, the class with the highest score, -1 for items without a positive one."""
    tied: NDArray[np.bool_]
    """(N,) bool, whether the seed had to decide between classes."""


def entries(table: Votes) -> Entries:
    """Returns the votes as (item, annotator, class, weight), rows in the order given."""
    if table.probs is None:
        return Entries(table.item, table.annotator, table.label, np.ones(len(table.item)))
    k = table.num_classes
    classes = np.tile(np.arange(k), len(table.item))
    # float64, although answers are stored as float32: thousands are summed, and compared for ties.
    weight = np.asarray(table.probs, dtype=np.float64).ravel()
    return Entries(np.repeat(table.item, k), np.repeat(table.annotator, k), classes, weight)


def vote_counts(table: Votes) -> FloatArray:
    """Returns (N, K) float64 votes per item and class; a soft label counts with its probabilities.

    Raises:
        DataError: where they would fill the memory.
    """
    return weighted_counts(entries(table), num_items=table.num_items, num_classes=table.num_classes)


def weighted_counts(votes: Entries, *, num_items: int, num_classes: int) -> FloatArray:
    """Returns (N, K) float64 sums of the weights per item and class.

    Raises:
        DataError: where they would fill the memory.
    """
    needed = bytes_needed(items=num_items, classes=num_classes, per_item=1)
    require_memory("Counting labels by item and class", needed, items=num_items, classes=num_classes)
    cell = votes.item * num_classes + votes.label
    return sum_by_group(votes.weight, cell, num_items * num_classes).reshape(num_items, num_classes)


def best_classes(counts: FloatArray) -> NDArray[np.bool_]:
    """Returns (N, K) bool, the classes with the most votes; those of a tie all, none without votes.

    Args:
        counts: (N, K) non-negative votes, see :func:`vote_counts`.
    """
    top = counts.max(axis=1, keepdims=True, initial=0.0)
    best: NDArray[np.bool_] = (counts >= top * (1 - TIE)) & (top > 0)
    return best


def choose_classes(scores: FloatArray, *, seed: int = 0) -> HardLabels:
    """Returns the class with the highest score per item; ties are drawn uniformly, and reported.

    The draw of an item depends on the seed and its row alone, not on the scores of other items.

    Args:
        scores: (N, K) non-negative, such as counts of votes or a posterior.
        seed: decides ties.

    Example:
        >>> choose_classes(np.array([[2.0, 1.0], [0.0, 0.0]])).label.tolist()
        [0, -1]
    """
    best = best_classes(scores)
    choices = best.sum(axis=1)
    label = pick_places(best, draw_places(choices, seed=seed))
    return HardLabels(np.where(choices > 0, label, -1).astype(np.int64), choices > 1)


def draw_places(choices: IntArray, *, seed: int) -> IntArray:
    """Returns (N,) int64, which of so many choices is drawn for each item, from 1.

    Args:
        choices: (N,) numbers of classes that tie.
        seed: of the draws; there is one for each item, also where nothing ties.
    """
    draw = np.random.default_rng(seed).random(len(choices))
    return np.floor(draw * choices).astype(np.int64) + 1


def pick_places(best: NDArray[np.bool_], nth: IntArray) -> IntArray:
    """Returns (N,) int64 the class that is the nth of the (N, K) best of its item."""
    found: IntArray = (best.cumsum(axis=1) >= nth[:, None]).argmax(axis=1)
    return found


def soft_labels(counts: FloatArray) -> FloatArray:
    """Returns (N, K) float64 shares of the votes, uniform without votes.

    Args:
        counts: (N, K) non-negative votes, see :func:`vote_counts`.
    """
    total = counts.sum(axis=1, keepdims=True)
    # The second `where` avoids 0 / 0, which would warn also where its result is not taken.
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


def log_beta(alpha: FloatArray) -> FloatArray:
    """Returns (rows,) logarithms of the normalisers of Dirichlet distributions, one per row of parameters."""
    value: FloatArray = scipy.special.gammaln(alpha).sum(axis=1) - scipy.special.gammaln(alpha.sum(axis=1))
    return value

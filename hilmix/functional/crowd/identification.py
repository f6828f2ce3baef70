"""Scores of single items and annotators: consistency, uncertainty, and those of confusion matrices."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes

_SMALLEST = 1e-12
"""Least probability that an annotator is right, or wrong: no label alone excludes a class."""


def label_consistency(table: Votes, skill: FloatArray, aggregate: IntArray) -> FloatArray:
    """Returns p(aggregate | labels) of each item, (N,) float64 in [0, 1], NaN without labels or aggregate.

    Annotators are right with probability ``skill`` and otherwise name each other class that occurs in the table alike;
    all of these classes are equally frequent.

    Args:
        table: the labels, rows in any order; of soft ones ``label`` counts.
        skill: (A,) p(right) of each annotator, in [0, 1]; finite for all with labels.
        aggregate: (N,) class of each item, -1 for none.

    Reference:
        crowd-kit's ``consistency``. Differs from it: in logarithms, so that hundreds of labels do not underflow to 0.
    """
    k = table.num_classes
    occurring = len(np.unique(table.label))
    right = np.clip(skill, _SMALLEST, 1 - _SMALLEST)
    # Log-likelihood ratio of a class against one that no label of the item names.
    ratio = np.log(right) - np.log((1 - right) / max(occurring - 1, 1))
    cell, place = np.unique(table.item * k + table.label, return_inverse=True)
    score = np.bincount(place, ratio[table.annotator], minlength=len(cell))
    item = cell // k
    start = np.flatnonzero(np.diff(item, prepend=-1))
    top = np.zeros(table.num_items)
    # At least 0, the ratio of classes that no label names, so that no exponential overflows.
    top[item[start]] = np.maximum(np.maximum.reduceat(score, start), 0) if len(start) else 0
    named = np.bincount(item, minlength=table.num_items)
    total = np.bincount(item, np.exp(score - top[item]), minlength=table.num_items)
    # All classes that no label names at once: their ratio is the same, and there can be thousands.
    total += (occurring - named) * np.exp(-top)
    # An aggregate that no label names has the ratio 0.
    own = np.zeros(table.num_items)
    match = cell == item * k + aggregate[item]
    own[item[match]] = score[match]
    return np.where((named > 0) & (aggregate >= 0), np.exp(own - top) / np.maximum(total, _SMALLEST), np.nan)


def label_uncertainty(table: Votes, group: IntArray, num_groups: int, skill: FloatArray | None = None) -> FloatArray:
    """Returns the entropy of the labels of each group in nats, (G,) float64, NaN without labels.

    With ``table.item`` as groups it is the uncertainty of the items, with ``table.annotator`` that of the annotators,
    high for one who names all classes alike.

    Args:
        table: the labels, rows in any order; of soft ones ``label`` counts.
        group: (L,) int64 in [0, G).
        num_groups: G.
        skill: (A,) p(right) of each annotator, by which a label also counts for the other classes that occur in the
            table; by default 1.

    Reference:
        crowd-kit's ``uncertainty``; with items as groups and no skill also peerannot's ``Entropy``.
    """
    k = table.num_classes
    occurring = len(np.unique(table.label))
    right = np.ones(table.num_annotators) if skill is None else skill
    other = (1 - right[table.annotator]) / max(occurring - 1, 1)
    labels = np.bincount(group, minlength=num_groups)
    base = np.bincount(group, other, minlength=num_groups)
    cell, place = np.unique(group * k + table.label, return_inverse=True)
    owner = cell // k
    mass = base[owner] + np.bincount(place, right[table.annotator] - other, minlength=len(cell))
    size = np.maximum(labels, 1)
    share, rest = mass / size[owner], base / size
    entropy = -np.bincount(owner, xlogy(share, share), minlength=num_groups)
    entropy -= (occurring - np.bincount(owner, minlength=num_groups)) * xlogy(rest, rest)
    return np.where(labels > 0, entropy, np.nan)


def spammer_score(confusion: NDArray[np.floating[Any]]) -> FloatArray:
    """Returns how much an annotator's label depends on the true class, (A,) float64 in [0, 1]; 0 for a spammer.

    The squared distance of the rows of the confusion matrix from each other; 1 for a perfect annotator.

    Args:
        confusion: (A, K, K), p(label = k | true class = c) at ``[a, c, k]``.

    Reference:
        Raykar and Yu, Ranking annotators for crowdsourced labeling tasks, NeurIPS 2011, equation 4; peerannot's
        ``Spam_Score``. Differs from it: no (K, K, K) table.
    """
    k = confusion.shape[-1]
    # Sum over pairs of rows = K sum of squares - square of the sum.
    pairs = k * np.square(confusion).sum(axis=(1, 2)) - np.square(confusion.sum(axis=1)).sum(axis=1)
    score: FloatArray = np.maximum(pairs, 0.0) / max(k * (k - 1), 1)
    return score


def confusion_trace(confusion: NDArray[np.floating[Any]]) -> FloatArray:
    """Returns the trace of each confusion matrix, (A,) float64 in [0, K]; K for a perfect annotator, 1 for a spammer.

    Args:
        confusion: (A, K, K), p(label = k | true class = c) at ``[a, c, k]``.

    Reference:
        peerannot's ``Trace_confusion``.
    """
    trace: FloatArray = np.trace(confusion, axis1=1, axis2=2).astype(np.float64)
    return trace


def confusion_entropy(confusion: NDArray[np.floating[Any]]) -> FloatArray:
    """Returns the mean entropy of the rows of each confusion matrix in nats, (A,) float64 in [0, log K].

    0 for an annotator whose label is a function of the true class, right or not.

    Args:
        confusion: (A, K, K), p(label = k | true class = c) at ``[a, c, k]``.
    """
    entropy: FloatArray = -xlogy(confusion, confusion).sum(axis=2).mean(axis=1)
    return entropy

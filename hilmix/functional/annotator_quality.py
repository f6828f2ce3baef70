"""Accuracy and confusion matrices of annotators, from truth where it is known and from posteriors where it is not."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from hilmix.functional.grouped import mean_by_group

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def mean_per_annotator(annotator: IntArray, value: NDArray[np.floating], *, num_annotators: int) -> FloatArray:
    """Returns the mean of a value over each annotator's pairs, (A,) float64, NaN where there is none.

    Args:
        annotator: (L,) int64 in [0, A).
        value: (L,) float; NaN is left out.
        num_annotators: A.

    Example:
        >>> mean_per_annotator(np.array([0, 0, 2]), np.array([1.0, 0.0, np.nan]), num_annotators=3).tolist()
        [0.5, nan, nan]
    """
    # Filtered, not zeroed: a pair without a value must not count in the denominator either.
    known = ~np.isnan(value)
    return mean_by_group(value[known], annotator[known], num_annotators)


class ConfusionEstimate(NamedTuple):
    """Confusion matrices estimated from class distributions of the items."""

    confusion: FloatArray
    """(A, K, K), p(annotator says k | true class c) at ``[a, c, k]``; rows sum to 1."""
    support: FloatArray
    """(A, K), expected number of the annotator's items of class c."""


def estimate_confusion(
    annotator: IntArray,
    answers: NDArray[np.floating],
    posterior: NDArray[np.floating],
    *,
    num_annotators: int,
    # Rows with fewer than about five expected labels are noise: at five, own counts and crowd weigh the same.
    strength: float = 5.0,
) -> ConfusionEstimate:
    """Returns the M step of Dawid-Skene with shrinkage: rows with little support lean on what the crowd says.

    Row c of annotator a is (counts + strength * crowd row) / (support + strength), and the crowd row is the pooled
    counts plus one vote spread evenly.

    Args:
        annotator: (L,) int64 in [0, A).
        answers: (L, K) labels, one-hot or soft.
        posterior: (L, K) p(true class) of the item of each pair.
        num_annotators: A.
        strength: weight of the crowd, in labels.

    Reference:
        Dawid and Skene, Applied Statistics 28, 1979, equation 2.3.
        Differs from the paper: shrinkage towards the crowd.
    """
    num_classes = answers.shape[1]
    # One sparse product: a loop over annotators, or the outer products (L, K, K), would be slower or fill the memory.
    pair, label = np.nonzero(answers)
    cell = annotator[pair] * num_classes + label
    shape = (num_annotators * num_classes, len(annotator))
    chosen = csr_array((answers[pair, label].astype(np.float64), (cell, pair)), shape=shape)
    by_label: FloatArray = (chosen @ posterior.astype(np.float64)).reshape(num_annotators, num_classes, num_classes)
    # The product has cells [a, k, c]; the rows of a confusion matrix are the true class.
    counts = by_label.transpose(0, 2, 1)
    support = counts.sum(axis=2)
    # The vote spread evenly keeps a class that no item has from dividing by zero.
    crowd = counts.sum(axis=0) + 1 / num_classes
    crowd /= crowd.sum(axis=1, keepdims=True)
    confusion = (counts + strength * crowd) / (support + strength)[:, :, None]
    return ConfusionEstimate(confusion, support)

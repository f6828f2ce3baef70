"""SimiFeat: labels judged by those of the nearest neighbours in a feature space, without training."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray
from hilmix.functional.item_issues import Neighbors

_LEAST = 1e-3


class NeighborLabels(NamedTuple):
    """Labels around each item; the item's own are left out."""

    share: FloatArray
    """(N, K) mean distribution of the neighbours' labels, by similarity; uniform without labelled neighbours."""
    support: IntArray
    """(N,) int64 neighbours with labels."""


def neighbor_labels(neighbors: Neighbors, shares: FloatArray) -> NeighborLabels:
    """Returns the labels of each item's neighbours, weighted by 1 - distance.

    Args:
        neighbors: of the items; beyond distance 1 one counts a thousandth.
        shares: (N, K) shares of each item's labels, zero for an item without labels.

    Reference:
        Zhu, Dong and Liu, Detecting Corrupted Labels Without Training a Model to Predict, ICML 2022, equation 3.
    """
    n, k = shares.shape
    index = neighbors.rows
    labelled = shares.sum(axis=1) > 0
    total = np.zeros((n, k))
    # One column of neighbours at a time: no N x k x K table.
    for place in range(index.shape[1]):
        weight = np.clip(1 - neighbors.distance[:, place], _LEAST, 1)
        total += weight[:, None] * shares[index[:, place]]
    mass = total.sum(axis=1, keepdims=True)
    share: FloatArray = np.divide(total, mass, out=np.full((n, k), 1 / k), where=mass > 0)
    return NeighborLabels(share, labelled[index].sum(axis=1).astype(np.int64))


def vote_flags(share: FloatArray, label: IntArray) -> NDArray[np.bool_]:
    """Returns where the neighbours favour another class than the label (SimiFeat-V), (M,) bool.

    Args:
        share: (M, K) neighbours' labels of the item of each label; uniform rows favour none.
        label: (M,) int64 in [0, K).

    Reference:
        Zhu, Dong and Liu, ICML 2022, section 3.2. Differs from it: a label that ties with the best class is kept.
    """
    own = share[np.arange(len(label)), label]
    flagged: NDArray[np.bool_] = share.max(axis=1, initial=0) > own
    return flagged


def rank_flags(share: FloatArray, label: IntArray, right: FloatArray) -> NDArray[np.bool_]:
    """Returns the labels of each class whose neighbours support them least (SimiFeat-R), (M,) bool.

    Of the labels k the share 1 - right[k] is flagged, rounded down; ties go to the earlier row.

    Args:
        share: (M, K) neighbours' labels of the item of each label.
        label: (M,) int64 in [0, K).
        right: (K,) p(true class = k | label = k), as of :func:`right_shares`.

    Reference:
        Zhu, Dong and Liu, ICML 2022, section 3.3.
    """
    own = share[np.arange(len(label)), label]
    order = np.lexsort((own, label))
    count = np.bincount(label, minlength=len(right))
    place = np.arange(len(label)) - np.repeat(np.cumsum(count) - count, count)
    # A hair above, so that 0.3 of 10 labels are 3.
    quota = np.floor((1 - right) * count + 1e-9)
    flagged = np.zeros(len(label), dtype=bool)
    flagged[order] = place < quota[label[order]]
    return flagged

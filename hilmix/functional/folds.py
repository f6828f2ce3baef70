"""Folds of cross-fitting: which item is in which, and predictions pooled over networks that did not see an item."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilmix.errors import ConfigError
from hilmix.functional.aggregation.vote_table import Votes
from hilmix.functional.aggregation.votes import best_classes, vote_counts
from hilmix.types import UNKNOWN

IntArray = NDArray[np.int64]


def assign_folds(stratum: IntArray, folds: int, *, seed: int, group: IntArray | None = None) -> IntArray:
    """Returns the fold of each item, (N,) int64 in [0, folds); a function of the arguments alone.

    Items are dealt to the folds in turn, stratum by stratum, in random order inside a stratum. So the sizes of the
    folds differ by at most one, in every stratum and in all. A group is dealt as one item of its most frequent stratum
    (of the lowest, where two are level), larger groups first: then the sizes differ, per such stratum, by at most its
    largest group. A stratum of fewer items than folds is missing in some of them; of a stratum of one item, the network
    that predicts the item has seen none.

    The draw goes by row: items in another order get other folds. Sort them by a key, as
    :func:`hilmix.modules.folds.draw_folds` does by name, for folds that do not depend on the order.

    Args:
        stratum: (N,) integers, such as the majority label (:func:`majority_strata`).
        folds: number of folds, at least 2 and at most the number of items, or of groups.
        seed: at least 0; equal seeds give equal folds.
        group: (N,) integers, or None; items of a group stay together.

    Raises:
        ConfigError: if the number of folds is out of range.

    Example:
        >>> fold = assign_folds(np.array([0, 0, 0, 0, 1, 1]), 2, seed=0)
        >>> np.bincount(fold[:4]).tolist(), np.bincount(fold[4:]).tolist()
        ([2, 2], [1, 1])
    """
    unit = np.arange(len(stratum)) if group is None else np.unique(group, return_inverse=True)[1]
    size = np.bincount(unit)
    if not 2 <= folds <= len(size):
        what = "items" if group is None else "groups of items"
        raise ConfigError(f"`folds` must be in [2, {len(size)}], the number of {what}, got {folds}.")
    generator = np.random.default_rng(seed)
    # Sorted by stratum and numbered in turn, neighbours go to different folds: each fold has its share of every class.
    # Large groups first, as the last ones have to even out the sizes.
    order = np.lexsort((generator.permutation(len(size)), -size, _most_frequent(stratum, unit)))
    fold = np.empty(len(size), dtype=np.int64)
    # which folds get one item more is drawn, too
    fold[order] = generator.permutation(folds)[np.arange(len(size)) % folds]
    return fold[unit]


def _most_frequent(stratum: IntArray, unit: IntArray) -> IntArray:
    """(U,) the most frequent stratum of each unit, the lowest of those that are level."""
    cells, count = np.unique(np.stack([unit, stratum]), axis=1, return_counts=True)
    by_count = np.lexsort((cells[1], -count, cells[0]))
    first = np.unique(cells[0][by_count], return_index=True)[1]
    found: IntArray = cells[1][by_count][first]
    return found


def majority_strata(votes: Votes) -> IntArray:
    """Returns the class with the most votes of each item, (N,) int64: the lowest of a tie, K for items without votes.

    Unlike :func:`hilmix.functional.aggregation.majority` it draws nothing, so that it does not depend on the order of
    the items; it never reads the true class.

    Args:
        votes: L labels, hard or soft, of N items.

    Raises:
        DataError: if their counts would fill the memory.
    """
    best = best_classes(vote_counts(votes))
    return np.where(best.any(1), best.argmax(1), votes.num_classes).astype(np.int64)


def predicting_networks(fold: Tensor, folds: int) -> Tensor:
    """Returns which networks predict each item, (F, N) bool: that which did not see its fold, or all of them.

    Args:
        fold: (N,) int64, -1 for items outside training, which no network has seen.
        folds: F, the number of networks; network f is trained on all folds but f.

    Example:
        >>> predicting_networks(torch.tensor([0, 1, -1]), 2).tolist()
        [[True, False, True], [False, True, True]]
    """
    return (fold == torch.arange(folds, device=fold.device)[:, None]) | (fold == UNKNOWN)


def pool_predictions(values: Sequence[Tensor], rows: Tensor, *, log: bool = False) -> Tensor:
    """Returns the mean of the networks' predictions, (N, ...), over those networks that predict a row.

    A row that one network predicts has exactly its values; one that none predicts is NaN.

    Args:
        values: F float tensors (n_f, ...), the predictions of network f for its rows, in their order.
        rows: (F, N) bool, the rows that each network predicts (:func:`predicting_networks`).
        log: whether values are logarithms of probabilities; then the result is the logarithm of the mean probability.

    Example:
        >>> rows = torch.tensor([[True, False, True], [False, True, True]])
        >>> pool_predictions([torch.tensor([0.5, 0.2]), torch.tensor([0.9, 0.4])], rows)
        tensor([0.5000, 0.9000, 0.3000])
    """
    shape = (rows.shape[1], *values[0].shape[1:])
    pooled = values[0].new_full(shape, -torch.inf if log else 0.0)
    for value, some in zip(values, rows, strict=True):
        pooled[some] = torch.logaddexp(pooled[some], value) if log else pooled[some] + value
    count = rows.sum(0).to(pooled.dtype).reshape(-1, *[1] * (len(shape) - 1))
    return pooled - count.log() if log else pooled / count


def folds_by_key(keys: IntArray, fold: IntArray, wanted: IntArray) -> IntArray:
    """Returns the folds of other items by their keys, (M,) int64, -1 for those that have none.

    Args:
        keys: (N,) int64, distinct, such as digests of names.
        fold: (N,) int64, the fold of each key.
        wanted: (M,) int64 keys, in any order.

    Example:
        >>> folds_by_key(np.array([7, 3]), np.array([1, 0]), np.array([3, 5])).tolist()
        [0, -1]
    """
    if not len(keys):
        return np.full(len(wanted), UNKNOWN, dtype=np.int64)
    # Sorted search: M log N, where a dictionary would hold every item as Python objects.
    order = np.argsort(keys)
    place = order[np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)]
    return np.where(keys[place] == wanted, fold[place], UNKNOWN).astype(np.int64)

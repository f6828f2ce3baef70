"""Gold items: known classes of some items, from which every aggregator learns how good annotators are.

There is one mechanism. Where a method scores the classes of an item, the known class alone keeps its score; where it
counts votes, the known class has them all. The labels of a gold item are thus compared with the truth.
"""

import numpy as np

from hilmix.errors import DataError
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes, VoteTable


def with_gold(votes: Votes, gold: IntArray) -> VoteTable:
    """Returns the votes with the known classes of some items.

    Args:
        votes: the annotations.
        gold: (N,) integers in [-1, K), -1 where the class is not known.

    Raises:
        DataError: for another length, or a class that does not exist.

    Example:
        >>> table = VoteTable(np.array([0, 1]), np.array([0, 0]), np.array([1, 1]), 2, 1, 2)
        >>> with_gold(table, np.array([0, -1])).gold.tolist()
        [0, -1]
    """
    known, k = np.asarray(gold), votes.num_classes
    if known.shape != (votes.num_items,) or known.dtype.kind not in "iu":
        found = f"{known.dtype} of shape {known.shape}"
        raise DataError(f"`gold` must be {votes.num_items:,} integers, one per item, got {found}.")
    wrong = np.flatnonzero((known < -1) | (known >= k))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"`gold` must be -1 (not known) or a class below {k}, got {known[row]} for item {row}.")
    sizes = (votes.num_items, votes.num_annotators, votes.num_classes)
    return VoteTable(votes.item, votes.annotator, votes.label, *sizes, votes.probs, known.astype(np.int64))


def pin_shares(shares: FloatArray, gold: IntArray | None) -> FloatArray:
    """Gives gold items one whole vote, for their class; in place, and returned.

    Args:
        shares: (N, K) votes or probabilities.
        gold: (N,) int64, -1 where the class is not known; None where it is known of no item.
    """
    if gold is not None:
        rows = np.flatnonzero(gold >= 0)
        shares[rows] = 0
        shares[rows, gold[rows]] = 1
    return shares


def pin_scores(scores: FloatArray, gold: IntArray | None) -> FloatArray:
    """Sets what gold items score for other classes to minus infinity; in place, and returned.

    The softmax is then one-hot, and the logarithm of its normaliser is the score of the known class, which is what
    the item adds to the likelihood.

    Args:
        scores: (N, K) logarithms up to a constant per item; or (N, K, M) of M subtypes of each class.
        gold: (N,) int64, -1 where the class is not known; None where it is known of no item.
    """
    if gold is not None:
        rows = np.flatnonzero(gold >= 0)
        kept = scores[rows, gold[rows]]
        scores[rows] = -np.inf
        scores[rows, gold[rows]] = kept
    return scores

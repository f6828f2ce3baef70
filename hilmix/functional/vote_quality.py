"""Quality of annotators by the aggregate of all votes: skill with its interval, worst confusion, copies, flags."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hilmix.functional.aggregation.intervals import accuracy_intervals
from hilmix.functional.aggregation.sparse_posterior import Posterior, dense_posterior
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.aggregation.votes import entries, weighted_counts
from hilmix.functional.sizes import bytes_needed, require_memory

FEW = 10
"""Labels below which nothing but ``few`` is stated of an annotator."""
LITTLE = 0.2
"""Kappa below which an annotator may be a spammer: a fifth of the way from guessing to being always right."""
SHARED, SAME, DEVIATIONS = 10, 0.95, 4.0
"""Of copies: items in common, share of equal labels on them, and standard deviations above what is expected."""
_AT_ONCE = 1024
"""Pairs of annotators in memory at a time."""


class AnnotatorQuality(NamedTuple):
    """Numbers of A annotators; NaN, and -1 for classes, where an annotator has no label."""

    labels: IntArray
    """(A,) int64 number of labels."""
    skill: FloatArray
    """(A,) float64 in [0, 1], expected share of right labels under the posterior."""
    low: FloatArray
    """(A,) lower end of the interval of ``skill``, see :func:`~hilmix.functional.aggregation.accuracy_intervals`."""
    high: FloatArray
    guessing: FloatArray
    """(A,) expected skill of labels in the same shares, given without a look at the items."""
    agreement: FloatArray
    """(A,) share of equal labels among pairs with other labels of the same items; NaN without any."""
    worst_class: IntArray
    """(A,) int64 true class of the most frequent expected mistake, -1 where fewer than half a label is wrong."""
    worst_label: IntArray
    worst_share: FloatArray
    """(A,) share of the annotator's items of ``worst_class`` that got ``worst_label``."""
    copy_of: IntArray
    """(A,) int64 annotator whose labels these copy, or are copied by; -1 for none."""

    @property
    def kappa(self) -> FloatArray:
        """(A,) float64, skill on a scale from guessing, 0, to always right, 1."""
        room = 1 - self.guessing
        return np.divide(self.skill - self.guessing, room, out=np.zeros_like(room), where=room > 0)

    def flags(self) -> dict[str, NDArray[np.bool_]]:
        """Returns (A,) bool for each flag.

        ``few``: fewer than ``FEW`` labels; the other flags need as many. ``adversarial``: the interval of the skill
        lies below guessing. ``spammer``: it contains guessing, and kappa is below ``LITTLE``. ``copies``: as of
        :func:`find_copies`.
        """
        few = self.labels < FEW
        # The whole interval must lie below guessing: an accusation needs more than a bad draw.
        adversarial = ~few & (self.high < self.guessing)
        spammer = ~few & ~adversarial & (self.low <= self.guessing) & (self.kappa < LITTLE)
        return {"few": few, "spammer": spammer, "adversarial": adversarial, "copies": ~few & (self.copy_of >= 0)}


def judge_annotators(votes: Votes, posterior: Posterior, *, level: float = 0.95) -> AnnotatorQuality:
    """Returns the quality of all annotators.

    The posterior has seen the labels that it judges: with few labels per item ``skill`` is too high. ``agreement``
    compares different annotators and has no such bias.

    Args:
        votes: the annotations, of at least one class.
        posterior: (N, K) float64, p(true class) of the items, of any aggregator.
        level: of the intervals, in (0, 1).

    Raises:
        ConfigError: for a level outside (0, 1).
        DataError: where (A, K, K) counts would fill the memory.
    """
    a, k = votes.num_annotators, votes.num_classes
    require_memory("Judging annotators", bytes_needed(annotators=a, classes=k, per_pair=3), annotators=a, classes=k)
    posterior = dense_posterior(posterior)
    given = entries(votes)
    labels = np.bincount(votes.annotator, minlength=a)
    cell = given.annotator * k + given.label
    chosen = sparse.csr_array((given.weight, (cell, given.item)), shape=(a * k, votes.num_items))
    # [annotator, true class, label]: what Dawid-Skene counts in its M step.
    counts = (chosen @ posterior).reshape(a, k, k).transpose(0, 2, 1)
    total = np.maximum(counts.sum(axis=(1, 2)), np.finfo(np.float64).tiny)
    skill = np.where(labels > 0, np.einsum("akk->a", counts) / total, np.nan)
    shares = counts.sum(axis=1) / total[:, None], counts.sum(axis=2) / total[:, None]
    interval = accuracy_intervals(votes, posterior, level=level)
    worst_class, worst_label, worst_share = _find_worst(counts)
    return AnnotatorQuality(
        labels.astype(np.int64),
        skill,
        np.where(labels > 0, interval.low, np.nan),
        np.where(labels > 0, interval.high, np.nan),
        np.where(labels > 0, (shares[0] * shares[1]).sum(axis=1), np.nan),
        agreement_with_others(votes),
        worst_class,
        worst_label,
        worst_share,
        find_copies(votes, posterior, counts),
    )


def agreement_with_others(votes: Votes) -> FloatArray:
    """Returns (A,) float64, the share of equal labels among an annotator's pairs with others' labels of the same item.

    Of several labels of an annotator for an item each is compared with those of others; NaN where there are none.

    Args:
        votes: the annotations; soft labels agree with the probability that draws from them do.
    """
    given = entries(votes)
    k = votes.num_classes
    counts = weighted_counts(given, num_items=votes.num_items, num_classes=k)
    # An annotator's own labels of the item, which are no pairs with others.
    pair = given.item * votes.num_annotators + given.annotator
    _, at = np.unique(pair * k + given.label, return_inverse=True)
    same_own = np.bincount(at, given.weight)[at]
    _, of_pair = np.unique(pair, return_inverse=True)
    all_own = np.bincount(of_pair, given.weight)[of_pair]
    agreeing = given.weight * (counts[given.item, given.label] - same_own)
    pairs = given.weight * (counts.sum(axis=1)[given.item] - all_own)
    right, total = (np.bincount(given.annotator, w, minlength=votes.num_annotators) for w in (agreeing, pairs))
    # Sums of float32 probabilities leave a trace where nothing is compared.
    share: FloatArray = np.divide(right, total, out=np.full(votes.num_annotators, np.nan), where=total > 1e-5)
    return share


def find_copies(votes: Votes, posterior: FloatArray, counts: FloatArray) -> IntArray:
    """Returns (A,) int64, for each annotator the one whose labels equal theirs beyond chance, -1 for none.

    Two annotators who do not see each other's labels agree on an item of class c with probability
    ``sum_k C[a, c, k] C[b, c, k]``. They are taken for copies where at least ``SHARED`` items have a label of both, at
    least ``SAME`` of these labels are equal, and their number exceeds its expectation by ``DEVIATIONS`` standard
    deviations. Copies that outvote all others look right, and are not found; nor are two annotators who hardly err.

    Args:
        votes: the annotations; of a soft label the most probable class.
        posterior: (N, K) p(true class).
        counts: (A, K, K) expected labels by true class and label, which are smoothed by one label per class here.
    """
    a, k, n = votes.num_annotators, votes.num_classes, votes.num_items
    # Once per item and annotator: the last label, as for agreement.
    last = np.flatnonzero(~_seen_later(votes.annotator * n + votes.item))
    who, item, label = votes.annotator[last], votes.item[last], votes.label[last]
    per_item = np.bincount(item, minlength=n)
    require_memory("Comparing annotators", 32 * int((per_item.astype(np.float64) ** 2).sum()), annotators=a, items=n)
    there = sparse.csr_array((np.ones(len(who)), (who, item)), shape=(a, n))
    one_hot = sparse.csr_array((np.ones(len(who)), (who, item * k + label)), shape=(a, n * k))
    shared, same = sparse.triu(there @ there.T, 1).tocoo(), (one_hot @ one_hot.T).tocsr()
    enough = shared.data >= SHARED
    first, second, common = shared.row[enough], shared.col[enough], shared.data[enough]
    equal = np.asarray(same[first, second]).reshape(-1)
    alike = equal >= SAME * common
    first, second, equal = first[alike], second[alike], equal[alike]
    # One label spread evenly: without it a class that was never confused would make any surplus infinitely unlikely.
    confusion = (counts + 1 / k) / (counts + 1 / k).sum(axis=2, keepdims=True)
    score = np.full(a, DEVIATIONS)
    copy_of = np.full(a, -1, dtype=np.int64)
    for start in range(0, len(first), _AT_ONCE):
        one, other = first[start : start + _AT_ONCE], second[start : start + _AT_ONCE]
        # Two good annotators agree often without copying: expected is agreement given the class, not over all classes.
        expected = (confusion[one] * confusion[other]).sum(axis=2)
        both = there[one].multiply(there[other])
        mean = ((both @ posterior) * expected).sum(axis=1)
        variance = ((both @ posterior) * (expected * (1 - expected))).sum(axis=1)
        excess = (equal[start : start + _AT_ONCE] - mean) / np.sqrt(np.maximum(variance, 1e-9))
        for mine, theirs in ((one, other), (other, one)):
            order = np.argsort(excess, kind="stable")  # of several partners the last written is the most alike
            better = order[excess[order] > score[mine[order]]]
            copy_of[mine[better]] = theirs[better]
            np.maximum.at(score, mine[better], excess[better])
    return copy_of


def _seen_later(key: IntArray) -> NDArray[np.bool_]:
    """(L,) bool, keys that occur again further down."""
    _, last = np.unique(key[::-1], return_index=True)
    later = np.ones(len(key), dtype=bool)
    later[len(key) - 1 - last] = False
    return later


def _find_worst(counts: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """True class, label and share of the largest expected number of wrong labels of each annotator."""
    a, k = counts.shape[:2]
    wrong = counts * (1 - np.eye(k))
    cell = wrong.reshape(a, -1).argmax(axis=1)
    true, label = np.divmod(cell, k)
    number = wrong[np.arange(a), true, label]
    support = counts.sum(axis=2)[np.arange(a), true]
    there = number >= 0.5
    share: FloatArray = np.divide(number, support, out=np.full(a, np.nan), where=there)
    return np.where(there, true, -1), np.where(there, label, -1), share

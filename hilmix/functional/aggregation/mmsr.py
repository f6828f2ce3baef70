"""M-MSR: skills from the agreement of pairs of annotators, by trimmed means that a few adversaries cannot move."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from hilmix.functional.aggregation.gold import pin_scores
from hilmix.functional.aggregation.rounds import require_counts
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.aggregation.votes import Entries, entries, softmax_in_place, weighted_counts
from hilmix.functional.sizes import bytes_needed, require_memory

_TINY = 1e-12
"""Least skill that an agreement is divided by."""
_FLIPS = 100
"""Signs may alternate for ever."""


class Mmsr(NamedTuple):
    """Result of :func:`mmsr`."""

    posterior: FloatArray
    """(N, K) float64, p(true class | labels) for annotators of these accuracies and equally likely classes."""
    accuracy: FloatArray
    """(A,) float64 in (0, 1), the probability that a label is right."""
    weight: FloatArray
    """(A,) float64, log-odds of ``accuracy`` against one wrong class: what a label of the annotator counts."""
    converged: bool
    """Whether the last round changed the fitted agreements by no more than the tolerance."""
    rounds: int
    """Number of rounds."""


class _Pairs(NamedTuple):
    """Ordered pairs of annotators with common items, sorted by the first."""

    first: IntArray
    second: IntArray
    excess: FloatArray
    """Agreement, scaled: 0 by chance, 1 always."""


def mmsr(table: Votes, *, tolerance: float = 1e-10, max_rounds: int = 1000) -> Mmsr:
    """Returns the vote weighted by skills that complete the matrix of pairwise agreements with rank one.

    Annotators with skills s, 0 at chance and 1 always right, agree on s_a s_b of their common items above chance. A
    round estimates every annotator's skill from each partner as agreement / the partner's skill, and takes the mean
    without the F largest and F smallest of them, F a little under half of the fewest partners that an annotator has.
    Signs start positive and flip, all at once, until each agrees with the sum over the partners. Only pairs with
    common items are stored, so that time of a round is O(P log P) for P such pairs, at most the sum of squared labels
    per item: many labels on one item are expensive. Known classes count as one more annotator who is always right.

    Args:
        table: the votes, rows in any order.
        tolerance: stop when the fitted matrix changes by no more than this (Frobenius norm over the pairs).
        max_rounds: at least 1.

    Raises:
        DataError: where the pairs would fill the memory.
        ConfigError: for no rounds.

    Reference:
        Q. Ma and A. Olshevsky, Adversarial crowdsourcing through robust rank-one matrix completion, NeurIPS 2020,
        algorithm 1. Differs from the paper: starts from skills of one half instead of random ones, signs by
        flipping, soft answers; annotators who share no item are at chance. crowd-kit trims at the
        wrong end for annotators with two partners or fewer.
    """
    require_counts("M-MSR", max_rounds=max_rounds)
    n, k = table.num_items, table.num_classes
    a = table.num_annotators + (table.gold is not None)
    labels = np.bincount(table.item, minlength=n) + (table.gold is not None)
    most = min(int((labels.astype(np.float64) ** 2).sum()), a * a)
    needed = bytes_needed(items=n, classes=k, per_item=3) + 8 * 12 * most
    require_memory("M-MSR", needed, items=n, annotators=a, classes=k)
    votes = entries(table)
    pairs = _agreements(_with_known(table, votes), n, a, k)
    size, rounds, converged = _magnitudes(pairs, a, n, tolerance, max_rounds)
    # Accuracies of 0 and 1 have infinite weights; n items cannot distinguish them from ones this near.
    margin = 1 / np.sqrt(max(n, 1))
    skill = np.clip(size * _signs(pairs, a, table.gold is not None), -1 / max(1, k - 1) + margin, 1 - margin)[
        : table.num_annotators
    ]
    accuracy = skill * (k - 1) / k + 1 / k
    weight = np.log(accuracy * max(1, k - 1) / (1 - accuracy)) if k > 1 else np.ones(len(accuracy))
    scaled = votes._replace(weight=votes.weight * weight[votes.annotator])
    scores = weighted_counts(scaled, num_items=n, num_classes=k)
    softmax_in_place(pin_scores(scores, table.gold))
    return Mmsr(scores, accuracy, weight, converged, rounds)


def _with_known(table: Votes, votes: Entries) -> Entries:
    """The votes, and those of one more annotator who labels the gold items by their classes."""
    if table.gold is None:
        return votes
    rows = np.flatnonzero(table.gold >= 0)
    known = Entries(rows, np.full(len(rows), table.num_annotators), table.gold[rows], np.ones(len(rows)))
    return Entries(
        np.concatenate([votes.item, known.item]),
        np.concatenate([votes.annotator, known.annotator]),
        np.concatenate([votes.label, known.label]),
        np.concatenate([votes.weight, known.weight]),
    )


def _agreements(votes: Entries, items: int, annotators: int, classes: int) -> _Pairs:
    shape = (annotators, items * classes)
    labels = sparse.csr_array((votes.weight, (votes.annotator, votes.item * classes + votes.label)), shape=shape)
    answers = sparse.csr_array((votes.weight, (votes.annotator, votes.item)), shape=(annotators, items))
    # one number per pair; of both products only what is stored is visited
    common, agreed = (answers @ answers.T).tocoo(), (labels @ labels.T).tocoo()
    pair, same = (one.row.astype(np.int64) * annotators + one.col for one in (common, agreed))
    others = (common.row != common.col) & (common.data > 0)
    order = np.argsort(pair[others])
    pair, number = pair[others][order], common.data[others][order]
    share = np.zeros(len(pair))
    found = np.isin(same, pair)
    share[np.searchsorted(pair, same[found])] = agreed.data[found]
    share /= number
    excess = share * classes / max(1, classes - 1) - 1 / max(1, classes - 1)
    return _Pairs(pair // annotators, pair % annotators, excess)


def _magnitudes(
    pairs: _Pairs, annotators: int, items: int, tolerance: float, max_rounds: int
) -> tuple[FloatArray, int, bool]:
    """(A,) absolute skills, rounds, and whether they converged."""
    partners = np.bincount(pairs.first, minlength=annotators)
    some = partners > 0
    # The most that leaves also the annotator with the fewest partners values between both ends.
    trim = max(0, int(partners[some].min()) // 2 - 1) if some.any() else 0
    # Magnitudes first: a rank-one matrix of positive numbers has positive factors. The signs come afterwards.
    size = np.abs(pairs.excess)
    # annotators without partners stay at chance
    left, right = np.where(some, 0.5, 0.0), np.where(some, 0.5, 0.0)
    rounds, converged = 0, False
    while not converged and rounds < max_rounds:
        before = left[pairs.first] * right[pairs.second]
        # agreements are symmetric, so that rows serve as columns
        right = _trimmed_means(size / np.maximum(left, _TINY)[pairs.second], pairs.first, right, trim, items)
        left = _trimmed_means(size / np.maximum(right, _TINY)[pairs.second], pairs.first, left, trim, items)
        rounds += 1
        converged = bool(np.linalg.norm(left[pairs.first] * right[pairs.second] - before) <= tolerance)
    ratio = float(np.linalg.norm(right)) / max(float(np.linalg.norm(left)), _TINY)
    return left * np.sqrt(ratio), rounds, converged


def _trimmed_means(value: FloatArray, group: IntArray, current: FloatArray, trim: int, items: int) -> FloatArray:
    """(groups,) means without ``trim`` values at either end, but none on the other side of the current one.

    Args:
        value: (P,) numbers, sorted by group.
        group: (P,) the group of each.
        current: (groups,) the last means, which stay where nothing is left.
        trim: number of values to leave out at either end.
        items: N; a lone value of 0 becomes 1 / sqrt(N), from which a skill can recover.
    """
    size = len(current)
    number = np.bincount(group, minlength=size)
    below = np.bincount(group, value < current[group], minlength=size)
    above = np.bincount(group, value > current[group], minlength=size)
    low, high = np.minimum(trim, below), number - np.minimum(trim, above)
    ordered = value[np.lexsort((value, group))]
    place = np.arange(len(value)) - (np.cumsum(number) - number)[group]
    kept = (place >= low[group]) & (place < high[group])
    left, total = (np.bincount(group[kept], weight, minlength=size) for weight in (None, ordered[kept]))
    mean = np.divide(total, left, out=current.copy(), where=left > 0)
    return np.where((left == 1) & (mean == 0), 1 / np.sqrt(max(items, 1)), mean)


def _signs(pairs: _Pairs, annotators: int, known: bool) -> FloatArray:
    """(A,) 1 or -1; where the last annotator knows the classes, all start by the agreement with that one."""
    agreement = sparse.csr_array((pairs.excess, (pairs.first, pairs.second)), shape=(annotators, annotators))
    sign = np.ones(annotators)
    if known:
        judged = pairs.second == annotators - 1
        sign[pairs.first[judged]] = np.where(pairs.excess[judged] < 0, -1.0, 1.0)
    for _ in range(_FLIPS):
        # All begin as better than chance: agreements alone are the same if all signs are turned.
        new = np.where(agreement @ sign < 0, -1.0, 1.0)
        if known:
            new[-1] = 1.0
        if (new == sign).all():
            break
        sign = new
    return sign

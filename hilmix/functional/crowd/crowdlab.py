"""CROWDLAB: a consensus of annotators and classifiers, and the quality of items, labels and annotators.

Works on the counts of labels per item: its cost grows with the labels, not with the square of the annotators.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.errors import DataError
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes, VoteTable
from hilmix.functional.aggregation.votes import vote_counts
from hilmix.functional.grouped import mean_by_group

Probs = NDArray[np.floating[Any]]
_LOWEST = 1e-6
"""Least error and weight, as in cleanlab."""


class Crowdlab(NamedTuple):
    """Result of :func:`crowdlab`. What needs labels is NaN, or -1, where there are none."""

    consensus: IntArray
    """(N,) class of highest posterior; the majority label where classes tie."""
    consensus_quality: FloatArray
    """(N,) posterior of the consensus, in [0, 1]."""
    agreement: FloatArray
    """(N,) share of the item's labels that equal the consensus."""
    posterior: FloatArray
    """(N, K) weighted mean of the classifiers' probabilities and the labels; without labels of the former."""
    label_quality: FloatArray
    """(L,) posterior of each label, in [0, 1]."""
    annotator_quality: FloatArray
    """(A,) in [0, 1]; NaN for an annotator who shares no item with another."""
    annotator_agreement: FloatArray
    """(A,) share of the annotator's labels that equal the consensus."""
    worst_class: IntArray
    """(A,) label with which the annotator is least often in consensus."""
    annotator_weight: FloatArray
    """(A,) at least 1e-6."""
    model_weight: FloatArray
    """(E,) of each classifier, at least 1e-6 times the root of the mean number of labels per item."""


def crowdlab(table: Votes, members: Sequence[Probs]) -> Crowdlab:
    """Returns the consensus of annotators and classifiers by CROWDLAB.

    The agreement of an annotator with others, and of a classifier with the majority, relative to the error of always
    naming the most frequent class, is its weight in a mean of distributions: the probabilities of a classifier, and for
    a label the mean agreement P on the class it names and (1 - P) / (K - 1) on the others.

    Args:
        table: the labels, rows in any order; of soft ones ``label`` counts.
        members: one or several (N, K) tables of class probabilities, of models that have not seen the labels.

    Raises:
        DataError: if no item has labels of two annotators, or tables do not fit.

    Reference:
        Goh, Tkachenko and Mueller, CROWDLAB, NeurIPS HITL workshop 2022, equations 2 to 6, as in cleanlab 2.9 with
        ``consensus_method="best_quality"``. Differs from cleanlab: items and annotators without labels are allowed, and
        the last rule for ties of the majority is the lower class, not a draw.
    """
    check_members(table, members)
    hard = HardCounts.of(table)
    if not hard.several.any():
        raise DataError("CROWDLAB: no item has two labels, so annotators cannot be compared. Use label_issue_table.")
    majority = majority_with_model(table, hard, mean_of(members))
    agreement = _agreement_with_others(table, hard)
    weights = _weights(table, hard, members, majority, agreement)
    posterior = _posterior(table, hard, members, majority, weights)
    consensus = _best(posterior, majority, hard)
    # The weights go by the consensus, so they are worked out again for the final one.
    weights = _weights(table, hard, members, consensus, agreement)
    posterior = _posterior(table, hard, members, consensus, weights)
    in_consensus = table.label == consensus[table.item]
    label_quality = posterior[table.item, table.label]
    return Crowdlab(
        consensus,
        np.where(consensus >= 0, posterior[np.arange(table.num_items), consensus], np.nan),
        mean_by_group(in_consensus, table.item, table.num_items),
        posterior,
        label_quality,
        _annotator_quality(table, hard, label_quality, in_consensus, weights),
        mean_by_group(in_consensus, table.annotator, table.num_annotators),
        _worst_class(table, consensus, posterior),
        *weights,
    )


class HardCounts(NamedTuple):
    """Counts of hard labels."""

    by_class: FloatArray
    """(N, K) labels per item and class."""
    labels: IntArray
    """(N,) labels of each item."""
    several: NDArray[np.bool_]
    """(N,) whether the item has two or more."""

    @classmethod
    def of(cls, table: Votes) -> "HardCounts":
        """Counts the hard labels of a table."""
        plain = VoteTable(
            table.item, table.annotator, table.label, table.num_items, table.num_annotators, table.num_classes
        )
        labels = np.bincount(table.item, minlength=table.num_items)
        return cls(vote_counts(plain), labels, labels > 1)


class _Weights(NamedTuple):
    annotator: FloatArray
    model: FloatArray


def check_members(table: Votes, members: Sequence[Probs]) -> None:
    """Refuses class probabilities that do not fit the labels.

    Raises:
        DataError: with the shapes.
    """
    shape = (table.num_items, table.num_classes)
    wrong = [probs.shape for probs in members if probs.shape != shape]
    if wrong or not len(members):
        raise DataError(f"`probs` must have the shape (items, classes) = {shape}, got {wrong[0] if wrong else 'none'}.")


def mean_of(members: Sequence[Probs]) -> FloatArray:
    """Returns the mean of tables of class probabilities, (N, K) float64."""
    total: FloatArray = np.array(members[0], dtype=np.float64)
    for probs in members[1:]:
        total += probs
    total /= len(members)
    return total


def majority_with_model(table: Votes, hard: HardCounts, probs: Probs) -> IntArray:
    """Returns the majority label of each item, (N,) int64, -1 without labels.

    Ties go to the class that is more probable, then rarer among all labels, then named by annotators who agree more
    with the majority elsewhere, then lower.

    Args:
        table: the labels.
        hard: their counts.
        probs: (N, K) class probabilities.
    """
    most = hard.by_class.max(axis=1, initial=0.0)
    best = (hard.by_class == most[:, None]) & (most > 0)[:, None]
    label = np.where(most > 0, best.argmax(axis=1), -1)
    tied = np.flatnonzero(best.sum(axis=1) > 1)
    if not len(tied):
        return label
    left = best[tied]
    left = _keep_highest(left, probs[tied])
    # The rarer class wins, as in cleanlab: that a rare one is named at all is the stronger evidence.
    left = _keep_highest(left, np.broadcast_to(-hard.by_class.sum(axis=0), left.shape))
    undecided = left.sum(axis=1) > 1
    if undecided.any():
        left[undecided] = _keep_highest(left[undecided], _named_by(table, label, tied, undecided))
    label[tied] = left.argmax(axis=1)
    return label


def _named_by(table: Votes, label: IntArray, tied: IntArray, undecided: NDArray[np.bool_]) -> FloatArray:
    """(U, K) mean agreement, with the majority of items without a tie, of the annotators who name a class."""
    clear = label.copy()
    clear[tied] = -1
    rows = clear[table.item] >= 0
    agreed = (table.label == clear[table.item])[rows]
    skill = mean_by_group(agreed, table.annotator[rows], table.num_annotators)
    # Without any clear item all are alike.
    skill = np.where(np.isnan(skill), np.nanmean(skill) if len(agreed) else 0.0, skill)
    place = np.full(table.num_items, -1)
    place[tied[undecided]] = np.arange(int(undecided.sum()))
    votes = place[table.item] >= 0
    cell = place[table.item[votes]] * table.num_classes + table.label[votes]
    size = int(undecided.sum()) * table.num_classes
    mean = mean_by_group(skill[table.annotator[votes]], cell, size)
    return np.where(np.isnan(mean), -1.0, mean).reshape(-1, table.num_classes)


def _keep_highest(left: NDArray[np.bool_], score: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    masked = np.where(left, score, -np.inf)
    kept: NDArray[np.bool_] = left & (masked == masked.max(axis=1, keepdims=True))
    return kept


def _weights(
    table: Votes, hard: HardCounts, members: Sequence[Probs], consensus: IntArray, agreement: FloatArray
) -> _Weights:
    several = consensus[hard.several]
    frequent = np.bincount(several, minlength=table.num_classes).argmax()
    # The error of always naming the most frequent consensus: what any weight is measured against.
    chance = max(float((several != frequent).mean()), _LOWEST)
    error = 1 - agreement
    # Who shares no item with another counts as the mean of those who do.
    error = np.where(np.isnan(error), np.nanmean(error), error)
    # A classifier counts as the root of the mean number of labels, as in the paper: it must neither drown among many
    # annotators nor rule over few.
    labels = np.sqrt(hard.labels[hard.labels > 0].mean())
    wrong = [float((probs[hard.several].argmax(axis=1) != several).mean()) for probs in members]
    model = np.maximum(1 - np.array(wrong) / chance, _LOWEST) * labels
    return _Weights(np.maximum(1 - error / chance, _LOWEST), model)


def _agreement_with_others(table: Votes, hard: HardCounts) -> FloatArray:
    """Returns the share of other annotators' labels, of the same items, that equal the annotator's, (A,) float64.

    Args:
        table: the labels.
        hard: their counts.

    Returns:
        NaN for an annotator who shares no item.
    """
    others = (hard.labels[table.item] - 1).astype(np.float64)
    # Less the annotator's own label, which agrees with itself.
    same = hard.by_class[table.item, table.label] - 1
    total, agreed = (np.bincount(table.annotator, w, minlength=table.num_annotators) for w in (others, same))
    share: FloatArray = np.divide(agreed, total, out=np.full(table.num_annotators, np.nan), where=total > 0)
    return share


def _posterior(
    table: Votes, hard: HardCounts, members: Sequence[Probs], consensus: IntArray, weights: _Weights
) -> FloatArray:
    agreed = mean_by_group(table.label == consensus[table.item], table.item, table.num_items)
    right = float(agreed[hard.several].mean())
    other = (1 - right) / max(table.num_classes - 1, 1)
    weight = weights.annotator[table.annotator]
    cell = table.item * table.num_classes + table.label
    by_class = np.bincount(cell, weight, minlength=table.num_items * table.num_classes)
    posterior: FloatArray = by_class.astype(np.float64).reshape(table.num_items, table.num_classes) * (right - other)
    total = np.bincount(table.item, weight, minlength=table.num_items)
    posterior += (total * other)[:, None]
    for probs, model in zip(members, weights.model, strict=True):
        posterior += model * probs
    posterior /= (total + weights.model.sum())[:, None]
    return posterior


def _best(posterior: FloatArray, majority: IntArray, hard: HardCounts) -> IntArray:
    top = posterior.max(axis=1, keepdims=True)
    clear = (posterior == top).sum(axis=1) == 1
    return np.where(hard.labels > 0, np.where(clear, posterior.argmax(axis=1), majority), -1)


def _annotator_quality(
    table: Votes, hard: HardCounts, label_quality: FloatArray, in_consensus: NDArray[np.bool_], weights: _Weights
) -> FloatArray:
    shared = hard.several[table.item]
    agreed = mean_by_group(in_consensus[shared], table.annotator[shared], table.num_annotators)
    active = np.bincount(table.annotator, minlength=table.num_annotators) > 0
    # The annotators' weight on an item with the mean number of labels.
    crowd = weights.annotator[active].mean() * hard.labels[hard.labels > 0].mean()
    model = float(weights.model.mean())
    w = model / (model + crowd)
    quality: FloatArray = w * mean_by_group(label_quality, table.annotator, table.num_annotators) + (1 - w) * agreed
    return quality


def _worst_class(table: Votes, consensus: IntArray, posterior: FloatArray) -> IntArray:
    """The label of lowest agreement; of several the most frequent, then that of the best consensus, then lower."""
    k = table.num_classes
    cell, place, count = np.unique(table.annotator * k + table.label, return_inverse=True, return_counts=True)
    agreed = mean_by_group(table.label == consensus[table.item], place, len(cell))
    quality = mean_by_group(posterior[table.item, consensus[table.item]], place, len(cell))
    annotator, label = np.divmod(cell, k)
    order = np.lexsort((label, -quality, -count, agreed, annotator))
    first = order[np.diff(annotator[order], prepend=-1) > 0]
    worst = np.full(table.num_annotators, -1, dtype=np.int64)
    worst[annotator[first]] = label[first]
    return worst

"""ActiveLab: which item to have labelled next, or again."""

from collections.abc import Sequence

import numpy as np
from scipy.special import xlogy

from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes, VoteTable
from hilmix.functional.crowd.crowdlab import HardCounts, Probs, check_members, crowdlab, majority_with_model, mean_of
from hilmix.functional.sizes import row_chunks

_COARSE = (0.1, 0.2, 0.5, 0.8, 1.0, 2.0, 3.0, 5.0, 8.0)
_FINE = 4
"""Temperatures that are tried, and steps between the neighbours of the best, as in cleanlab."""
_SMALLEST = 1e-30


def activelab(table: Votes, members: Sequence[Probs]) -> FloatArray:
    """Returns the priority of each item for another label, (N,) float64 in [0, 1]: low first.

    The quality of the item's consensus, drawn towards 1 / K by the weight of one mean annotator: few or doubtful labels
    lower it. Items without labels are judged by the classifiers alone, on the same scale.

    Args:
        table: the labels so far, rows in any order; of soft ones ``label`` counts.
        members: one or several (N, K) tables of class probabilities, of models that have not seen the labels. Each is
            first scaled by the temperature that fits the shares of labels best.

    Raises:
        DataError: for tables that do not fit.

    Reference:
        Goh and Mueller, ActiveLab, 2023, equations 1 to 3, as in cleanlab 2.9. Differs from cleanlab: one call scores
        items with and without labels.
    """
    check_members(table, members)
    hard = HardCounts.of(table)
    some, k = hard.labels > 0, table.num_classes
    if hard.several.any():
        members = [scale(probs, fit_crowd_temperature(hard, probs)) for probs in members]
        found = crowdlab(table, members)
        quality, model_weight = found.consensus_quality, found.model_weight
        active = np.bincount(table.annotator, minlength=table.num_annotators) > 0
        weight, mean_weight = found.annotator_weight, float(found.annotator_weight[active].mean())
    else:
        # One label each says nothing about annotators: all weights are equal.
        mean_probs = mean_of(members)
        label = majority_with_model(table, hard, mean_probs)
        quality = mean_probs[np.arange(table.num_items), label]
        weight, mean_weight, model_weight = np.ones(table.num_annotators), 1.0, np.ones(len(members))
    total = np.bincount(table.item, weight[table.annotator], minlength=table.num_items) + model_weight.sum()
    labelled: FloatArray = (quality * total + mean_weight / k) / (total + mean_weight)
    if some.all():
        return labelled
    parts = [w * probs[~some] for w, probs in zip(model_weight, members, strict=True)]
    mixed = (mean_of(parts) * len(parts) + mean_weight / k) / (model_weight.sum() + mean_weight)
    labelled[~some] = mixed[np.arange(len(mixed)), _ensemble_class([p[~some] for p in members])]
    return labelled


def _ensemble_class(members: Sequence[Probs]) -> IntArray:
    """The class that most members predict; of several the most probable on average."""
    size, k = members[0].shape
    item = np.tile(np.arange(size), len(members))
    predicted = np.concatenate([probs.argmax(axis=1) for probs in members])
    voter = np.repeat(np.arange(len(members)), size)
    table = VoteTable(item, voter, predicted, size, len(members), k)
    return majority_with_model(table, HardCounts.of(table), mean_of(members))


def fit_crowd_temperature(hard: HardCounts, probs: Probs) -> float:
    """Returns the temperature whose probabilities have the lowest cross-entropy with the shares of labels.

    Args:
        hard: counts of the labels.
        probs: (N, K) class probabilities.
    """
    coarse = [_soft_cross_entropy(hard, probs, t) for t in _COARSE]
    best = int(np.argmin(coarse))
    low, high = _COARSE[max(best - 1, 0)], _COARSE[min(best + 1, len(_COARSE) - 1)]
    fine = np.concatenate(
        [
            np.linspace(_COARSE[best], high, _FINE + 1) if best < len(_COARSE) - 1 else [],
            np.linspace(low, _COARSE[best], _FINE, endpoint=False) if best else [],
        ]
    )
    return float(fine[np.argmin([_soft_cross_entropy(hard, probs, t) for t in fine])])


def scale(probs: Probs, temperature: float) -> FloatArray:
    """Returns probabilities whose logarithms are divided by a temperature, (N, K) float64."""
    logits = np.log(np.maximum(probs, _SMALLEST, dtype=np.float64)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    scaled: FloatArray = np.exp(logits)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def _soft_cross_entropy(hard: HardCounts, probs: Probs, temperature: float) -> float:
    total = 0.0
    for rows in row_chunks(*probs.shape):
        some = hard.labels[rows] > 0
        shares = hard.by_class[rows][some] / hard.labels[rows][some, None]
        total -= float(xlogy(shares, np.maximum(scale(probs[rows][some], temperature), _SMALLEST)).sum())
    return total

"""Quality scores of labels beyond self-confidence and margin, and their means over several models."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.special import xlogy

from hilmix.functional.confident_learning.joint import FloatArray, IntArray, Probs
from hilmix.functional.sizes import row_chunks

EnsembleWeights = Literal["uniform", "accuracy", "log_loss"]
_LOWEST = 1e-6
_SHARPNESS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 200.0)
"""Factors of the log loss that are tried for the weights of an ensemble."""


def confidence_weighted_entropy(probs: Probs, label: IntArray) -> FloatArray:
    """Returns log(1 + r) / r with r = normalised entropy / p(label), (M,) float64 in [0, 1], NaN without a label.

    Low where the model is unsure and gives the label little probability. A single class has no entropy and scores 1.

    Args:
        probs: (M, K) class probabilities of the item that each label belongs to.
        label: (M,) int64 in [0, K), or -1 for none.

    Reference:
        Kuan and Mueller, Model-agnostic label quality scoring, ICML DataPerf 2022. Differs from cleanlab: the ratio is
        cut at 1e-6 in both places, and not in the denominator alone, which lets its score of certain labels fall to 0.

    Example:
        >>> confidence_weighted_entropy(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0])).round(3).tolist()
        [0.549, 1.0]
    """
    num_classes = probs.shape[1]
    score = np.empty(len(label))
    for rows in row_chunks(len(label), num_classes):
        part = probs[rows].astype(np.float64)
        entropy = -xlogy(part, part).sum(axis=1) / np.log(max(num_classes, 2))
        # The score is 1 in the limit of no entropy, where the formula is 0 / 0.
        ratio = np.maximum(entropy / np.maximum(part[np.arange(len(part)), label[rows]], _LOWEST), _LOWEST)
        score[rows] = np.log1p(ratio) / ratio
    score[label < 0] = np.nan
    return score


def adjusted_probs(probs: Probs, thresholds: FloatArray) -> FloatArray:
    """Returns probabilities less the class thresholds, shifted and scaled to distributions, (M, K) float64.

    A class in which the model is confident by habit then has no advantage. Pass a chunk of rows at a time.

    Args:
        probs: (M, K) class probabilities.
        thresholds: (K,), see :func:`~hilmix.functional.confident_learning.class_thresholds`; infinite ones, of classes
            without labels, count as the largest finite one.

    Reference:
        Northcutt et al., JAIR 2021, section 3.2; cleanlab's ``adjust_pred_probs``.
    """
    # A class without labels has an infinite threshold, which would turn every row into NaN.
    finite = np.where(np.isfinite(thresholds), thresholds, thresholds[np.isfinite(thresholds)].max(initial=0.0))
    moved: FloatArray = probs - finite + finite.max(initial=0.0)
    moved /= moved.sum(axis=1, keepdims=True)
    return moved


def ensemble_weights(members: Sequence[Probs], label: IntArray, *, by: EnsembleWeights = "accuracy") -> FloatArray:
    """Returns the weight of each model of an ensemble, (E,) float64 of sum 1.

    Args:
        members: E tables (M, K) of class probabilities, such as those of epochs or folds.
        label: (M,) int64 in [0, K).
        by: ``uniform``; ``accuracy``: share of labels that are the most probable class; ``log_loss``: exp(-t times the
            log loss), with the t whose weighted mean of the members has the lowest log loss.

    Reference:
        Kuan and Mueller, 2022, section 4. Differs from cleanlab: ``log_loss`` needs no label of every class.
    """
    count = len(members)
    if by == "uniform":
        return np.full(count, 1 / count)
    if by == "accuracy":
        accuracy = np.array([_accuracy(probs, label) for probs in members])
        # Where no member is ever right none is better than another.
        return accuracy / accuracy.sum() if accuracy.any() else np.full(count, 1 / count)
    own = np.stack([np.asarray(p[np.arange(len(label)), label], dtype=np.float64) for p in members])
    # Only p(label) enters a log loss: no weighted mean of N x K tables is formed.
    losses = -np.log(np.maximum(own, _LOWEST) / _clipped_totals(members)).mean(axis=1)
    # Less the smallest loss, which the normalisation cancels: with a factor of 200 all weights would underflow.
    tried = np.exp(-np.outer(_SHARPNESS, losses - losses.min()))
    tried /= tried.sum(axis=1, keepdims=True)
    smallest = np.finfo(np.float64).tiny
    mixed = -np.log(np.maximum(tried @ own, smallest)).mean(axis=1)
    best: FloatArray = tried[mixed.argmin()]
    return best


def _accuracy(probs: Probs, label: IntArray) -> float:
    chunks = row_chunks(len(label), probs.shape[1])
    hits = sum(int((probs[rows].argmax(axis=1) == label[rows]).sum()) for rows in chunks)
    return hits / max(len(label), 1)


def _clipped_totals(members: Sequence[Probs]) -> FloatArray:
    """(E, M) sums over the classes of probabilities of at least 1e-6: as in cleanlab, what a clipped one divides by."""
    totals = np.empty((len(members), len(members[0])))
    for member, probs in enumerate(members):
        for rows in row_chunks(len(probs), probs.shape[1]):
            totals[member, rows] = np.maximum(probs[rows], _LOWEST).sum(axis=1, dtype=np.float64)
    return totals


def ensemble_quality(scores: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    """Returns the weighted mean over models of label quality scores, (M,) float64.

    Args:
        scores: E arrays (M,), one per model.
        weights: (E,) of sum 1, see :func:`ensemble_weights`.
    """
    mean: FloatArray = weights @ np.stack(list(scores))
    return mean

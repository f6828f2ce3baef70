"""Training dynamics as evidence about labels: the likelihood ratio of a score among wrong and right labels."""

import numpy as np
from scipy.optimize import isotonic_regression

from hilmix.functional.aggregation.vote_table import FloatArray

_BINS, _ROUNDS, _SMOOTHING = 20, 50, 1.0
_LEAST = 1e-9


def dynamics_log_odds(score: FloatArray, wrong: FloatArray) -> FloatArray:
    """Returns log p(score | wrong) / p(score | right) of each label, (M,), never rising with the score.

    Both densities are histograms over quantiles, fitted by expectation maximisation with the other views' probability
    as prior: no truth is read. The ratio assumes that the score and the other views are independent given whether the
    label is wrong. NaN scores are no evidence: 0.

    Args:
        score: (M,) such as the mean probability of the label over epochs, or its margin; low is suspicious.
        wrong: (M,) p(label is wrong) by the other views, in [0, 1].
    """
    known = ~np.isnan(score)
    result = np.zeros(len(score))
    if not known.any():
        return result
    value, prior = score[known], np.clip(wrong[known], _LEAST, 1 - _LEAST)
    edges = np.unique(np.quantile(value, np.linspace(0, 1, _BINS + 1)[1:-1]))
    place = np.searchsorted(edges, value, side="right")
    size = len(edges) + 1
    ratio = np.ones(size)
    for _ in range(_ROUNDS):
        mine = prior * ratio[place]
        mine /= mine + 1 - prior
        counts = np.stack([np.bincount(place, w, minlength=size) for w in (mine, 1 - mine)])
        # Smoothed by the pooled histogram: an empty bin says nothing.
        pooled = np.bincount(place, minlength=size) / len(value)
        density = (counts + _SMOOTHING * size * pooled) / (counts.sum(axis=1, keepdims=True) + _SMOOTHING * size)
        ratio = _falling(density[0] / np.maximum(density[1], _LEAST), pooled)
    result[known] = np.log(np.maximum(ratio, _LEAST))[place]
    return result


def _falling(ratio: FloatArray, weight: FloatArray) -> FloatArray:
    fitted: FloatArray = isotonic_regression(ratio, weights=np.maximum(weight, _LEAST), increasing=False).x
    return fitted

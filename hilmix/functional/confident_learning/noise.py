"""Noise matrices and the prior of the true classes, from the confident joint."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from hilmix.functional.confident_learning.joint import FloatArray, IntArray

PriorMethod = Literal["cnt", "eqn", "marginal", "marginal_ps"]
_LOWEST, _HIGHEST_RATE, _TINY = 1e-6, 0.9999, 1e-100


class NoiseEstimate(NamedTuple):
    """Rates of confusion; like the confident joint, and unlike confusion matrices elsewhere in hilmix, at [label, true]
    and [true, label]."""

    prior: FloatArray
    """(K,) p(true class), of sum 1."""
    noise: FloatArray
    """(K, K) p(label = k | true class = c) at [k, c]: columns sum to 1."""
    inverse: FloatArray
    """(K, K) p(true class = c | label = k) at [c, k]: columns sum to 1."""


def estimate_noise(
    joint: NDArray[Any], label_count: IntArray, *, prior: PriorMethod = "cnt", consistent: bool = False
) -> NoiseEstimate:
    """Returns the noise matrices and the prior of the true classes that the confident joint implies.

    Args:
        joint: (K, K) confident joint, calibrated or not.
        label_count: (K,) number of samples with each label.
        prior: ``cnt``: share of labels times the ratio of the diagonals; ``eqn``: the distribution that the noise
            matrix maps to the shares of labels, by non-negative least squares; ``marginal``: column sums of the joint;
            ``marginal_ps``: the inverse noise matrix times the shares of labels.
        consistent: iterate until prior and matrices agree by Bayes' theorem.

    Reference:
        Northcutt et al., JAIR 2021, section 3. Differs from cleanlab: ``eqn`` inverts the matrix there, which fails
        for a class without labels and can leave [0, 1] before it is cut to it.
    """
    labels = label_count / max(float(label_count.sum()), _TINY)
    by_label, by_true = joint.sum(axis=1, dtype=np.float64), joint.sum(axis=0, dtype=np.float64)
    noise = joint / np.maximum(by_true, _TINY)
    inverse = joint.T / np.maximum(by_label, _TINY)
    if prior == "marginal":
        true = by_true / max(by_true.sum(), _TINY)
    elif prior == "marginal_ps":
        true = inverse @ labels
    elif prior == "eqn":
        # Non-negative least squares: the exact solution of a noisy system can have negative shares.
        true = nnls(noise, labels)[0]
    else:
        true = _by_diagonals(labels, noise, inverse)
    true, noise, inverse = _distribution(true), _limit(noise), _limit(inverse)
    if consistent:
        true, noise, inverse = _make_consistent(labels, true, noise, inverse)
    return NoiseEstimate(true, noise, inverse)


def _by_diagonals(labels: FloatArray, noise: FloatArray, inverse: FloatArray) -> FloatArray:
    return inverse.diagonal() / np.maximum(noise.diagonal(), _TINY) * labels


def _make_consistent(
    labels: FloatArray, true: FloatArray, noise: FloatArray, inverse: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    # Three rounds of five, as in cleanlab: each settles the prior for a noise matrix, and then the matrix.
    for _ in range(3):
        for _ in range(5):
            inverse = _limit((noise * true).T / np.maximum(labels, _TINY))
            true = _distribution(_by_diagonals(labels, noise, inverse))
        noise = _limit((inverse * labels).T / np.maximum(true, _TINY))
    true = np.clip(true, 1e-5, 1.0)
    return true / true.sum(), _limit(noise), _limit(inverse)


def _distribution(values: FloatArray) -> FloatArray:
    kept = np.clip(values, _LOWEST, 1.0)
    shares: FloatArray = kept / max(float(kept.sum()), _TINY)
    return shares


def _limit(matrix: FloatArray) -> FloatArray:
    """Columns of sum 1 whose entries off the diagonal are below 1."""
    limited = np.clip(matrix, 0, _HIGHEST_RATE)
    # The limit is for rates of confusion; a label that is always right stays so.
    np.fill_diagonal(limited, matrix.diagonal())
    columns: FloatArray = limited / np.maximum(limited.sum(axis=0), _TINY)
    return columns

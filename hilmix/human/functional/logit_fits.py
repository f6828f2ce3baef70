"""Quasi-binomial regressions of answers in [0, 1] on the logit scale: plain, and of many groups that borrow strength.

Both model the expected answer as ``h = s(eta)``, s the logistic function, with variance ``phi h (1 - h)``.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve
from scipy.special import expit

from hilmix.errors import DataError
from hilmix.functional.information import cutoff, find_coordinates, information_root, penalised_root

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_STEPS = 200
_SETTLED = 1e-10
_LEAST = 1e-12
"""Smallest variance between groups: so little that all groups have the common curve."""


def fit_logit(design: FloatArray, answer: FloatArray) -> FloatArray:
    """Returns the coefficients x of ``eta = design x``, (P,), that maximise the quasi-likelihood.

    Of equally good ones, where columns of the design depend on each other, those of the smallest norm.

    Args:
        design: (M, P).
        answer: (M,) in [0, 1].

    Raises:
        DataError: if no finite coefficients are best, as where the answers are 0 and 1 only and a column says which.

    Reference:
        Papke and Wooldridge, Journal of Applied Econometrics 11, 1996 (fractional logit); Newton's method.
    """
    rows, back = find_coordinates(design)
    x: FloatArray = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        eta = rows @ x
        information = (rows * (expit(eta) * expit(-eta))[:, None]).T @ rows
        # of at most a quarter; it vanishes on the way to where a column separates the answers
        # "not ... >" also stops at NaN.
        if not np.linalg.eigvalsh(information).min(initial=1.0) > cutoff(0.25, len(answer)):
            break
        step = solve(information, rows.T @ (answer - expit(eta)), assume_a="pos")
        step = step * _uphill(eta, rows @ step, answer)
        x = x + step
        # On the linear predictor, which does not depend on the units of the columns.
        if np.abs(rows @ step).max(initial=0.0) < _SETTLED:
            found: FloatArray = back @ x
            return found
    raise DataError(
        f"logit fit: the {len(answer)} answers do not determine the {design.shape[1]} coefficients; answers between 0 "
        "and 1 at several weights of every class would."
    )


def _uphill(eta: FloatArray, step: FloatArray, answer: FloatArray) -> float:
    """The share of a Newton step, halved until the likelihood does not fall: far from the best it may be too long."""

    def likelihood(share: float) -> float:
        # logaddexp: log(1 + e^eta) without overflow.
        return float((answer * (eta + share * step) - np.logaddexp(0, eta + share * step)).sum())

    least, share = likelihood(0.0), 1.0
    # Near the maximum rounding decides which of two likelihoods is larger; a strict test would halve on noise.
    while likelihood(share) < least - 1e-9 * abs(least) and share > _LEAST:
        share /= 2
    return share


class ShrunkLogit(NamedTuple):
    """Deviations of groups from a common curve, drawn towards 0."""

    deviation: FloatArray
    """(G, P), 0 for a group without answers."""
    variance: FloatArray
    """(P,) of the groups' true deviations."""
    dispersion: float
    """phi, variance of the answers in units of ``h (1 - h)``."""


def shrunk_logit(
    design: FloatArray, common: FloatArray, answer: FloatArray, group: IntArray, *, num_groups: int
) -> ShrunkLogit:
    """Returns the empirical-Bayes deviations d_g of groups in ``eta = common + design d_g``.

    The deviations are normal around 0 with one variance t_p per column, independent of each other. Given the variances,
    every group gets its penalised estimate, the maximum of ``quasi-likelihood / phi - sum_p d_gp^2 / 2 t_p``; given the
    estimates, the variances follow from their evidence (``t_p = sum_g d_gp^2 / sum_g (1 - V_gpp / t_p)``, V_g the
    inverse of the penalised information) and phi from the residuals of Pearson; and so in turn until nothing
    moves. With ever more answers a group reaches its own fit, without any it keeps the common curve.

    Args:
        design: (M, P), P small.
        common: (M,) the linear predictor that the groups share.
        answer: (M,) in [0, 1].
        group: (M,) int64 in [0, num_groups).
        num_groups: G.

    Reference:
        Breslow and Clayton, JASA 88, 1993 (penalised quasi-likelihood); MacKay, Neural Computation 4, 1992, equation
        3.16 (the variances). Differs from both: dispersion by Pearson's residuals over effective degrees of freedom.
    """
    columns = design.shape[1]
    deviation = np.zeros((num_groups, columns))
    variance, dispersion = np.ones(columns), 1.0
    # Outside the loop: steps change the weights of these products, not the products.
    products = design[:, :, None] * design[:, None, :]
    for _ in range(_STEPS):
        fitted = expit(common + (design * deviation[group]).sum(1))
        # A fitted 0 or 1 would divide the Pearson residual by 0.
        spread = np.maximum(fitted * (1 - fitted), _LEAST)
        score = _sums(design * (answer - fitted)[:, None], group, num_groups)
        information = _sums(products * spread[:, None, None], group, num_groups) / dispersion
        root = penalised_root(information_root(information, len(answer)), 1 / variance)
        # From a root, so symmetric and positive definite whatever the rounding.
        posterior = root @ root.transpose(0, 2, 1)
        step = (posterior @ (score / dispersion - deviation / variance)[:, :, None])[:, :, 0]
        deviation = deviation + step
        determined = 1 - np.diagonal(posterior, axis1=1, axis2=2) / variance
        used = float(determined.sum())
        dispersion = max(float((np.square(answer - fitted) / spread).sum()) / max(len(answer) - used, 1.0), _LEAST)
        renewed = np.maximum(np.square(deviation).sum(0) / np.maximum(determined.sum(0), _LEAST), _LEAST)
        # Relative change: variances of columns differ by orders of magnitude.
        settled = np.abs(np.log(renewed / variance)).max() < 1e-8 and np.abs(step).max() < _SETTLED
        variance = renewed
        if settled:
            break
    return ShrunkLogit(deviation, variance, dispersion)


def _sums(values: FloatArray, group: IntArray, num_groups: int) -> FloatArray:
    total = np.zeros((num_groups, *values.shape[1:]))
    # total[group] += values would count each group once.
    np.add.at(total, group, values)
    return total

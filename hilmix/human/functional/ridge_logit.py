"""Quasi-binomial regression with many coefficients in blocks, each block as large as its evidence."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from hilmix.functional.information import find_coordinates, penalised_root
from hilmix.human.functional.logit_fits import FloatArray, IntArray

_STEPS = 200
_LEAST = 1e-9
FREE = 1e-6
"""Penalty of coefficients without a block, so small that it only settles what the answers leave open."""


class RidgeLogit(NamedTuple):
    """A fit of :func:`ridge_logit`."""

    coefficients: FloatArray
    """(P,)."""
    variance: FloatArray
    """(B,) of the coefficients of each block; near 0 where a block is uninformative."""
    dispersion: float
    """phi, variance of the answers in units of ``h (1 - h)``."""


def ridge_logit(design: FloatArray, block: IntArray, answer: FloatArray) -> RidgeLogit:
    """Returns the coefficients x of ``eta = design x``, logit of the mean h of answers of variance ``phi h (1 - h)``.

    The coefficients of a block are normal around 0 with one common variance t. As in
    :func:`~hilmix.human.functional.logit_fits.shrunk_logit`, given the variances x maximises the penalised
    quasi-likelihood, and given x the variances follow from their evidence, ``t = sum x_p^2 / sum (1 - V_pp / t)``, phi
    from the residuals of Pearson. No coefficient needs a penalty chosen by hand or on held-out answers.

    Args:
        design: (M, P).
        block: (P,) int64 from 0, which block a coefficient belongs to; -1 for none, which is not drawn to 0. Where
            columns without a block depend on each other, their coefficients are those of the smallest norm.
        answer: (M,) in [0, 1].

    Reference:
        Breslow and Clayton, JASA 88, 1993 (penalised quasi-likelihood); MacKay, Neural Computation 4, 1992, equation
        3.16 (the variances). Differs from both: dispersion by Pearson's residuals over effective degrees of freedom.
    """
    blocks, drawn = int(block.max()) + 1, block >= 0
    # find_coordinates gives columns of length 1; times sqrt(M) their entries are of size 1, so that FREE is as weak for
    # any number of answers.
    unit = np.sqrt(max(len(answer), 1))
    rows, back = find_coordinates(design[:, ~drawn])
    design = np.hstack([rows * unit, design[:, drawn]])  # free columns no longer depend on each other
    block, kept = block[drawn], np.arange(design.shape[1]) >= rows.shape[1]
    # Start near what H-Mix gives (phi .265).
    x, variance, phi = np.zeros(design.shape[1]), np.full(blocks, 0.05), 0.3
    penalty = np.full(len(x), FREE)
    for _ in range(_STEPS):
        fitted = expit(design @ x)
        # A fitted 0 or 1 would divide the Pearson residual by 0.
        spread = np.maximum(fitted * (1 - fitted), _LEAST)
        # Only those in blocks: free columns keep FREE.
        penalty[kept] = 1 / variance[block]
        root = penalised_root(design * np.sqrt(spread / phi)[:, None], penalty)
        step = root @ (root.T @ (design.T @ (answer - fitted) / phi - penalty * x))
        x = x + step
        determined = 1 - np.square(root).sum(1) * penalty
        phi = max(float((np.square(answer - fitted) / spread).sum()) / max(len(answer) - determined.sum(), 1.0), _LEAST)
        size, known = (np.bincount(block, v[kept], blocks) for v in (np.square(x), determined))
        # known is 0 for a block that the answers do not determine at all.
        renewed = np.maximum(size / np.maximum(known, _LEAST), _LEAST)
        settled = np.abs(np.log(renewed / variance)).max(initial=0) < 1e-3 and np.abs(step).max() < 1e-5
        variance = renewed
        if settled:
            break
    found = np.empty(len(drawn))
    found[drawn], found[~drawn] = x[kept], back @ x[~kept] * unit
    return RidgeLogit(found, variance, phi)

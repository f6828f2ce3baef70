"""The probability that a label is clean, by a mixture of two Gaussians over the losses."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit
from scipy.stats import rankdata

from hilmix.functional.annotator_quality import FloatArray

_ROUNDS, _STILL, _VARIANCE = 100, 1e-8, 1e-4
_LEAST_GAP = 1.0
"""Distance of the two means, in standard deviations of the wider component, below which they are one."""


class CleanMixture(NamedTuple):
    """Result of :func:`clean_probability`."""

    clean: FloatArray
    """(N,) in [0, 1]; NaN where the loss is."""
    separated: bool
    """Whether the losses fall into two groups; if not, ``clean`` is 1 less the loss's quantile, which only ranks."""


def clean_probability(loss: FloatArray) -> CleanMixture:
    """Returns the posterior of the component with the smaller mean, of two Gaussians fitted to scaled losses.

    Losses are scaled to [0, 1] and fitted by expectation maximisation from the lower and the upper half on. Where all
    losses are alike or the two means are closer than the wider deviation, a mixture means nothing, and quantiles
    are returned.

    Args:
        loss: (N,) losses of the labels at one epoch; NaN for rows without a visit.

    Reference:
        Arazo et al., ICML 2019; Li, Socher and Hoi, DivideMix, ICLR 2020, section 3.1.
    """
    clean = np.full(len(loss), np.nan)
    known = np.isfinite(loss)
    x = np.asarray(loss[known], dtype=np.float64)
    spread = float(np.ptp(x)) if len(x) else 0.0
    fit = _fit((x - x.min()) / spread) if len(x) > 3 and spread > 1e-9 else None
    if fit is None:
        clean[known] = 1 - (rankdata(x) - 0.5) / max(len(x), 1)
        return CleanMixture(clean, False)
    clean[known] = fit
    return CleanMixture(clean, True)


def _fit(x: FloatArray) -> FloatArray | None:
    """Posterior of the lower component; None where the two are one."""
    # Starts from halves, not at random: the same losses give the same probabilities. Where half of them are the
    # largest, none lies above the median, but some do above the mean.
    upper = (x > np.median(x)).astype(np.float64)
    if upper.min() == upper.max():
        upper = (x > x.mean()).astype(np.float64)
    before = -np.inf
    for _ in range(_ROUNDS):
        weight = np.stack([1 - upper, upper])
        size = np.maximum(weight.sum(axis=1), 1e-12)
        mean = weight @ x / size
        # Floored: a component that shrinks onto one value would have an infinite likelihood.
        variance = np.maximum((weight * (x - mean[:, None]) ** 2).sum(axis=1) / size, _VARIANCE)
        log_density = (
            np.log(size / len(x))[:, None]
            - 0.5 * np.log(2 * np.pi * variance)[:, None]
            - (x - mean[:, None]) ** 2 / (2 * variance)[:, None]
        )
        # Of the difference, as both densities of a far outlier underflow to 0.
        upper = expit(log_density[1] - log_density[0])
        total = float(np.logaddexp(*log_density).mean())
        if total - before < _STILL:
            break
        before = total
    if abs(mean[1] - mean[0]) < _LEAST_GAP * np.sqrt(variance.max()):
        return None
    lower = 1 - upper if mean[0] < mean[1] else upper
    # A wide component also explains losses below the narrow one; those are no less clean.
    lower[x < mean.min()] = np.maximum(lower[x < mean.min()], lower[np.abs(x - mean.min()).argmin()])
    return lower

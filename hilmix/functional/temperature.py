"""Temperature scaling: the temperature that maximises the likelihood of true classes, or of votes."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from hilmix.functional.calibration import sum_dtype

TEMPERATURE_RANGE = (0.05, 20.0)
"""Range of the search for a temperature. A likelihood that rises to either end does not determine it."""


class Temperature(NamedTuple):
    """A fitted temperature and what it changed on the data it was fitted on."""

    temperature: float
    """Divides the logits; 1 if no other value lowered the NLL, or ever colder ones go on lowering it."""
    nll_before: float
    """Mean negative log-likelihood at 1; NaN without data."""
    nll_after: float
    """The same at ``temperature``."""
    determined: bool = True
    """False if the likelihood rises to an end of :data:`TEMPERATURE_RANGE`."""


def evidence_log_likelihood(logits: Tensor, evidence: Tensor, *, inverse_temperature: float = 1.0) -> Tensor:
    """Returns the log-likelihood of what was observed of every row, (M,) float64.

    Args:
        logits: (M, K) class logits z.
        evidence: (M,) int64 observed classes, or (M, K) log p(what was observed | true class), -inf allowed.
        inverse_temperature: b in log sum_c softmax(b z)_c exp(evidence_c).
    """
    scaled = _shifted(logits) * inverse_temperature
    return _evidence_sum(scaled, evidence) - scaled.logsumexp(-1)


def fit_temperature(logits: Tensor, evidence: Tensor, *, steps: int = 60) -> Temperature:
    """Fits the temperature T that maximises the likelihood of what was observed.

    With true classes this is temperature scaling. With the log-likelihoods that an annotator model gives to the votes
    it maximises sum_l log sum_c softmax(z_l / T)_c p(vote of l | c), which needs no truth. Newton's method on 1/T in
    float64, kept inside a bracket by bisection, because the objective is only concave for true classes.

    Args:
        logits: (M, K) class logits, one row per observation.
        evidence: as in :func:`evidence_log_likelihood`.
        steps: most iterations.

    Returns:
        The result, with T = 1 whenever the likelihood did not rise (no data, not finite, already best), and where it
        rises to the cold end of the range: classes that the logits separate, or votes that an annotator model explains
        best without any doubt about the class, would make the model certain of every other item too. The hot end is
        kept: logits that say nothing are best calibrated when flat.

    Reference:
        Guo et al., ICML 2017, section 4.2.
    """
    if not len(logits):
        return Temperature(1.0, math.nan, math.nan)
    z = _shifted(logits)
    # By b = 1 / T: for true classes the likelihood is concave in b, not in T.
    best = _maximise(z, evidence, steps)
    before = -evidence_log_likelihood(z, evidence).mean().item()
    after = -evidence_log_likelihood(z, evidence, inverse_temperature=best).mean().item()
    # Not `after >= before`, which lets NaN pass.
    if not after < before:
        return Temperature(1.0, before, before)
    # The search for b = 1 / T only approaches an end of the range, so it is compared with a tolerance.
    cold, hot = (abs(math.log(best * end)) < 1e-3 for end in TEMPERATURE_RANGE)
    if cold:
        return Temperature(1.0, before, before, determined=False)
    return Temperature(1 / best, before, after, determined=not hot)


def _maximise(z: Tensor, evidence: Tensor, steps: int) -> float:
    """Returns the b = 1/T of a local maximum inside the range."""
    # b is the inverse of T, so the ends swap.
    low, high = 1 / TEMPERATURE_RANGE[1], 1 / TEMPERATURE_RANGE[0]
    b = 1.0
    for _ in range(steps):
        slope, curvature = _derivatives(z * b, z, evidence)
        if not math.isfinite(slope):
            return 1.0
        low, high = (b, high) if slope > 0 else (low, b)
        # Where the objective is not concave a Newton step goes downhill, so the bracket is halved there.
        newton = b - slope / curvature if curvature < 0 else math.nan
        # Halved in log b, as the range spans a factor of 400.
        new = newton if low < newton < high else math.sqrt(low * high)
        if abs(new - b) <= 1e-10 * b:
            return new
        b = new
    return b


def _derivatives(scaled: Tensor, z: Tensor, evidence: Tensor) -> tuple[float, float]:
    """First and second derivative in b of the log-likelihood: differences of the mean and variance of z under the
    posterior (given the evidence) and the prior."""
    prior = scaled.softmax(-1)
    mean = (prior * z).sum(-1)
    variance = (prior * (z - mean[:, None]).square()).sum(-1)
    if evidence.dim() == 1:
        posterior_mean = z.gather(-1, evidence[:, None]).squeeze(-1)
        posterior_variance = torch.zeros_like(mean)
    else:
        posterior = (scaled + evidence.to(z.dtype)).softmax(-1)
        posterior_mean = (posterior * z).sum(-1)
        posterior_variance = (posterior * (z - posterior_mean[:, None]).square()).sum(-1)
    return (posterior_mean - mean).sum().item(), (posterior_variance - variance).sum().item()


def _evidence_sum(scaled: Tensor, evidence: Tensor) -> Tensor:
    if evidence.dim() == 1:
        return scaled.gather(-1, evidence[:, None]).squeeze(-1)
    return (scaled + evidence.to(scaled.dtype)).logsumexp(-1)


def _shifted(logits: Tensor) -> Tensor:
    # float64: in float32 netcal's fit sees no change of the likelihood and returns where it began.
    z = logits.detach().to(sum_dtype(logits.device))
    # Softmax does not depend on the shift; with logits of at most 0, b z cannot overflow for any b.
    return z - z.amax(-1, keepdim=True)

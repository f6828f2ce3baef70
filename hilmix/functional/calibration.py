"""Calibration errors from binned sums, proper scores, and temperature scaling.

Everything is accumulated in float64: in float32 the sums of a full bin drift by several per cent from about a million
samples on. Bins are ``[lower, upper)``, the last one closed, so confidences 0 and 1 belong to a bin like any other; one
that is below an edge by rounding alone lies on it, see :mod:`~hilmix.functional.ties`.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hilmix.functional.ties import ROUNDING, rank_groups

Norm = Literal["l1", "l2", "max"]
TEMPERATURE_RANGE = (0.05, 20.0)
"""Range of the search for a temperature. A likelihood that rises to either end does not determine it."""
_TINY = torch.finfo(torch.float32).tiny


class Bins(NamedTuple):
    """Sums per confidence bin, additive over batches and ranks. Each is (..., bins) float."""

    samples: Tensor
    confidence: Tensor
    correct: Tensor


def sum_dtype(device: torch.device) -> torch.dtype:
    """Float64, or float32 on a device that lacks it."""
    return torch.float32 if device.type == "mps" else torch.float64


def top_label(probs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the confidence (B,) of the predicted class and whether it is right (B,) bool.

    Args:
        probs: (B, K) class probabilities.
        target: (B,) int64 in [0, K).
    """
    confidence, predicted = probs.max(-1)
    return confidence, predicted == target


# 15 bins as in Guo et al., table 1, so that values compare with published ones.
def bin_sums(confidence: Tensor, correct: Tensor, *, num_bins: int = 15) -> Bins:
    """Returns the sums over equal-width bins, (num_bins,) each.

    Args:
        confidence: (M,) in [0, 1].
        correct: (M,) bool or in [0, 1].
        num_bins: number of bins.

    Example:
        >>> bin_sums(torch.tensor([0.0, 1.0]), torch.tensor([False, True]), num_bins=2).samples.tolist()
        [1.0, 1.0]
    """
    return _scatter(_bin_of(confidence, num_bins), confidence, correct, num_bins)


def classwise_bin_sums(probs: Tensor, target: Tensor, *, num_bins: int = 15) -> Bins:
    """Returns the sums of every class against the rest, (K, num_bins) each.

    Args:
        probs: (B, K) class probabilities.
        target: (B,) int64 in [0, K).
        num_bins: number of bins.
    """
    num_classes = probs.shape[-1]
    classes = torch.arange(num_classes, device=probs.device)
    # One scatter over bins shifted by class is ten times faster at 1,000 classes than a two-dimensional one.
    bins = _bin_of(probs, num_bins) + classes * num_bins
    flat = _scatter(
        bins.reshape(-1), probs.reshape(-1), (target[:, None] == classes).reshape(-1), num_classes * num_bins
    )
    return Bins(*(sums.view(num_classes, num_bins) for sums in flat))


def calibration_error(bins: Bins, *, norm: Norm = "l1") -> Tensor:
    """Returns the calibration error of every set of bins, (...); NaN where nothing was counted.

    Args:
        bins: sums of shape (..., bins).
        norm: ``l1`` is the expected calibration error (ECE), ``l2`` its root mean square, ``max`` the worst bin.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equations 3 and 5.
    """
    total = bins.samples.sum(-1)
    gap = (bins.confidence - bins.correct).abs()
    # The gap of an empty bin is 0, the clamp only avoids 0 / 0; without any sample gap.sum / total is the promised NaN.
    mean_gap = gap / bins.samples.clamp(min=1)
    if norm == "l1":
        return gap.sum(-1) / total
    if norm == "l2":
        return ((gap * mean_gap).sum(-1) / total).sqrt()
    # Without samples the largest gap would be 0, which reads as perfect calibration.
    return torch.where(total > 0, mean_gap.amax(-1), math.nan)


def classwise_calibration_error(bins: Bins) -> Tensor:
    """Returns the mean over classes of each class's one-against-rest ECE (also: static calibration error), a scalar.

    Args:
        bins: sums of shape (K, bins) from :func:`classwise_bin_sums`.

    Reference:
        Nixon et al., Measuring Calibration in Deep Learning, CVPR Workshops 2019, equation 3.
    """
    return calibration_error(bins).mean()


def adaptive_calibration_error(confidence: Tensor, correct: Tensor, *, num_bins: int = 15) -> Tensor:
    """Returns the ECE over bins of equal mass, a float64 scalar; NaN for no samples.

    Samples of equal confidence are exchangeable: each counts with the hit rate of its tie, so the order of the samples
    never matters.

    Args:
        confidence: (M,) in [0, 1].
        correct: (M,) bool or in [0, 1].
        num_bins: number of bins; their sizes differ by at most one.
    """
    if not len(confidence):
        return torch.full((), math.nan, dtype=sum_dtype(confidence.device), device=confidence.device)
    value, hit_rate = _sorted(confidence, correct)
    # In integers: no edge depends on rounding, and fewer samples than bins get one each.
    bins = torch.arange(len(value), device=value.device) * min(num_bins, len(value)) // len(value)
    return calibration_error(_scatter(bins, value, hit_rate, num_bins))


# 100 samples per bin are those of the published function, and of the studies that report this error.
def rms_calibration_error(confidence: Tensor, correct: Tensor, *, bin_size: int = 100) -> Tensor:
    """Returns the root mean square calibration error over bins of ``bin_size`` samples, a float64 scalar; NaN for none.

    The samples are sorted by confidence and the last bin holds the rest. Ties count as in
    :func:`adaptive_calibration_error`.

    Args:
        confidence: (M,) in [0, 1].
        correct: (M,) bool, or float in [0, 1] where the truth is a distribution: its mass on the predicted class.
        bin_size: samples per bin, at least 1; the fewer, the larger the error of even a perfect model.

    Reference:
        Hendrycks et al., Deep Anomaly Detection with Outlier Exposure, ICLR 2019, appendix on calibration. Differs from
        the published function: there the rest joins the last full bin, that of the most confident samples, and that bin
        is not counted; here every bin is, and ties do not depend on the order.

    Example:
        >>> rms_calibration_error(torch.tensor([0.5, 0.75, 1.0]), torch.tensor([1.0, 0.25, 1.0]), bin_size=2).item()
        0.0
        >>> rms_calibration_error(torch.tensor([0.25, 0.75]), torch.tensor([False, True]), bin_size=1).item()
        0.25
    """
    value, hit_rate = _sorted(confidence, correct)
    bins = torch.arange(len(value), device=value.device) // bin_size
    return calibration_error(_scatter(bins, value, hit_rate, -(-len(value) // bin_size)), norm="l2")


def negative_log_likelihood(probs: Tensor, target: Tensor) -> Tensor:
    """Returns -log p(target) of every sample, (B,) float64.

    A probability below the smallest normal float32 counts as that, so one sample costs at most 87.3.

    Args:
        probs: (B, K) class probabilities.
        target: (B,) int64 in [0, K).
    """
    # Gathered before the cast: B numbers become float64, not B K.
    chosen = probs.gather(-1, target[:, None]).squeeze(-1)
    return -chosen.to(sum_dtype(probs.device)).clamp(min=_TINY).log()


def brier_score(probs: Tensor, target: Tensor) -> Tensor:
    """Returns the Brier score of every sample, summed over classes, (B,) float64 in [0, 2].

    Args:
        probs: (B, K) class probabilities.
        target: (B,) int64 in [0, K).
    """
    p = probs.to(sum_dtype(probs.device))
    # The expanded square needs no one-hot targets (B, K).
    return p.square().sum(-1) - 2 * p.gather(-1, target[:, None]).squeeze(-1) + 1


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


def _bin_of(confidence: Tensor, num_bins: int) -> Tensor:
    # The clamp puts 1.0 into the last bin; torchmetrics gives it one of its own (its issue 3510).
    scaled = confidence.to(sum_dtype(confidence.device)) * (1 + ROUNDING) * num_bins
    return scaled.long().clamp(0, num_bins - 1)


def _sorted(confidence: Tensor, correct: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the confidences in ascending order and the hit rates beside them, (M,) each; ties hold their means."""
    value, order = confidence.to(sum_dtype(confidence.device)).sort(stable=True)
    tie = rank_groups(value).to(value.device)
    size = torch.bincount(tie)
    sums = value.new_zeros(2, len(size)).index_add_(1, tie, torch.stack([value, correct[order].to(value)]))
    return (sums / size)[0, tie], (sums / size)[1, tie]


def _scatter(bins: Tensor, confidence: Tensor, correct: Tensor, size: int) -> Bins:
    values = (torch.ones_like(confidence), confidence, correct)
    zeros = torch.zeros(size, dtype=sum_dtype(confidence.device), device=confidence.device)
    return Bins(*(zeros.scatter_add(0, bins, value.to(zeros.dtype)) for value in values))

"""Calibration errors from binned sums, and proper scores.

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
    # Over classes, not samples: a rare class counts as much as a frequent one, which is the point of this error.
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
    # The samples are counted in the sums' own type: float32 stops counting at 2^24.
    values = (torch.ones_like(confidence), confidence, correct)
    zeros = torch.zeros(size, dtype=sum_dtype(confidence.device), device=confidence.device)
    return Bins(*(zeros.scatter_add(0, bins, value.to(zeros.dtype)) for value in values))

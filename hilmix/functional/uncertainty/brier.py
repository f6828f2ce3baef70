"""The Brier score and its parts, from sums per bin."""

from typing import NamedTuple

from torch import Tensor

from hilmix.functional.calibration import Bins, bin_sums, sum_dtype


class BrierSums(NamedTuple):
    """Sums per bin, additive over batches and ranks."""

    bins: Bins
    squares: Tensor
    """(..., bins) sums of (confidence - outcome) squared."""


class BrierParts(NamedTuple):
    """``brier = reliability - resolution + uncertainty + within``, exactly. Fields have the bins' leading shape."""

    brier: Tensor
    """Mean squared difference of confidence and outcome."""
    reliability: Tensor
    """Mean squared gap of the bins; low is good."""
    resolution: Tensor
    """Mean squared distance of the bins' accuracy from that of all samples; high is good."""
    uncertainty: Tensor
    """Accuracy of all samples times the share of misses."""
    within: Tensor
    """The rest: variance of the confidences inside bins less twice their covariance with the outcome."""


def brier_sums(confidence: Tensor, correct: Tensor, *, num_bins: int = 15) -> BrierSums:
    """Returns the sums over equal-width bins.

    Args:
        confidence: (M,) in [0, 1].
        correct: (M,) bool or in [0, 1].
        num_bins: number of bins.
    """
    dtype = sum_dtype(confidence.device)
    squares = (confidence.to(dtype) - correct.to(dtype)).square()
    # The third sum of a bin takes any value of its samples.
    return BrierSums(
        bin_sums(confidence, correct, num_bins=num_bins), bin_sums(confidence, squares, num_bins=num_bins).correct
    )


def brier_decomposition(sums: BrierSums) -> BrierParts:
    """Returns the Brier score of the events "the predicted class is right" and its parts; NaN without samples.

    Args:
        sums: over all samples, of shape (..., bins).

    Reference:
        Murphy, Journal of Applied Meteorology 12, 1973; the part within bins: Stephenson, Coelho and Jolliffe, Weather
        and Forecasting 23, 2008.
    """
    bins = sums.bins
    total = bins.samples.sum(-1, keepdim=True)
    size = bins.samples.clamp(min=1)
    weight = bins.samples / total
    mean = bins.correct.sum(-1, keepdim=True) / total
    accuracy = bins.correct / size
    reliability = (weight * (bins.confidence / size - accuracy).square()).sum(-1)
    resolution = (weight * (accuracy - mean).square()).sum(-1)
    uncertainty = (mean * (1 - mean)).squeeze(-1)
    brier = sums.squares.sum(-1) / total.squeeze(-1)
    return BrierParts(brier, reliability, resolution, uncertainty, brier - reliability + resolution - uncertainty)

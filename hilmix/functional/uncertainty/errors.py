"""Calibration errors from the sums of bins that are not in :mod:`hilmix.functional.calibration`."""

import math

import torch
from torch import Tensor

from hilmix.functional.calibration import Bins


def average_calibration_error(bins: Bins) -> Tensor:
    """Returns the mean gap of the bins that hold samples, each counting alike, (...); NaN where none does.

    Two errors are called ACE in the literature: this one, of equal-width bins without weights (Neumann et al., 2018;
    netcal's ``ACE``), and the *adaptive* one, over bins of equal mass
    (:func:`~hilmix.functional.calibration.adaptive_calibration_error`).

    Args:
        bins: sums of shape (..., bins).
    """
    filled = bins.samples > 0
    gap = (bins.confidence - bins.correct).abs() / bins.samples.clamp(min=1)
    # 0 / 0 is the NaN of bins without samples.
    return gap.sum(-1) / filled.sum(-1)


def debiased_calibration_error(bins: Bins) -> Tensor:
    """Returns the root mean square calibration error without the bias of few samples per bin, (...).

    The squared gap of a bin of n samples is too large by the variance of its accuracy, acc (1 - acc) / (n - 1), which
    is subtracted; a bin of one sample, of which no variance is known, keeps its gap. At least 0; NaN without samples.

    Args:
        bins: sums of shape (..., bins), with hits of 0 or 1.

    Reference:
        Kumar, Liang and Ma, Verified Uncertainty Calibration, NeurIPS 2019, definition 4.2.
    """
    total = bins.samples.sum(-1)
    size = bins.samples.clamp(min=1)
    accuracy = bins.correct / size
    gap = (bins.confidence / size - accuracy).square()
    # On average the squared gap of a bin is too large by the variance of its accuracy, which one sample cannot show.
    variance = torch.where(bins.samples > 1, accuracy * (1 - accuracy) / (size - 1).clamp(min=1), 0.0)
    squared = (bins.samples * (gap - variance)).sum(-1) / total.clamp(min=1)
    return torch.where(total > 0, squared.clamp(min=0).sqrt(), math.nan)

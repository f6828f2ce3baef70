"""Calibration error, negative log-likelihood, Brier score and accuracy that ignore unknown targets, exact under DDP."""

from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from hilmix.functional import calibration as F
from hilmix.metrics.base import MeanMetric, SumMetric, known

Kind = Literal["top", "classwise", "adaptive"]


class Accuracy(MeanMetric):
    """Share of samples whose most probable class is the target. One class is legal."""

    higher_is_better = True

    def score(self, probs: Tensor, target: Tensor) -> Tensor:
        return (probs.argmax(-1) == target).to(self.total.dtype)


class NegativeLogLikelihood(MeanMetric):
    """Mean of :func:`~hilmix.functional.calibration.negative_log_likelihood`."""

    def score(self, probs: Tensor, target: Tensor) -> Tensor:
        return F.negative_log_likelihood(probs, target)


class BrierScore(MeanMetric):
    """Mean of :func:`~hilmix.functional.calibration.brier_score`, in [0, 2]."""

    def score(self, probs: Tensor, target: Tensor) -> Tensor:
        return F.brier_score(probs, target)


class BinnedCalibrationError(SumMetric):
    """ECE over equal-width bins, of the predicted class or averaged over all classes against the rest.

    Args:
        num_bins: number of bins.
        num_classes: K for the class-wise error; None for the top label.
    """

    higher_is_better = False
    samples: Tensor
    confidence: Tensor
    correct: Tensor

    def __init__(self, *, num_bins: int = 15, num_classes: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_bins, self.num_classes = num_bins, num_classes
        shape = (num_bins,) if num_classes is None else (num_classes, num_bins)
        for name in F.Bins._fields:
            self.add_sum(name, *shape)

    def update(self, probs: Tensor, target: Tensor) -> None:
        """Adds a batch.

        Args:
            probs: (B, K) class probabilities.
            target: (B,) int64, -1 where unknown (not counted).
        """
        probs, target = known(probs, target)
        if self.num_classes is None:
            sums = F.bin_sums(*F.top_label(probs, target), num_bins=self.num_bins)
        else:
            sums = F.classwise_bin_sums(probs, target, num_bins=self.num_bins)
        self._add(sums)

    def _add(self, sums: F.Bins) -> None:
        self.samples += sums.samples
        self.confidence += sums.confidence
        self.correct += sums.correct

    @property
    def bins(self) -> F.Bins:
        """The sums so far, on this rank."""
        return F.Bins(self.samples, self.confidence, self.correct)

    def reduced_bins(self) -> F.Bins:
        """The sums over all ranks, on the CPU; every rank must call it."""
        with self.sync_context():
            # A copy: on a CPU .cpu() is the state itself, to which later batches add.
            return F.Bins(*(sums.cpu().clone() for sums in self.bins))

    def compute(self) -> Tensor:
        """Returns the error, NaN if nothing was seen."""
        if self.num_classes is None:
            return F.calibration_error(self.bins)
        return F.classwise_calibration_error(self.bins)


class BinaryCalibrationError(BinnedCalibrationError):
    """ECE of the probability of a yes, over bins from 0 to 1: whatever is claimed with 0.2 should hold in a fifth.

    Args:
        num_bins: number of bins.
    """

    def __init__(self, *, num_bins: int = 15, **kwargs: Any) -> None:
        super().__init__(num_bins=num_bins, **kwargs)

    def update(self, probs: Tensor, target: Tensor) -> None:
        """Adds a batch.

        Args:
            probs: (B, 2) probabilities of no and yes.
            target: (B,) int64, 1 for yes, 0 for no, -1 where unknown (not counted).
        """
        probs, target = known(probs, target)
        self._add(F.bin_sums(probs[:, 1], target, num_bins=self.num_bins))


class AdaptiveCalibrationError(SumMetric):
    """Top-label ECE over bins of equal mass. Keeps two numbers per sample; for evaluation loops.

    Args:
        num_bins: number of bins.
    """

    higher_is_better = False
    confidence: list[Tensor]
    correct: list[Tensor]

    def __init__(self, *, num_bins: int = 15, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_bins = num_bins
        self.add_state("confidence", [], dist_reduce_fx="cat")
        self.add_state("correct", [], dist_reduce_fx="cat")

    def update(self, probs: Tensor, target: Tensor) -> None:
        """Adds a batch; see :class:`BinnedCalibrationError`."""
        confidence, correct = F.top_label(*known(probs, target))
        self.confidence.append(confidence.float())
        self.correct.append(correct.float())

    def compute(self) -> Tensor:
        """Returns the error, NaN if nothing was seen."""
        # A list, but one tensor once torchmetrics has gathered the ranks: len() serves both.
        if not len(self.confidence):
            return torch.full((), torch.nan, device=self.device)
        return F.adaptive_calibration_error(
            dim_zero_cat(self.confidence), dim_zero_cat(self.correct), num_bins=self.num_bins
        )


def CalibrationError(  # noqa: N802, one name for three classes, as in torchmetrics
    *, num_bins: int = 15, kind: Kind = "top", num_classes: int | None = None, **kwargs: Any
) -> BinnedCalibrationError | AdaptiveCalibrationError:
    """Builds a calibration metric; ``update(probs (B, K), target (B,))`` ignores targets of -1.

    Args:
        num_bins: number of bins.
        kind: ``top`` (ECE), ``classwise`` (mean over classes) or ``adaptive`` (equal mass).
        num_classes: K, needed for ``classwise``.
        **kwargs: for torchmetrics.
    """
    if kind == "adaptive":
        return AdaptiveCalibrationError(num_bins=num_bins, **kwargs)
    if kind == "classwise" and num_classes is None:
        raise ValueError("CalibrationError(kind='classwise') needs num_classes.")
    return BinnedCalibrationError(num_bins=num_bins, num_classes=num_classes if kind == "classwise" else None, **kwargs)

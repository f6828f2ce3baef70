"""All calibration errors of one pass over the data, from sums of a fixed size in float64."""

from typing import Any

import torch
from torch import Tensor

from hilmix.functional import calibration as F, uncertainty as U
from hilmix.metrics.base import SumMetric, known


class CalibrationSuite(SumMetric):
    """ECE in its variants, Brier score with its parts, NLL, AURC and AUGRC; the state does not grow with the samples.

    ``compute()`` returns a dict of scalars: ``ece``, ``ece_rms``, ``ece_max``, ``ece_average``, ``ece_debiased`` of
    equal-width bins, ``ece_equal_mass``, ``ece_smooth``, ``ece_classwise``, ``brier`` (summed over classes),
    ``brier_top`` of the predicted class with ``reliability``, ``resolution``, ``uncertainty`` and ``within``, ``nll``,
    ``acc``, ``aurc``, ``augrc``. Each is NaN if nothing was seen.

    Args:
        num_classes: K.
        num_bins: number of bins.
    """

    higher_is_better = None
    bins: Tensor
    classwise: Tensor
    fine: Tensor
    squares: Tensor
    sums: Tensor

    def __init__(self, num_classes: int, *, num_bins: int = 15, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes, self.num_bins = num_classes, num_bins
        self.add_sum("bins", 3, num_bins)
        self.add_sum("squares", num_bins)
        self.add_sum("classwise", 3, num_classes, num_bins)
        self.add_sum("fine", 3, U.RISK_CELLS)
        # samples, NLL, Brier score
        self.add_sum("sums", 3)

    def update(self, probs: Tensor, target: Tensor) -> None:
        """Adds a batch.

        Args:
            probs: (B, K) class probabilities.
            target: (B,) int64, -1 where unknown (not counted).
        """
        probs, target = known(probs, target)
        confidence, correct = F.top_label(probs, target)
        brier = U.brier_sums(confidence, correct, num_bins=self.num_bins)
        self.bins += torch.stack(brier.bins)
        self.squares += brier.squares
        self.classwise += torch.stack(F.classwise_bin_sums(probs, target, num_bins=self.num_bins))
        self.fine += torch.stack(U.fine_sums(confidence, correct))
        nll, score = F.negative_log_likelihood(probs, target).sum(), F.brier_score(probs, target).sum()
        self.sums += torch.stack([nll.new_tensor(float(len(target))), nll, score])

    def compute(self) -> dict[str, Tensor]:
        """Returns the scores by name."""
        bins, fine = F.Bins(*self.bins), F.Bins(*self.fine)
        parts = U.brier_decomposition(U.BrierSums(bins, self.squares))
        samples, nll, brier = self.sums
        return {
            "ece": F.calibration_error(bins),
            "ece_rms": F.calibration_error(bins, norm="l2"),
            "ece_max": F.calibration_error(bins, norm="max"),
            "ece_average": U.average_calibration_error(bins),
            "ece_debiased": U.debiased_calibration_error(bins),
            "ece_equal_mass": F.calibration_error(U.equal_mass_bins(fine, num_bins=self.num_bins)),
            "ece_smooth": U.smooth_calibration_error(fine),
            "ece_classwise": F.classwise_calibration_error(F.Bins(*self.classwise)),
            "brier": brier / samples,
            "brier_top": parts.brier,
            "reliability": parts.reliability,
            "resolution": parts.resolution,
            "uncertainty": parts.uncertainty,
            "within": parts.within,
            "nll": nll / samples,
            "acc": bins.correct.sum() / samples,
            "aurc": U.risk_coverage_area(fine),
            "augrc": U.generalized_risk_area(fine),
        }


class HumanCalibration(SumMetric):
    """Predictions against human label distributions, corrected for panels of few labels; the state has a fixed size.

    ``compute()`` returns a dict of scalars, means over items: ``soft_ece``, ``dist_ce`` (total variation), ``ent_ce``
    (entropy of the prediction less that of the panel, corrected), ``squared_distance`` (unbiased; of panels of two
    labels or more), ``jsd``, ``rank_cs``, ``soft_nll``, and ``entropy_correlation`` (Pearson's; the rank correlation,
    which needs all items, is :func:`~hilmix.functional.uncertainty.entropy_correlation`). NaN if nothing was seen.

    Args:
        num_bins: number of bins of ``soft_ece``.
    """

    higher_is_better = None
    bins: Tensor
    sums: Tensor
    distance: Tensor
    entropies: Tensor

    def __init__(self, *, num_bins: int = 15, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_bins = num_bins
        self.add_sum("bins", 3, num_bins)
        # total variation, difference of entropies, divergence, equal rankings, cross-entropy
        self.add_sum("sums", 5)
        self.add_sum("distance", 2)
        # sums of x, y, x x, y y, x y of the entropies x of predictions and y of panels
        self.add_sum("entropies", 5)

    def update(self, probs: Tensor, counts: Tensor) -> None:
        """Adds a batch.

        Args:
            probs: (B, K) class probabilities.
            counts: (B, K) numbers of labels; items without any are not counted.
        """
        labels = counts.sum(-1)
        seen = labels > 0
        p, n = probs.detach()[seen].to(self.sums.dtype), labels[seen].to(self.sums.dtype)
        shares = counts[seen].to(self.sums.dtype) / n[:, None]
        self.bins += torch.stack(F.bin_sums(*U.soft_hits(p, shares), num_bins=self.num_bins))
        values = (
            U.total_variation(p, shares),
            U.entropy_difference(p, shares, n),
            U.jensen_shannon(p, shares),
            U.ranking_agreement(p, shares).to(p.dtype),
            -(shares * p.clamp(min=torch.finfo(torch.float32).tiny).log()).sum(-1),
        )
        self.sums += torch.stack(values).sum(-1)
        distance = U.squared_distance(p, shares, n)
        several = n > 1
        self.distance += torch.stack([distance[several].sum(), several.sum().to(distance.dtype)])
        x, y = torch.special.entr(p).sum(-1), U.panel_entropy(shares, n)
        self.entropies += torch.stack([x, y, x * x, y * y, x * y]).sum(-1)

    def compute(self) -> dict[str, Tensor]:
        """Returns the scores by name."""
        items = self.bins[0].sum()
        names = ("dist_ce", "ent_ce", "jsd", "rank_cs", "soft_nll")
        x, y, xx, yy, xy = self.entropies / items
        # Clamped: where all entropies are equal, rounding can leave a variance below 0.
        spread = (xx - x * x).clamp(min=0) * (yy - y * y).clamp(min=0)
        return {
            "soft_ece": F.calibration_error(F.Bins(*self.bins)),
            **dict(zip(names, self.sums / items, strict=True)),
            "squared_distance": self.distance[0] / self.distance[1],
            "entropy_correlation": torch.where(spread > 0, (xy - x * y) / spread.sqrt(), torch.nan),
        }

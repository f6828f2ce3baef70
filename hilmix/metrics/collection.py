"""The four metrics that every evaluation of a class model reports."""

from typing import Any

from torchmetrics import Metric, MetricCollection

from hilmix.metrics.calibration import Accuracy, BrierScore, CalibrationError, NegativeLogLikelihood


class ClassMetrics(MetricCollection):
    """``acc``, ``nll``, ``brier`` and ``ece`` (15 bins) with ``update(probs (B, K), target (B,))``.

    Args:
        prefix: put before each name, for example ``test/``.
    """

    def __init__(self, prefix: str = "") -> None:
        metrics: dict[str, Metric | MetricCollection] = {
            "acc": Accuracy(),
            "nll": NegativeLogLikelihood(),
            "brier": BrierScore(),
            "ece": CalibrationError(num_bins=15),
        }
        # Groups are formed by comparing states after the first update; equal sums there can be an accident.
        super().__init__(metrics, prefix=prefix, compute_groups=False)

    def compute(self) -> dict[str, Any]:
        """Returns the values by full name, without those of metrics that saw nothing."""
        return {name: value for name, value in super().compute().items() if not value.isnan()}

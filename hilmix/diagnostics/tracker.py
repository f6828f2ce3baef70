"""Calibration scores of step outputs, before and after a temperature. Exact over ranks."""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from hilmix.functional.calibration import Bins
from hilmix.metrics import (
    BinaryCalibrationError,
    BinnedCalibrationError,
    BrierScore,
    CalibrationError,
    NegativeLogLikelihood,
)
from hilmix.types import UNKNOWN, StepOutput

What = Literal["class", "vote", "annotator"]
When = Literal["before", "after"]


class Score(NamedTuple):
    """The calibration of one kind of prediction."""

    what: What
    stage: When
    temperature: float
    samples: int
    values: dict[str, float]
    """``ece``, ``ece_classwise``, ``ece_adaptive``, ``nll``, ``brier``."""
    bins: Bins

    def row(self) -> dict[str, object]:
        """A row of ``calibration.csv``."""
        against = {"class": "true class", "vote": "vote", "annotator": "label equals true class"}[self.what]
        return {
            "what": self.what,
            "against": against,
            "stage": self.stage,
            "temperature": self.temperature,
            "samples": self.samples,
            **self.values,
        }

    def bin_table(self) -> pd.DataFrame:
        """One row per bin."""
        samples, confidence, correct = (np.asarray(sums, dtype=np.float64) for sums in self.bins)
        # An empty bin has no mean; 0 would be drawn as one that is badly calibrated.
        filled = np.where(samples > 0, samples, np.nan)
        edges = np.linspace(0, 1, len(samples) + 1)
        return pd.DataFrame(
            {
                "what": self.what,
                "stage": self.stage,
                "lower": edges[:-1],
                "upper": edges[1:],
                "samples": samples.astype(np.int64),
                "confidence": confidence / filled,
                "accuracy": correct / filled,
            }
        )


class CalibrationTracker:
    """Scores class probabilities, expected votes and p(annotator is right), as given and with a temperature.

    Args:
        num_classes: K.
        temperature: divides the logits for the scores ``after``.
        device: of the step outputs.
    """

    def __init__(self, num_classes: int, temperature: float, device: torch.device) -> None:
        self.temperature = temperature
        self._metrics: dict[tuple[What, When], MetricCollection] = {}
        for what in ("class", "vote", "annotator"):
            for stage in ("before", "after"):
                metrics = _metrics(2 if what == "annotator" else num_classes, binary=what == "annotator")
                self._metrics[what, stage] = metrics.to(device)

    def update(self, output: StepOutput) -> None:
        """Adds the un-mixed outputs of a batch."""
        # The annotator model's outputs stay as they are: the temperature is fitted for the classes alone.
        cooled = output._replace(logits=output.logits / self.temperature)
        self._metrics["class", "before"].update(output.class_probs, output.target)
        self._metrics["class", "after"].update(cooled.class_probs, output.target)
        # As given, the label probabilities of the model itself: exact for every annotator model.
        self._metrics["vote", "before"].update(output.label_log_probs.exp(), output.label)
        if (expected := expected_votes(cooled)) is not None:
            self._metrics["vote", "after"].update(expected, output.label)
        for stage, given in (("before", output), ("after", cooled)):
            if (p_right := given.p_right) is not None:
                # A pair is right or wrong only where the true class is known.
                known = output.right != UNKNOWN
                p = p_right[known]
                self._metrics["annotator", stage].update(torch.stack([1 - p, p], 1), output.right[known])  # type: ignore[index]

    def scores(self) -> list[Score]:
        """Returns the scores of what was seen; every rank must call it and gets the same."""
        scores = []
        for (what, stage), metrics in self._metrics.items():
            top = metrics["ece"]
            assert isinstance(top, BinnedCalibrationError)
            bins = top.reduced_bins()
            if (samples := int(bins.samples.sum())) > 0:
                # Only where samples were seen, on which all ranks agree, since computing is a collective.
                values = {name: float(value) for name, value in metrics.compute().items()}
                temperature = self.temperature if stage == "after" else 1.0
                scores.append(Score(what, stage, temperature, samples, values, bins))
        return scores


def expected_votes(output: StepOutput) -> Tensor | None:
    """Returns p(annotator says k) (L, K) for changed logits, or None where the confusion matrices are too large."""
    probs = output.class_probs[output.row]
    if output.confusion is not None:
        return output.confusion.log_marginal(output.logits.log_softmax(-1)[output.row]).exp()
    return probs if output.log_likelihood is None else None


def _metrics(num_classes: int, *, binary: bool) -> MetricCollection:
    metrics: dict[str, Metric | MetricCollection] = {
        "ece": BinaryCalibrationError() if binary else CalibrationError(),
        "ece_classwise": CalibrationError(kind="classwise", num_classes=num_classes),
        "ece_adaptive": CalibrationError(kind="adaptive"),
        "nll": NegativeLogLikelihood(),
        "brier": BrierScore(),
    }
    # Groups are formed by comparing states after the first update, where equal sums can be an accident.
    return MetricCollection(metrics, compute_groups=False)

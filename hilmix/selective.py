"""Predictions to leave to humans: a threshold of confidence that keeps a risk on a run's validation items."""

from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.checks import Range, check_value
from hilmix.data.datamodule import AnnotatedDataModule
from hilmix.diagnostics.columns import majority_labels
from hilmix.errors import ConfigError
from hilmix.functional.selection import LEVEL, find_threshold, smallest_sample
from hilmix.predictor import Predictor
from hilmix.types import UNKNOWN

__all__ = ["HumanThreshold", "choose_human_threshold"]
Risk = Annotated[float, Range(0, 1, above=True, below=True)]


class HumanThreshold(NamedTuple):
    """A confidence below which a human is asked."""

    confidence: float
    """Largest class probability in [0, 1]; above 1 where no threshold keeps the risk, so that all are asked about."""
    answered: float
    """Share in [0, 1] of the validation items that are answered."""
    reference: str
    """Reference of what is right, in words, with the number of items."""

    def asks(self, probs: NDArray[Any]) -> NDArray[np.bool_]:
        """Returns whether a human is to be asked, (B,), given class probabilities (B, K)."""
        asks: NDArray[np.bool_] = probs.max(1) < self.confidence
        return asks


def choose_human_threshold(predictor: Predictor, data: AnnotatedDataModule, risk: float) -> HumanThreshold:
    """Chooses from which confidence on predictions are wrong at most in this share, with 95 % certainty.

    On the validation items whose true class is known, else on those with votes, against their majority.

    Args:
        predictor: calibrated.
        data: of its run, in its codes.
        risk: allowed share of wrong predictions among those that no human is asked about, in (0, 1).

    Raises:
        ConfigError: if there are too few validation items to certify that risk whatever they show.
    """
    check_value("risk", risk, Risk)
    rows = data.rows("val")
    right, reference = data.data.target[rows], "true classes"
    if (right == UNKNOWN).all():
        right, reference = majority_labels(data.data, rows).label, "majority votes"
    rows, right = rows[right != UNKNOWN], right[right != UNKNOWN]
    if len(rows) < (needed := smallest_sample(risk)):
        raise ConfigError(
            f"A risk of {risk:g} takes at least {needed} validation items with a class or a vote, got {len(rows)}. "
            "Allow a higher risk."
        )
    probs = predictor.predict_proba(data.data.inputs, rows=rows)
    confidence = probs.max(1)
    found = find_threshold(confidence, probs.argmax(1) != right, risk)
    answered = 0.0 if found is None else float((confidence >= found).mean())
    words = f"{reference} of {len(rows)} validation items, at {LEVEL:.0%} certainty"
    return HumanThreshold(2.0 if found is None else found, answered, words)

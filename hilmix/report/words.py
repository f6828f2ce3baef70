"""The terms of a report, a sentence each, and numbers with the digits that they carry."""

import math
from typing import Any

TERMS = {
    "acc": ("accuracy", "Share of the items whose most probable class is the true class."),
    "ece": (
        "ECE",
        "Expected calibration error: how far the confidence is from the accuracy, on average over 15 bins. 0 is best.",
    ),
    "ece_calibrated": ("ECE, calibrated", "The calibration error after one temperature has rescaled the confidences."),
    "nll": ("NLL", "Negative log-likelihood: mean of -log p(true class). A confident error costs much. 0 is best."),
    "brier": ("Brier score", "Mean squared distance of the probabilities from the true class, from 0 (best) to 2."),
    "agreement": ("agreement with votes", "Share of the annotators' labels that the most probable class equals."),
    "vote_ece": ("ECE on votes", "How far the probability expected of a vote is from the share of such votes."),
    "vote_nll": ("NLL of votes", "Mean of -log p(the label that the annotator gave). The model of annotators counts."),
    "annotator_auroc": (
        "AUROC, annotator is right",
        "Chance that a right label gets a higher p(annotator is right) than a wrong one. 0.5 is guessing, 1 perfect.",
    ),
}
"""Name and explanation of each headline metric, in their order."""
GLOSSARY = {
    "annotator": "One who gave labels: a person or a program, known by a name or number.",
    "confidence": "The largest of the class probabilities of an item.",
    "in-sample": "A prediction by a network that was trained on labels of that item: what it memorised looks right.",
    "out-of-fold": "A prediction by a network that has not seen the labels of that item.",
    "majority vote": "The class that most annotators of an item gave. A tie counts as the chance to draw it.",
    "posterior": "p(true class | input, labels): what the model thinks once it knows the labels of the item.",
    "temperature": "Divides all logits. Above 1 it lowers the confidences, below 1 it raises them.",
    "interval": "Of 95 %: of repeated draws of as many items or labels, 95 in 100 such intervals hold the true share.",
    "coverage": "Share of the items that the model answers, the most confident ones first; on the rest it abstains.",
    "risk": "Share of errors among the items that are answered.",
    "Krippendorff's alpha": "Agreement of annotators beyond chance: 1 is perfect, 0 is what chance gives.",
    "pairwise agreement": "Chance that two labels of one item, drawn at random, are the same.",
}


def rounded(value: float, error: float) -> str:
    """Returns a number with digits down to the first one of its standard error.

    Args:
        value: any.
        error: its standard error, at least 0.

    Example:
        >>> rounded(0.41240, 0.016), rounded(1.52869, 0.2)
        ('0.41', '1.5')
    """
    return f"{value:.{_digits(error)}f}"


def percent(value: float, error: float) -> str:
    """Returns a share in per cent with digits down to the first one of its standard error.

    Example:
        >>> percent(0.9583, 0.0105), percent(0.95833, 0.0005)
        ('96 %', '95.83 %')
    """
    return f"{100 * value:.{_digits(100 * error, least=0)}f} %"


def share_error(share: float, number: float) -> float:
    """Returns the standard error of a share of ``number`` items; that of half a hit at 0 and 1."""
    size = max(number, 1)
    # At 0 and 1 the plain formula gives no error at all, and so three digits for three items.
    kept = min(max(share, 0.5 / size), 1 - 0.5 / size)
    return math.sqrt(kept * (1 - kept) / size)


def plain(value: Any) -> str:
    """Returns a cell of a table: three digits of a number, nothing for a missing value."""
    # NaN alone differs from itself.
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return "< 0.001" if 0 < value < 0.001 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _digits(error: float, least: int = 1) -> int:
    if not error > 0:
        return 3
    return min(max(-math.floor(math.log10(error)), least), 4)

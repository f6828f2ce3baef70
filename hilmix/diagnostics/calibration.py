"""The temperature of a clean pass, and what calibration scores show: metrics to log, panels to draw."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import CleanPass
from hilmix.diagnostics.tracker import Score, What
from hilmix.diagnostics.weights import Weights
from hilmix.errors import RunError
from hilmix.functional.temperature import Temperature, fit_temperature
from hilmix.plotting import Reliability
from hilmix.types import UNKNOWN

_TITLES: dict[What, str] = {
    "class": "Class model",
    "annotator": "Annotator is right",
    "vote": "Votes (no truth known)",
}
_AXES: dict[What, str] = {"class": "accuracy", "vote": "agreement", "annotator": "share right"}


def fit_pass_temperature(data: AnnotatedData, result: CleanPass) -> tuple[Temperature, str]:
    """Fit the temperature on a clean pass over validation items: on true classes if any is known, else on the votes.

    Args:
        data: all items.
        result: clean pass over the validation items.

    Returns:
        The fit and what it was fitted on, in words.

    Raises:
        SizeError: if the fit would fill the memory.
    """
    result.require_room("Fitting a temperature", per_item=40, per_pair=40)
    target = data.target[result.items]
    # Items that the pass did not reach hold zeros, which are no predictions.
    known = (target != UNKNOWN) & result.seen
    if known.any():
        fit = fit_temperature(torch.from_numpy(result.logits[known]), torch.from_numpy(target[known]))
        return fit, f"true classes of {known.sum()} validation items"
    # Without any truth the votes judge: through the annotator model where it has likelihoods, else at face value.
    voted = result.seen[result.row]
    logits = torch.from_numpy(result.logits[result.row[voted]])
    if result.log_likelihood is None:
        evidence = torch.from_numpy(data.annotations.label[result.pairs[voted]])
    else:
        evidence = torch.from_numpy(result.log_likelihood[voted])
    votes = int(np.count_nonzero(voted))
    return fit_temperature(logits, evidence), f"{votes} votes on validation items" if votes else "nothing"


def read_temperature(run: Path, weights: Weights) -> float | None:
    """Return the temperature that a run fitted to these weights, None where it has fitted none.

    Args:
        run: the run folder, with its ``calibration.csv``.
        weights: whose epoch and step count.

    Raises:
        RunError: if the file is damaged.
    """
    file = run / "calibration.csv"
    if not file.is_file():
        return None
    try:
        table = pd.read_csv(file)
        if "step" not in table.columns:  # of an older version, which did not say of which weights its rows were
            return None
        # By epoch and step: the file may be of `best` while `last` is asked for, whose temperature is another.
        own = (table["stage"] == "after") & (table["epoch"] == weights.epoch) & (table["step"] == weights.step)
        found = table.loc[own, "temperature"].to_numpy(dtype=np.float64)
    except (ValueError, KeyError) as error:
        raise RunError(f"{file} cannot be read as a table of calibration: {error}. Remove it.") from error
    return float(found[0]) if len(found) else None


def calibration_metrics(scores: Sequence[Score]) -> dict[str, float]:
    """Return what to log beyond the metrics of the model itself, by name, without what is not finite.

    Args:
        scores: from :meth:`hilmix.diagnostics.CalibrationTracker.scores`.

    Returns:
        ``ece_classwise`` and ``ece_adaptive`` before the temperature, ``ece_calibrated``, ``nll_calibrated`` and
        ``brier_calibrated`` after it, the same of votes with ``vote_`` before the name, and ``annotator_ece``.
    """
    values: dict[str, float] = {}
    for score in scores:
        prefix = {"class": "", "vote": "vote_", "annotator": "annotator_"}[score.what]
        if score.what == "annotator":
            # Of p(annotator is right) only as given: the temperature is fitted for the classes.
            names = {"ece": "ece"} if score.stage == "before" else {}
        elif score.stage == "before":
            names = {"ece_classwise": "ece_classwise", "ece_adaptive": "ece_adaptive"}
        else:
            names = {name: f"{name}_calibrated" for name in ("ece", "nll", "brier")}
        values |= {f"{prefix}{new}": score.values[old] for old, new in names.items()}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def reliability_panels(scores: Sequence[Score]) -> list[Reliability]:
    """Return what to draw: the class model (votes, where no truth is known) before and after, and the annotators.

    Args:
        scores: from :meth:`hilmix.diagnostics.CalibrationTracker.scores`.
    """
    truth = any(score.what == "class" for score in scores)
    panels = []
    for score in scores:
        if score.what == ("vote" if truth else "class") or (score.what == "annotator" and score.stage == "after"):
            continue
        title = f"at temperature {score.temperature:.3g}" if score.stage == "after" else _TITLES[score.what]
        note = f"ECE {score.values['ece']:.3f}\nNLL {score.values['nll']:.3f}\nBrier {score.values['brier']:.3f}"
        confidence = "p(annotator is right)" if score.what == "annotator" else "confidence"
        panels.append(Reliability(title, score.bins, note, confidence, _AXES[score.what]))
    return panels

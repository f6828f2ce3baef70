"""One temperature per fold of cross-fitting: its networks differ in sharpness, which would mix scales."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.diagnostics.clean_pass import CleanPass
from hilmix.functional.temperature import fit_temperature

FloatArray = NDArray[np.float64]


def fold_temperatures(annotations: Annotations, result: CleanPass) -> FloatArray:
    """Returns the temperature of the network that predicts each item, (n,) float64; 1 outside the folds.

    Fitted on the labels that the network has not seen: through the annotator model where there is one, else at face
    value. No true class is read. The logits stay as they are; see :func:`temper`.

    Args:
        annotations: all of the data.
        result: of a cross-fitted model; of any other all temperatures are 1.
    """
    found = np.ones(len(result.items))
    if result.fold is None:
        return found
    of_pair = np.where(result.seen, result.fold, -1)[result.row]
    for fold in np.unique(result.fold[result.fold >= 0]):
        some = of_pair == fold
        evidence = (
            annotations.label[result.pairs[some]] if result.log_likelihood is None else result.log_likelihood[some]
        )
        fit = fit_temperature(torch.from_numpy(result.logits[result.row[some]]), torch.from_numpy(evidence))
        found[result.fold == fold] = fit.temperature
    return found


def temper(probs: "NDArray[np.floating[Any]]", temperature: FloatArray) -> FloatArray:
    """Returns class probabilities at a temperature, (N, K) float64: the softmax of log-probabilities divided by it.

    Args:
        probs: (N, K) class probabilities.
        temperature: (N,) above 0, of each row.

    Example:
        >>> temper(np.array([[0.8, 0.2]]), np.array([2.0])).round(3).tolist()
        [[0.667, 0.333]]
    """
    with np.errstate(divide="ignore"):  # probability 0 stays 0
        log_probs = np.log(probs.astype(np.float64)) / temperature[:, None]
    top = np.exp(log_probs - log_probs.max(axis=1, keepdims=True))
    found: FloatArray = top / top.sum(axis=1, keepdims=True)
    return found

"""Metrics of predictions for training items by networks that have not seen them."""

import numpy as np
import torch
from numpy.typing import NDArray

from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import PREDICTIONS, CleanPass
from hilmix.functional.calibration import (
    bin_sums,
    brier_score,
    calibration_error,
    negative_log_likelihood,
    top_label,
)
from hilmix.types import UNKNOWN


def out_of_fold_scores(data: AnnotatedData, result: CleanPass) -> dict[str, float]:
    """Returns the metrics of the out-of-fold predictions of a pass, those that the data allow.

    ``out_of_fold/vote_nll`` and ``out_of_fold/agreement`` judge by the labels given, ``acc``, ``nll``, ``brier`` and
    ``ece`` by true classes where they are known; as the metrics of the same name of held-out items.

    Args:
        data: all items.
        result: a pass over training items, or over all.
    """
    kept = result.seen & (result.predictions == PREDICTIONS.index("out-of-fold"))
    pair = kept[result.row]
    scores: dict[str, float] = {}
    if pair.any():
        label = data.annotations.label[result.pairs[pair]]
        # In float64: float32 sums of millions of pairs drift.
        scores["vote_nll"] = float(-result.label_log_probs[pair].astype(np.float64).mean())
        scores["agreement"] = float((result.probs.argmax(1)[result.row[pair]] == label).mean())
    target = data.target[result.items]
    if (known := kept & (target != UNKNOWN)).any():
        scores |= _against_truth(result.probs[known], target[known])
    return {f"out_of_fold/{name}": value for name, value in scores.items()}


def _against_truth(probs: NDArray[np.float64], target: NDArray[np.int64]) -> dict[str, float]:
    given, truth = torch.from_numpy(probs), torch.from_numpy(target)
    confidence, right = top_label(given, truth)
    return {
        "acc": float(right.double().mean()),
        "nll": float(negative_log_likelihood(given, truth).mean()),
        "brier": float(brier_score(given, truth).mean()),
        "ece": float(calibration_error(bin_sums(confidence, right))),
    }

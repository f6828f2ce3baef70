"""Predictions of evaluated items, a row each, and the scores of the votes alone."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from hilmix.annotations import IntArray
from hilmix.backbones import Backbone
from hilmix.data.folder.describe import krippendorff_alpha, majority_accuracy, pairwise_agreement, squared_counts
from hilmix.data.items import SPLITS, AnnotatedData
from hilmix.diagnostics.clean_pass import CleanPass
from hilmix.diagnostics.columns import majority_labels, named
from hilmix.functional.calibration import (
    bin_sums,
    brier_score,
    calibration_error,
    negative_log_likelihood,
    top_label,
)
from hilmix.types import UNKNOWN


def evaluation_table(data: AnnotatedData, result: CleanPass) -> pd.DataFrame:
    """One row per item of a clean pass: ``item``, ``predicted``, ``confidence``, ``majority`` (of its votes) and, where
    a true class is known, ``target``, ``p_target`` and ``brier``.

    Args:
        data: all items.
        result: clean pass over the items that are evaluated.

    Raises:
        SizeError: if the table would fill the memory.
    """
    result.require_room("The table of evaluated items", per_item=16)
    row = np.flatnonzero(result.seen)
    items, probs = result.items[row], result.probs[row]
    columns: dict[str, Any] = {
        "item": np.asarray(data.items, dtype=object)[items],
        "predicted": named(probs.argmax(1), data.classes),
        "confidence": probs.max(1, initial=0),
        "majority": named(majority_labels(data, items).label, data.classes),
    }
    target = data.target[items]
    if (known := target != UNKNOWN).any():
        # Any valid column for an unknown target: np.where below discards what is read there.
        given = np.maximum(target, 0)
        p = probs[np.arange(len(row)), given]
        columns["target"] = named(target, data.classes)
        columns["p_target"] = np.where(known, p, np.nan)
        columns["brier"] = np.where(known, (probs**2).sum(1) - 2 * p + 1, np.nan)
    return pd.DataFrame(columns)


def reference_column(table: pd.DataFrame) -> str:
    """Returns what the predictions of :func:`evaluation_table` are held against: ``target``, or ``majority`` where no
    true class is known."""
    return "target" if "target" in table else "majority"


def wrong_predictions(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """Returns the rows of :func:`evaluation_table` whose prediction differs from :func:`reference_column`, the most
    confident first.

    Args:
        table: of the evaluated items.
        number: of rows, at most.
    """
    # As objects: categories of two columns compare only where both have the same ones.
    predicted, reference = table["predicted"].astype(object), table[reference_column(table)].astype(object)
    wrong = table[reference.notna() & (predicted != reference)]
    return wrong.sort_values("confidence", ascending=False, kind="stable").head(number)


def describe_run_data(data: AnnotatedData, split: NDArray[np.str_]) -> dict[str, Any]:
    """Returns plain numbers about the data of a run, by split, with the scores of their votes alone.

    Args:
        data: all items.
        split: (N,) ``train``, ``val`` or ``test``.

    Raises:
        DataError: where the counts would fill the memory.
    """
    votes, distinct = data.annotations, data.annotations.distinct()
    counts = votes.counts()
    compared = counts if distinct is votes else distinct.counts()
    # Agreement of soft answers needs them: an answer must not be compared with itself.
    squares = squared_counts(distinct)
    parts = {}
    for name in SPLITS:
        chosen = np.flatnonzero(split == name)
        number = votes.labels_per_item[chosen]
        parts[name] = {
            "items": len(chosen),
            "with_votes": int((number > 0).sum()),
            "votes": int(number.sum()),
            "with_truth": int((data.target[chosen] != UNKNOWN).sum()),
            "pairwise_agreement": _known(pairwise_agreement(compared[chosen], squares[chosen])),
            "krippendorff_alpha": _known(krippendorff_alpha(compared[chosen], squares[chosen])),
            "majority": majority_baseline(counts[chosen], data.target[chosen]),
        }
    trained = split == "train"
    return {
        "name": data.name,
        "licence": data.licence,
        "inputs": f"{data.inputs.kind}, {' x '.join(map(str, data.inputs.shape))}",
        "annotators": None if votes.exchangeable else votes.num_annotators,
        "classes": {
            name: {"votes": float(v), "items": int(n)}
            for name, v, n in zip(
                data.classes, counts[trained].sum(0), _class_sizes(data.target[trained], len(data.classes)), strict=True
            )
        },
        "splits": parts,
    }


def describe_model(module: nn.Module) -> dict[str, Any]:
    """Returns class, backbone and number of parameters of a model, in words where they are classes."""
    backbone = next((part for part in module.modules() if isinstance(part, Backbone)), None)
    described = None
    if backbone is not None:
        spec = backbone.spec()
        named = {name: spec["init_args"][name] for name in ("name", "hidden") if name in spec["init_args"]}
        described = " ".join([type(backbone).__name__, *map(str, named.values())])
    return {
        "class": type(module).__name__,
        "backbone": described,
        "parameters": sum(weight.numel() for weight in module.parameters()),
    }


def majority_baseline(counts: NDArray[np.float64], target: IntArray) -> dict[str, float]:
    """Returns what the votes of the items themselves score against the truth: ``items``, ``acc``, ``nll``, ``brier``,
    ``ece``; only ``items`` (0) where no item has both votes and a true class.

    The accuracy is that of the majority vote, a tie counting as the chance to draw the right class. The other three are
    of the shares of the votes with one more vote that all classes share, as a class without a vote is not impossible.

    Args:
        counts: (N, K) votes per item and class.
        target: (N,) true classes, -1 unknown.
    """
    usable = (target != UNKNOWN) & (counts.sum(1) > 0)
    votes, truth = counts[usable], torch.from_numpy(target[usable])
    found: dict[str, float] = {"items": len(truth)}
    if not len(truth):
        return found
    shares = torch.from_numpy((votes + 1 / votes.shape[1]) / (votes.sum(1, keepdims=True) + 1))
    return found | {
        "acc": majority_accuracy(votes, target[usable]),
        "nll": negative_log_likelihood(shares, truth).mean().item(),
        "brier": brier_score(shares, truth).mean().item(),
        "ece": calibration_error(bin_sums(*top_label(shares, truth))).item(),
    }


def _known(value: float) -> float | None:
    """None for NaN, which JSON has not."""
    return None if np.isnan(value) else float(value)


def _class_sizes(target: IntArray, num_classes: int) -> IntArray:
    return np.bincount(target[target != UNKNOWN], minlength=num_classes)

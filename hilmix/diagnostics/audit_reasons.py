"""Reasons in words why labels are taken for wrong."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import Annotations, IntArray
from hilmix.functional.aggregation import vote_counts

_DOUBT = 0.5
"""A view speaks against a label to which it gives less than this."""


def describe_labels(votes: Annotations, table: pd.DataFrame, rows: IntArray) -> NDArray[np.object_]:
    """Returns a sentence for each of some labels: every view that speaks against it, with its number.

    Args:
        votes: the annotations.
        table: their labels, as of :func:`~hilmix.diagnostics.audit`.
        rows: (M,) of the table.
    """
    some = table.iloc[rows]
    parts = [_prediction(some), _annotators(votes, some, rows), _neighbors(some), _dynamics(some, table)]
    fallback = "all views together favour " + some["suggested"].astype(object)
    joined = ["; ".join(part for part in row if part) for row in zip(*parts, strict=True)]
    return np.array([text or other for text, other in zip(joined, fallback, strict=True)], dtype=object)


def _prediction(some: pd.DataFrame) -> list[str]:
    return [f"the model gives {label} {p:.0%}" if p < _DOUBT else "" for label, p in _pairs(some, "prediction")]


def _neighbors(some: pd.DataFrame) -> list[str]:
    if "neighbors" not in some:
        return [""] * len(some)
    return [
        f"{p:.0%} of the labels of similar items are {label}" if p < _DOUBT else ""
        for label, p in _pairs(some, "neighbors")
    ]


def _annotators(votes: Annotations, some: pd.DataFrame, rows: IntArray) -> list[str]:
    item, label = votes.item[rows], votes.label[rows]
    others = votes.labels_per_item[item] - 1
    same = vote_counts(votes)[item, label].round().astype(np.int64) - 1 if votes.probs is None else None
    if same is None or "annotators" not in some:
        return [""] * len(some)
    return [
        f"{n - s} of {n} other labels differ" if n and p < _DOUBT else ""
        for n, s, p in zip(others, same, some["annotators"], strict=True)
    ]


def _dynamics(some: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    if "dynamics" not in some:
        return [""] * len(some)
    rank = table["dynamics"].rank(pct=True).to_numpy()[some.index]
    # Of the lowest tenth: the score has no scale of its own.
    return ["learned late" if share <= 0.1 else "" for share in rank]


def _pairs(some: pd.DataFrame, view: str) -> "zip[tuple[str, float]]":
    return zip(some["label"].astype(object), some[view], strict=True)

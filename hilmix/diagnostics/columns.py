"""Columns that the tables of diagnostics share."""

from typing import Any

import numpy as np
import pandas as pd

from hilmix.annotations import IntArray
from hilmix.data.items import AnnotatedData
from hilmix.functional.aggregation import HardLabels, majority
from hilmix.types import UNKNOWN


def named(codes: IntArray, names: tuple[str, ...]) -> "pd.Categorical[Any]":
    """Returns names for codes, missing for -1, in little memory."""
    return pd.Categorical.from_codes(codes, categories=list(names))


def mark_wrong_labels(label: IntArray, target: IntArray) -> IntArray:
    """Returns 1 where a label differs from the target, 0 where not, -1 where either is unknown."""
    return np.where((label < 0) | (target == UNKNOWN), -1, label != target).astype(np.int64)


def majority_labels(data: AnnotatedData, items: IntArray) -> HardLabels:
    """Returns the majority vote of some items."""
    votes = majority(data.annotations)
    return HardLabels(votes.label[items], votes.tied[items])

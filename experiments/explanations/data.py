"""Data of training and testing: a source, cut to size, its training masks as the case asks."""

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from experiments.explanations.masks import MaskCase
from experiments.explanations.settings import DATA, REPO
from hilmix.data.items import AnnotatedData
from hilmix.data.sources import load_source
from hilmix.data.splits import draw_stratified_split

SUBSET_SEED = 0
DOWNLOADS = Path(os.environ.get("HILMIX_DOWNLOADS", REPO / "data" / "downloads"))


@cache
def source(name: str) -> AnnotatedData:
    """A data set of :data:`DATA`, training items beyond its size marked as unused."""
    data, size = load_source(DATA[name].source, downloads=DOWNLOADS), DATA[name].train_items
    assert data.split is not None, "decoys are random in validation and test items only"
    rows = np.flatnonzero(data.split == "train")
    if size is None or size >= len(rows):
        return data
    kept, _ = draw_stratified_split(data.target[rows], [size / len(rows), 1 - size / len(rows)], seed=SUBSET_SEED)
    split = data.split.astype("<U6")
    split[np.delete(rows, kept)] = "unused"
    return replace(data, split=split)


def prepared(name: str, case: MaskCase) -> AnnotatedData:
    """The data of a run. Validation and test items keep their masks, which nothing but attacks on them reads."""
    data = source(name)
    assert data.split is not None
    if case.is_exact:
        return data
    rows = np.flatnonzero(data.split == "train")
    return replace(data, masks=case.masks(data, rows))

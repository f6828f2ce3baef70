"""What is trained and tested on: a source, cut to size, its training masks as the case asks."""

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from experiments.explanations.masks import MaskCase
from experiments.explanations.settings import DATA, REPO
from hilmix.annotations import Annotations
from hilmix.data.items import AnnotatedData, Inputs
from hilmix.data.masks import Masks
from hilmix.data.sources import load_source
from hilmix.data.splits import stratified_split

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
    kept, _ = stratified_split(data.target[rows], [size / len(rows), 1 - size / len(rows)], seed=SUBSET_SEED)
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
    data = replace(data, masks=case.masks(data, rows))
    explained = case.explained(rows)
    return repeated(data, explained, case.repeat)


def repeated(data: AnnotatedData, rows: NDArray[np.int64], times: int) -> AnnotatedData:
    """The items in ``rows`` stand ``times`` times in the table, so often seen in an epoch."""
    if times == 1:
        return data
    assert data.masks is not None
    assert data.split is not None
    order = np.concatenate([np.arange(len(data)), np.tile(rows, times - 1)])
    items = (*data.items, *(f"{data.items[r]}#{t}" for t in range(2, times + 1) for r in rows))
    votes, masks = data.annotations, data.masks
    row, pair = votes.gather(order)
    again, given = masks.gather(order)
    return AnnotatedData(
        name=data.name,
        items=items,
        inputs=Picked(data.inputs, order),
        annotations=Annotations.build(
            row, votes.annotator[pair], votes.label[pair], num_items=len(order), classes=votes.classes,
            annotators=votes.annotators,
        ),
        target=data.target[order],
        split=data.split[order],
        masks=Masks.build(
            again, masks.annotator[given], masks.pictures, num_items=len(order), annotators=masks.annotators,
            picture=masks.picture[given],
        ),
        group=data.group[order],
        groups=data.groups,
    )  # fmt: skip


class Picked:
    """Some rows of other inputs, repeats allowed."""

    def __init__(self, inputs: Inputs, rows: NDArray[np.int64]) -> None:
        self.inputs, self.rows, self.kind = inputs, rows, inputs.kind

    @property
    def shape(self) -> tuple[int, ...]:
        return self.inputs.shape

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, rows: NDArray[np.int64]) -> Tensor:
        return self.inputs.fetch(self.rows[rows])

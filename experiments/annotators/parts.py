"""Parts of annotated data: some items of it, votes held out for noisy validation."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.splits import draw_stratified_split, find_strata
from hilmix.errors import DataError
from hilmix.types import UNKNOWN

SEED = 4
"""Of every drawing of the benchmark's data. With it, each class is most often called by its own name on all digits,
also where 65 % of the labels are wrong: the truth stays identifiable."""
HELD_OUT = 0.2


def pixels(data: AnnotatedData) -> np.ndarray:
    """The inputs of data that lie in memory.

    Raises:
        DataError: for image files.
    """
    if not isinstance(data.inputs, ArrayInputs):
        raise DataError(f"The inputs of {data.name} are files; expected one array.")
    return data.inputs.array


def chosen_items(data: AnnotatedData, rows: ArrayLike) -> AnnotatedData:
    """Returns some items with their votes, in the order of ``rows``, without a split.

    Args:
        data: N items whose inputs lie in an array.
        rows: (B,) different integers in [0, N).
    """
    wanted = np.asarray(rows, dtype=np.int64)
    votes = data.annotations
    item, position = votes.gather(wanted)
    return AnnotatedData(
        name=data.name,
        items=tuple(data.items[row] for row in wanted),
        inputs=ArrayInputs(pixels(data)[wanted], data.inputs.kind),
        annotations=Annotations.build(
            item,
            votes.annotator[position],
            votes.label[position],
            num_items=len(wanted),
            classes=votes.classes,
            annotators=votes.annotators,
            exchangeable=votes.exchangeable,
        ),
        target=data.target[wanted],
        licence=data.licence,
    )


def hold_out(data: AnnotatedData, fraction: float = HELD_OUT, *, part: str = "val") -> AnnotatedData:
    """Returns the data with a fraction of the training items moved to another split, votes included.

    Stratified by the majority vote, never by the truth. Items without a split count as training items.
    """
    split = np.full(len(data), "train", dtype="<U5") if data.split is None else data.split.astype("<U5")
    train = np.flatnonzero(split == "train")
    voted = find_strata(data.annotations, np.full(len(data), UNKNOWN), seed=SEED)[train]
    held = draw_stratified_split(voted, [1 - fraction, fraction], seed=SEED)[1]
    split[train[held]] = part
    return replace(data, split=split)

"""Labels and predictions of the data that a study is built from."""

from pathlib import Path

import numpy as np
import pandas as pd

from hilmix.data.folder.tables import DAMAGE, read_parquet
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.functional.aggregation import majority
from hilmix.human.elicit.design.pairs import DoubleArray, IntArray
from hilmix.types import UNKNOWN


def check_showable(data: AnnotatedData) -> None:
    """Refuses data whose inputs cannot be shown.

    Raises:
        DataError: for vectors, numbers other than bytes, and channels other than grey or red, green, blue.
    """
    if data.inputs.kind != "image":
        raise DataError(f"The data '{data.name}' hold vectors; only images can be shown. Give a data folder of images.")
    first = data.inputs.fetch(np.arange(1)).numpy()
    if first.dtype != np.uint8 or first.shape[1] not in (1, 3):
        raise DataError(
            f"The images of '{data.name}' are {first.dtype} with {first.shape[1]} channels; participants are shown "
            "uint8 with 1 or 3. Convert them."
        )


def find_usable_labels(data: AnnotatedData) -> IntArray:
    """Returns (N,) int64 the class of each image that a study may show, -1 for the others.

    The class is the target, or the majority vote where that is unknown. Ties have no class. Where the data have a
    split, only training items are used: what participants say of them will be trained on.
    """
    votes = majority(data.annotations)
    label = np.where(data.target != UNKNOWN, data.target, np.where(votes.tied, UNKNOWN, votes.label))
    return label if data.split is None else np.where(data.split == "train", label, UNKNOWN)


def read_probs(file: Path | str, data: AnnotatedData) -> DoubleArray:
    """Returns (N, K) float64 class probabilities of the ``predictions.parquet`` of a run, NaN where an item has none.

    Raises:
        DataError: if the file cannot be read, lacks a column, or is about other items.
    """
    wanted = ["item", *(f"prob_{name}" for name in data.classes)]
    try:
        table = read_parquet(Path(file))
    except DAMAGE as error:
        raise DataError(f"Cannot read {file}: {error}. Make it with hilmix predict.") from error
    if missing := [name for name in wanted if name not in table.columns]:
        raise DataError(
            f"{file} lacks the column(s) {missing}; found {list(map(str, table.columns))}. "
            "Make it with hilmix predict, from a model of the same classes."
        )
    row = pd.Index(data.items).get_indexer(pd.Index(table["item"].astype(str)))
    # get_indexer gives -1 for items that the data do not have.
    if (row < 0).any():
        unknown = table["item"].iloc[int((row < 0).argmax())]
        raise DataError(f"{file}: item '{unknown}' is not in the data '{data.name}'. Predict the items of these data.")
    if len(np.unique(row)) < len(row):
        raise DataError(f"{file}: item '{table['item'][table['item'].duplicated()].iloc[0]}' occurs more than once.")
    probs = np.full((len(data), len(data.classes)), np.nan)
    probs[row] = table[wanted[1:]].to_numpy(dtype=np.float64)
    if not ((probs[row] >= 0) & (probs[row] <= 1)).all():
        raise DataError(f"{file}: the columns prob_... hold numbers outside 0 to 1, or none. Write it again.")
    return probs

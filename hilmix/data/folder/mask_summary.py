"""Summary of masks and groups: how many, by how many annotators, how much is marked, and how well they agree."""

import warnings
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.data.items import SPLITS, AnnotatedData
from hilmix.data.masks import Masks
from hilmix.functional.inputs import as_float

_AT_ONCE = 256


@dataclass(frozen=True)
class MaskSummary:
    """Numbers that ``hilmix data check`` prints."""

    masks: int
    items: int
    """Items that have a mask."""
    annotators: int
    """Annotators who gave a mask."""
    per_item: tuple[int, int]
    """Lowest and highest number of masks of the items that have any."""
    marked: float
    """Mean share of an input that a mask marks, over masks; NaN without masks."""
    empty: int
    """Masks that mark nothing: to a loss, no explanation."""
    overlap: float
    """Mean over pairs of annotators who gave a mask of the same item: what both marked, relative to what either marked
    (intersection over union; 1 if neither marked anything); NaN where no item has two masks."""

    @property
    def people(self) -> int:
        """The former name of ``annotators``, until 0.2."""
        text = "MaskSummary.people is now annotators; the former name goes in 0.2."
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        return self.annotators


def summarise_masks(masks: Masks) -> MaskSummary:
    """Return the summary of masks, decoding each twice at most."""
    marked = np.concatenate([np.empty(0), *(_compute_marked(masks, rows) for rows in _split_rows(masks.num_masks))])
    given = masks.per_item[masks.explained]
    return MaskSummary(
        masks=masks.num_masks,
        items=len(given),
        annotators=len(np.unique(masks.annotator)),
        per_item=(int(given.min(initial=given.max(initial=0))), int(given.max(initial=0))),
        marked=float(marked.mean()) if len(marked) else np.nan,
        empty=int((marked == 0).sum()),
        overlap=_compute_overlap(masks),
    )


def count_group_sizes(data: AnnotatedData) -> pd.DataFrame:
    """Items of each group by split: one row per group and one, ``none``, for items without, if there are such."""
    split = np.full(len(data), "all") if data.split is None else data.split
    columns = ["all"] if data.split is None else [s for s in SPLITS if (split == s).any()]
    names = np.asarray([*data.groups, "none"], dtype=object)[data.group]
    rows = [*data.groups, *(["none"] if (data.group < 0).any() else [])]
    table = {c: [int(((names == row) & (split == c)).sum()) for row in rows] for c in columns}
    return pd.DataFrame(table, index=rows)


def _split_rows(length: int) -> list[NDArray[np.int64]]:
    return [np.arange(start, min(start + _AT_ONCE, length)) for start in range(0, length, _AT_ONCE)]


def _fetch_pixels(masks: Masks, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(m, pixels) of some masks."""
    flat: NDArray[np.float32] = as_float(masks.pictures.fetch(masks.picture[rows])).flatten(1).numpy()
    return flat


def _compute_marked(masks: Masks, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    # float64, as sums of many float32 pixels drift.
    marked: NDArray[np.float64] = _fetch_pixels(masks, rows).mean(1, dtype=np.float64)
    return marked


def _compute_overlap(masks: Masks) -> float:
    shares: list[float] = []
    for item in np.flatnonzero(masks.per_item > 1):
        pixels = _fetch_pixels(masks, masks.gather([item])[1])
        for one, other in combinations(pixels, 2):
            either = np.maximum(one, other).sum()
            shares.append(float(np.minimum(one, other).sum() / either) if either else 1.0)
    return float(np.mean(shares)) if shares else np.nan

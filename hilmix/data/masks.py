"""Masks of irrelevant parts of items: a table of (item, annotator, picture), those of several annotators kept apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hilmix.columns import IntArray, expand_ranges, whole_numbers
from hilmix.data.inputs import Inputs
from hilmix.errors import ConfigError, DataError
from hilmix.functional.inputs import as_float

MaskAggregation = Literal["union", "agreement"]


@dataclass(frozen=True, eq=False)
class Masks:
    """M masks, each of one item by one annotator, sorted by item; memory O(M) and the pictures, whatever N and A.

    In a mask 1 (255 as uint8) marks what is irrelevant, 0 what may matter, and numbers between are allowed. Several
    masks may share one picture. Build one with :meth:`build`; the bare constructor expects sorted, checked arrays.

    Args:
        item: (M,) int64, non-decreasing, row of the item in [0, N).
        annotator: (M,) int64 in [0, A'). Annotators who gave masks need not be those who gave labels.
        picture: (M,) int64, row of ``pictures``.
        annotators: A' names.
        pictures: random access to (1 or C, H, W) uint8 or float images, or to (D,) vectors, in [0, 1] if not uint8.
        num_items: N.
    """

    item: IntArray
    annotator: IntArray
    picture: IntArray
    annotators: tuple[str, ...]
    pictures: Inputs
    num_items: int

    @classmethod
    def build(
        cls,
        item: ArrayLike,
        annotator: ArrayLike,
        pictures: Inputs,
        *,
        num_items: int,
        annotators: Sequence[str],
        picture: ArrayLike | None = None,
    ) -> "Masks":
        """Return the checked, sorted table.

        Args:
            item: (M,) integers in [0, num_items), in any order.
            annotator: (M,) integers in [0, A').
            pictures: see the class.
            num_items: N, items without masks included.
            annotators: A' names.
            picture: (M,) integers, row of ``pictures``; default: one after the other.

        Raises:
            DataError: naming the column, the first bad row and what it must be; also if an annotator gave two masks of
            one
                item.
        """
        items = whole_numbers(item, "item", num_items)
        by = whole_numbers(annotator, "annotator", len(annotators))
        rows = whole_numbers(np.arange(len(items)) if picture is None else picture, "row", len(pictures))
        if not len(items) == len(by) == len(rows):
            raise DataError(f"masks have {len(items)} items, {len(by)} annotators and {len(rows)} pictures.")
        # By item, then annotator: repeats of a pair become neighbours, and the rows of an item a range.
        order = np.lexsort((by, items))
        masks = cls(items[order], by[order], rows[order], tuple(map(str, annotators)), pictures, num_items)
        twice = np.flatnonzero((np.diff(masks.item) == 0) & (np.diff(masks.annotator) == 0))
        if len(twice):
            raise DataError(
                f"Masks must be one per item and annotator, got two masks of item number {masks.item[twice[0]]} by "
                f"'{masks.annotators[masks.annotator[twice[0]]]}'."
            )
        return masks

    @property
    def num_masks(self) -> int:
        """M."""
        return len(self.item)

    @cached_property
    def per_item(self) -> IntArray:
        """(N,) int64 number of masks of each item."""
        return np.bincount(self.item, minlength=self.num_items).astype(np.int64)

    @property
    def explained(self) -> NDArray[np.bool_]:
        """(N,) whether the item has a mask; it may be all zero."""
        return self.per_item > 0

    def marks(self, index: IntArray, *, batch: int = 1024) -> NDArray[np.bool_]:
        """Return (B,) whether a mask of the item marks anything; reads all masks of these items.

        Args:
            index: (B,) rows of the items in the whole table.
            batch: items that are read at a time.
        """
        found = self.explained[index]
        there = np.flatnonzero(found)
        for start in range(0, len(there), batch):
            part = there[start : start + batch]
            found[part] = self.fetch(index[part]).flatten(1).any(1).numpy()
        return found

    def gather(self, items: ArrayLike) -> tuple[IntArray, IntArray]:
        """Return the positions of the masks of the given items.

        Args:
            items: (B,) integers in [0, N), repeats allowed.

        Returns:
            ``row`` (M',) the position in ``items`` that each mask belongs to, non-decreasing, and ``position`` (M',)
            its row in this table.
        """
        wanted = np.asarray(items, dtype=np.int64)
        # A search in the sorted items needs no table of N + 1 starts, as few items may have a mask.
        return expand_ranges(np.searchsorted(self.item, wanted), self.per_item[wanted])

    def fetch(self, index: IntArray, how: MaskAggregation = "union") -> Tensor:
        """Return one mask per item: (B, 1 or C, H, W) or (B, D), zeros where there is none.

        Args:
            index: (B,) rows of the items in the whole table.
            how: ``union``: what any annotator marked (the maximum). ``agreement``: the share of the annotators
                with a mask of the item that marked it (their mean); float32 where any item has several masks.
                For data with at most one mask per item both are the same, and uint8 stays uint8.

        Raises:
            ConfigError: for another ``how``.
        """
        if how not in get_args(MaskAggregation):
            raise ConfigError(f"`how` must be one of {list(get_args(MaskAggregation))}, got '{how}'.")
        row, position = self.gather(index)
        given, at = self.pictures.fetch(self.picture[position]), torch.from_numpy(row)
        # By all masks, not those of this batch: all batches must have one type.
        if self.per_item.max(initial=0) > 1 and how == "agreement":
            total = torch.zeros(len(index), *given.shape[1:]).index_add_(0, at, as_float(given))
            # In place on the copy that indexing has made; items without masks divide 0 by 1.
            number = torch.from_numpy(self.per_item[index]).clamp_(min=1)
            return total / number.reshape(-1, *[1] * (total.ndim - 1))
        zeros = given.new_zeros(len(index), *given.shape[1:])
        where = at.reshape(-1, *[1] * (given.ndim - 1)).expand_as(given)
        # The largest of an item's masks, as bytes: a quarter of what floats would send to the device.
        return zeros.scatter_reduce_(0, where, given, "amax")

    def check_shape(self, inputs: tuple[int, ...]) -> None:
        """Check that the masks fit inputs of shape (C, H, W) or (D,).

        Raises:
            DataError: if they do not.
        """
        found = self.pictures.shape
        allowed = [inputs] if len(inputs) == 1 else [(1, *inputs[1:]), inputs]
        if found not in allowed:
            wanted = " or ".join(map(str, dict.fromkeys(allowed)))
            raise DataError(f"The masks of inputs of shape {inputs} must have shape {wanted}, got {found}.")

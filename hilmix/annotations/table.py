"""The sparse table of annotations: item, annotator, label. The only currency between the parts of hilmix."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hilmix.annotations.repeats import Duplicates, check_duplicates, repeated
from hilmix.annotations.soft_columns import label_columns
from hilmix.annotations.vote_tables import LabelRules, code_frame
from hilmix.columns import (
    FloatArray,
    IntArray,
    bounded_numbers,
    dense_labels,
    expand_counts,
    expand_ranges,
    whole_numbers,
)
from hilmix.errors import DataError
from hilmix.functional.aggregation import vote_counts

__all__ = ["Annotations", "FloatArray", "IntArray"]
_COLUMNS = ("item", "annotator", "label", "probs", "confidence", "seconds")
"""Fields with one row per annotation, where they are given."""


@dataclass(frozen=True, eq=False)
class Annotations:
    """Labels of items by annotators, sorted by item, immutable, memory O(L + N).

    Repeated (item, annotator) rows are legal, :meth:`distinct` removes them. Build one with :meth:`build`,
    :meth:`from_frame`, :meth:`from_dense` or :meth:`from_counts`; the bare constructor expects sorted, checked arrays.

    Args:
        item: (L,) int64, non-decreasing, row of the item in [0, N).
        annotator: (L,) int64 in [0, A).
        label: (L,) int64 in [0, K), the argmax of ``probs`` where given.
        num_items: N.
        classes: K class names.
        annotators: A annotator names.
        probs: optional (L, K) float32, each row a distribution.
        confidence: optional (L,) float32 in [0, 1], NaN where not stated.
        seconds: optional (L,) float32, NaN where not measured.
        exchangeable: identities are unknown (counts): one annotator id stands for a crowd, so no annotator report.

    Example:
        >>> a = Annotations.from_dense([[0, 1, -1], [1, 1, 0]])
        >>> a.num_pairs, a.counts().tolist()
        (5, [[1, 1], [1, 2]])
    """

    item: IntArray
    annotator: IntArray
    label: IntArray
    num_items: int
    classes: tuple[str, ...]
    annotators: tuple[str, ...]
    probs: FloatArray | None = None
    confidence: FloatArray | None = None
    seconds: FloatArray | None = None
    exchangeable: bool = False

    @classmethod
    def build(
        cls,
        item: ArrayLike,
        annotator: ArrayLike,
        label: ArrayLike | None = None,
        *,
        num_items: int,
        classes: Sequence[str] | int,
        annotators: Sequence[str] | int,
        probs: ArrayLike | None = None,
        confidence: ArrayLike | None = None,
        seconds: ArrayLike | None = None,
        exchangeable: bool = False,
    ) -> "Annotations":
        """Returns the checked, sorted table.

        Args:
            item: (L,) integers in [0, num_items), in any order.
            annotator: (L,) integers in [0, A).
            label: (L,) integers in [0, K); may be left out where ``probs`` is given.
            num_items: N, items without annotations included.
            classes: K names, or K.
            annotators: A names, or A.
            probs: (L, K) non-negative rows with a positive sum; normalised here.
            confidence: (L,) in [0, 1] or NaN.
            seconds: (L,) non-negative or NaN.
            exchangeable: see the class.

        Raises:
            DataError: naming the column, the first bad row and what is allowed.
        """
        names = tuple(str(c) for c in (range(classes) if isinstance(classes, int) else classes))
        known = tuple(str(a) for a in (range(annotators) if isinstance(annotators, int) else annotators))
        items = whole_numbers(item, "item", num_items)
        columns: dict[str, Any] = {"annotator": whole_numbers(annotator, "annotator", len(known))}
        if exchangeable:  # names that mean nothing must not be modelled
            columns["annotator"], known = np.zeros_like(columns["annotator"]), ("crowd",)
        columns |= label_columns(label, probs, len(items), len(names))
        for name, values, top in (("confidence", confidence, 1.0), ("seconds", seconds, np.inf)):
            if values is not None:
                columns[name] = bounded_numbers(values, name, top)
        for name, values in columns.items():
            if len(values) != len(items):
                raise DataError(f"{name} has {len(values)} rows, item has {len(items)}.")
        # Stable: of repeated rows the last counts, so their order must survive.
        order = np.argsort(items, kind="stable")
        columns = {name: values[order] for name, values in columns.items()}
        return cls(
            item=items[order],
            num_items=num_items,
            classes=names,
            annotators=known,
            exchangeable=exchangeable,
            **columns,
        )

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        items: Sequence[str],
        classes: Sequence[str],
        annotators: Sequence[str] | None = None,
        missing: Sequence[str] = (),
        duplicates: Duplicates = "last",
        exchangeable: bool = False,
    ) -> "Annotations":
        """Builds the table from names: columns ``item``, ``annotator``, ``label`` and optionally ``confidence``,
        ``seconds``, and soft answers as one ``prob_<class>`` column per class (``label`` may then be left out).

        Args:
            frame: one row per annotation.
            items: N item names; the order defines the rows.
            classes: K class names.
            annotators: A annotator names; by default those of the frame with a label, in natural order.
            missing: labels that mean "did not label", such as ``-1`` or ``skip``.
            duplicates: what counts of several labels of one annotator for one item; not where ``exchangeable``.
            exchangeable: see the class.

        Raises:
            FaultyDataError: for missing columns or cells, names outside the vocabularies, contradictions.
        """
        way = check_duplicates(duplicates)
        declared = LabelRules(tuple(map(str, classes)), tuple(map(str, missing)), way, exchangeable)
        return cls.build(**code_frame(frame, declared, items=list(map(str, items)), annotators=annotators))

    @classmethod
    def from_dense(
        cls,
        labels: ArrayLike,
        *,
        classes: Sequence[str] | int | None = None,
        annotators: Sequence[str] | int | None = None,
        missing: ArrayLike = (-1,),
    ) -> "Annotations":
        """Builds the table from an (N, A) matrix of whole numbers; NaN and the numbers in ``missing`` are no label.

        Args:
            labels: (N, A) integers, or floats that are whole or NaN, or a table with None or ``pandas.NA``.
            classes: K names or K, whose places the labels are; by default the labels that occur, in order.
            annotators: A names, or A.
            missing: numbers that mean "did not label", or their texts, as in ``dataset.yaml``.

        Raises:
            DataError: for other numbers, or a negative one that is not in ``missing``.
        """
        dense, given = dense_labels(labels, missing)
        item, annotator = np.nonzero(given)
        label = dense[item, annotator]
        if classes is None:
            values, label = np.unique(label, return_inverse=True)
            classes = [str(value) for value in values]
        return cls.build(
            item,
            annotator,
            label,
            num_items=dense.shape[0],
            classes=classes,
            annotators=dense.shape[1] if annotators is None else annotators,
        )

    @classmethod
    def from_counts(cls, counts: ArrayLike, *, classes: Sequence[str] | int | None = None) -> "Annotations":
        """Builds an exchangeable table from (N, K) vote counts: one annotator id, one row per vote."""
        item, label, (num_items, num_classes) = expand_counts(counts)
        return cls.build(
            item,
            np.zeros_like(item),
            label,
            num_items=num_items,
            classes=num_classes if classes is None else classes,
            annotators=["crowd"],
            exchangeable=True,
        )

    @property
    def num_pairs(self) -> int:
        """L."""
        return len(self.item)

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)

    @property
    def num_annotators(self) -> int:
        """A."""
        return len(self.annotators)

    @property
    def gold(self) -> None:
        """None: annotations hold no known classes; :func:`~hilmix.functional.aggregation.with_gold` adds them."""
        return None

    @cached_property
    def indptr(self) -> IntArray:
        """(N + 1,) int64: the annotations of item n are the rows ``indptr[n]:indptr[n + 1]``."""
        per_item = np.bincount(self.item, minlength=self.num_items)
        # As of a CSR matrix, which scipy can then take without a copy; the leading 0 gives empty items an empty range.
        return np.concatenate([[0], np.cumsum(per_item)]).astype(np.int64)

    @property
    def labels_per_item(self) -> IntArray:
        """(N,) int64 number of annotations of each item."""
        return np.diff(self.indptr)

    def gather(self, items: ArrayLike) -> tuple[IntArray, IntArray]:
        """Returns where the annotations of the given items stand, without a loop.

        Args:
            items: (B,) integers in [0, N), repeats allowed.

        Returns:
            ``row`` (L',) the position in ``items`` that each annotation belongs to, non-decreasing, and ``position``
            (L',) its row in this table.
        """
        # An empty list would be float, by which nothing can be indexed.
        wanted = np.asarray(items, dtype=np.int64)
        return expand_ranges(self.indptr[wanted], self.labels_per_item[wanted])

    def counts(self) -> NDArray[np.float64]:
        """(N, K) float64: votes per item and class; a soft answer counts with its probabilities."""
        return vote_counts(self)

    def subset(self, keep: ArrayLike) -> "Annotations":
        """The annotations of some items; the items keep their rows, the others become empty.

        Args:
            keep: (N,) bool, or integers in [0, N).
        """
        mask = np.zeros(self.num_items, dtype=bool)
        chosen = np.asarray(keep)
        mask[chosen if chosen.dtype == bool else chosen.astype(np.int64)] = True  # an empty list would be float
        return self._rows(mask[self.item])

    def distinct(self) -> "Annotations":
        """The last label of each annotator for each item; itself where there are no repeats or no identities."""
        if self.exchangeable:
            return self
        again = repeated(self.item, self.annotator, "last")
        return self._rows(~again) if again.any() else self

    def _rows(self, chosen: NDArray[np.bool_]) -> "Annotations":
        columns = {name: getattr(self, name) for name in _COLUMNS}
        return replace(self, **{name: values[chosen] for name, values in columns.items() if values is not None})

    def to_dense(self) -> IntArray:
        """(N, A) int64 with -1 for "did not label".

        Raises:
            DataError: if an annotator labelled an item more than once.
        """
        if self.exchangeable or len(np.unique(self.item * self.num_annotators + self.annotator)) < self.num_pairs:
            raise DataError("A dense matrix cannot hold several labels of one annotator for the same item.")
        dense = np.full((self.num_items, self.num_annotators), -1, dtype=np.int64)
        dense[self.item, self.annotator] = self.label
        return dense

    def to_frame(self, items: Sequence[str]) -> pd.DataFrame:
        """One row per annotation, with names, in the layout that :meth:`from_frame` reads."""
        vocabularies = {"item": items, "annotator": self.annotators, "label": self.classes}
        named = {name: np.asarray(known, dtype=object)[getattr(self, name)] for name, known in vocabularies.items()}
        stated = {name: getattr(self, name) for name in ("confidence", "seconds")}
        frame = pd.DataFrame(named | {name: values for name, values in stated.items() if values is not None})
        if self.probs is not None:
            soft = pd.DataFrame(self.probs, columns=[f"prob_{c}" for c in self.classes])
            frame = pd.concat([frame, soft], axis=1)
        return frame

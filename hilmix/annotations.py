"""The sparse annotation table: who said what about which item. The only currency between the parts of hilmix."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hilmix.columns import FloatArray, IntArray, bounded_numbers, codes, natural_order, ranges, whole_numbers
from hilmix.errors import DataError
from hilmix.functional.aggregation import vote_counts

__all__ = ["Annotations", "FloatArray", "IntArray"]


@dataclass(frozen=True, eq=False)
class Annotations:
    """Who said what about which item, sorted by item, immutable, memory O(L + N).

    Repeated (item, annotator) rows are legal. Build one with :meth:`build`, :meth:`from_frame`, :meth:`from_dense`
    or :meth:`from_counts`; the bare constructor expects sorted, checked arrays.

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
        people = tuple(str(a) for a in (range(annotators) if isinstance(annotators, int) else annotators))
        items = whole_numbers(item, "item", num_items)
        columns: dict[str, Any] = {"annotator": whole_numbers(annotator, "annotator", len(people))}
        if exchangeable:  # names that mean nothing must not be modelled
            columns["annotator"], people = np.zeros_like(columns["annotator"]), ("crowd",)
        if probs is not None:
            soft = np.asarray(probs, dtype=np.float64).reshape(len(items), -1 if len(items) else len(names))
            if soft.shape[1] != len(names):
                raise DataError(f"probs has {soft.shape[1]} columns, expected one per class, {len(names)}.")
            total = soft.sum(1)
            bad = np.flatnonzero(~np.isfinite(soft).all(1) | (soft < 0).any(1) | ~(total > 0))
            if len(bad):
                raise DataError(
                    f"probs, row {bad[0]}: {soft[bad[0]].tolist()} is not a distribution; "
                    "expected finite numbers of at least 0 with a positive sum."
                )
            columns["probs"] = (soft / total[:, None]).astype(np.float32)
            label = soft.argmax(1) if label is None else label
        if label is None:
            raise DataError("Annotations need a label or probs.")
        columns["label"] = whole_numbers(label, "label", len(names))
        for name, values, top in (("confidence", confidence, 1.0), ("seconds", seconds, np.inf)):
            if values is not None:
                columns[name] = bounded_numbers(values, name, top)
        for name, values in columns.items():
            if len(values) != len(items):
                raise DataError(f"{name} has {len(values)} rows, item has {len(items)}.")
        order = np.argsort(items, kind="stable")
        columns = {name: values[order] for name, values in columns.items()}
        return cls(
            item=items[order], num_items=num_items, classes=names, annotators=people, exchangeable=exchangeable,
            **columns,
        )  # fmt: skip

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        items: Sequence[str],
        classes: Sequence[str],
        annotators: Sequence[str] | None = None,
        exchangeable: bool = False,
    ) -> "Annotations":
        """Builds the table from names: columns ``item``, ``annotator``, ``label`` and optionally ``confidence``,
        ``seconds``, and soft answers as one ``prob_<class>`` column per class (``label`` may then be left out).

        Args:
            frame: one row per annotation.
            items: N item names; the order defines the rows.
            classes: K class names.
            annotators: A annotator names; by default those of the frame, sorted.
            exchangeable: see the class.

        Raises:
            DataError: for a missing column or a name outside the vocabularies.
        """
        soft = [f"prob_{c}" for c in classes]
        has_probs = any(str(c).startswith("prob_") for c in frame.columns)
        needed = ["item", "annotator", *(soft if has_probs else ["label"])]
        if missing := [c for c in needed if c not in frame.columns]:
            raise DataError(f"Annotations lack the column(s) {missing}; found {list(map(str, frame.columns))}.")
        for column in ("item", "annotator", "label"):
            if column in frame.columns and frame[column].isna().any():
                raise DataError(f"{column}, row {int(frame[column].isna().to_numpy().argmax())}: it is empty.")
        who = frame["annotator"].astype(str)
        people = tuple(sorted(who.unique(), key=natural_order)) if annotators is None else tuple(annotators)
        return cls.build(
            item=codes(frame["item"].astype(str), items, "item"),
            annotator=codes(who, people, "annotator"),
            label=codes(frame["label"].astype(str), classes, "label") if "label" in frame.columns else None,
            num_items=len(items),
            classes=classes,
            annotators=people,
            probs=frame[soft].to_numpy(dtype=np.float64) if has_probs else None,
            confidence=frame["confidence"].to_numpy(dtype=np.float64) if "confidence" in frame.columns else None,
            seconds=frame["seconds"].to_numpy(dtype=np.float64) if "seconds" in frame.columns else None,
            exchangeable=exchangeable,
        )

    @classmethod
    def from_dense(
        cls,
        labels: ArrayLike,
        *,
        classes: Sequence[str] | int | None = None,
        annotators: Sequence[str] | int | None = None,
    ) -> "Annotations":
        """Builds the table from an (N, A) integer matrix with -1 for "did not label"."""
        dense = np.asarray(labels)
        if dense.ndim != 2 or not np.issubdtype(dense.dtype, np.integer):
            raise DataError(f"Expected an (N, A) integer matrix, got shape {dense.shape}, dtype {dense.dtype}.")
        item, annotator = np.nonzero(dense >= 0)
        label = dense[item, annotator]
        num_classes = int(label.max(initial=0)) + 1 if classes is None else classes
        return cls.build(
            item, annotator, label, num_items=dense.shape[0], classes=num_classes,
            annotators=dense.shape[1] if annotators is None else annotators,
        )  # fmt: skip

    @classmethod
    def from_counts(cls, counts: ArrayLike, *, classes: Sequence[str] | int | None = None) -> "Annotations":
        """Builds an exchangeable table from (N, K) vote counts: one annotator id, one row per vote."""
        votes = np.asarray(counts)
        if votes.ndim != 2 or (votes < 0).any() or (votes != np.floor(votes)).any():
            raise DataError("Counts must be an (N, K) matrix of non-negative whole numbers.")
        item, label = np.nonzero(votes)
        repeats = votes[item, label].astype(np.int64)
        return cls.build(
            np.repeat(item, repeats), np.zeros(repeats.sum(), dtype=np.int64), np.repeat(label, repeats),
            num_items=votes.shape[0], classes=votes.shape[1] if classes is None else classes,
            annotators=["crowd"], exchangeable=True,
        )  # fmt: skip

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

    @cached_property
    def indptr(self) -> IntArray:
        """(N + 1,) int64: the annotations of item n are the rows ``indptr[n]:indptr[n + 1]``."""
        per_item = np.bincount(self.item, minlength=self.num_items)
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
        wanted = np.asarray(items, dtype=np.int64)
        return ranges(self.indptr[wanted], self.labels_per_item[wanted])

    def counts(self) -> NDArray[np.float64]:
        """(N, K) float64: votes per item and class; a soft answer counts with its probabilities."""
        return vote_counts(
            self.item, self.label, num_items=self.num_items, num_classes=self.num_classes, probs=self.probs
        )

    def subset(self, keep: ArrayLike) -> "Annotations":
        """The annotations of some items; the items keep their rows, the others become empty.

        Args:
            keep: (N,) bool, or integers in [0, N).
        """
        mask = np.zeros(self.num_items, dtype=bool)
        chosen = np.asarray(keep)
        mask[chosen if chosen.dtype == bool else chosen.astype(np.int64)] = True  # an empty list would be float
        return self._rows(mask[self.item])

    def _rows(self, chosen: NDArray[np.bool_]) -> "Annotations":
        def cut(values: Any) -> Any:
            return None if values is None else values[chosen]

        return Annotations(
            item=self.item[chosen], annotator=self.annotator[chosen], label=self.label[chosen],
            num_items=self.num_items, classes=self.classes, annotators=self.annotators, probs=cut(self.probs),
            confidence=cut(self.confidence), seconds=cut(self.seconds), exchangeable=self.exchangeable,
        )  # fmt: skip

    def to_dense(self) -> IntArray:
        """(N, A) int64 with -1 for "did not label".

        Raises:
            DataError: if an annotator labelled an item more than once.
        """
        if self.exchangeable or len(np.unique(self.item * self.num_annotators + self.annotator)) < self.num_pairs:
            raise DataError("A dense matrix can not hold several labels of one annotator for the same item.")
        dense = np.full((self.num_items, self.num_annotators), -1, dtype=np.int64)
        dense[self.item, self.annotator] = self.label
        return dense

    def to_frame(self, items: Sequence[str]) -> pd.DataFrame:
        """One row per annotation, with names, in the layout that :meth:`from_frame` reads."""
        frame = pd.DataFrame(
            {
                "item": np.asarray(items, dtype=object)[self.item],
                "annotator": np.asarray(self.annotators, dtype=object)[self.annotator],
                "label": np.asarray(self.classes, dtype=object)[self.label],
            }
        )
        if self.confidence is not None:
            frame["confidence"] = self.confidence
        if self.seconds is not None:
            frame["seconds"] = self.seconds
        if self.probs is not None:
            soft = pd.DataFrame(self.probs, columns=[f"prob_{c}" for c in self.classes])
            frame = pd.concat([frame, soft], axis=1)
        return frame

"""Answers of participants about mixes, which perception policies are fitted to, as plain aligned arrays."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from hilmix.errors import DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class MixJudgments(NamedTuple):
    """M judgments of mixes ``weight * image 1 + (1 - weight) * image 2``, one row per answer.

    Which image is called the first is the study's choice (in H-Mix the one whose class comes first); no fit depends
    on it.
    """

    label1: IntArray
    """(M,) int64 in [0, K), class of image 1."""
    label2: IntArray
    """(M,) int64 in [0, K), class of image 2."""
    weight: FloatArray
    """(M,) float64 in [0, 1], the generating weight of image 1."""
    answer: FloatArray
    """(M,) float64 in [0, 1], the weight of image 1 that the participant sees."""
    confidence: FloatArray
    """(M,) float64 in [0, 1], how sure the participant is; NaN where not stated."""
    participant: IntArray
    """(M,) int64 in [0, P)."""
    id1: IntArray
    """(M,) int64, which image image 1 is."""
    id2: IntArray
    """(M,) int64, which image image 2 is."""
    num_classes: int
    """K."""
    participants: tuple[str, ...]
    """P names."""

    def take(self, rows: NDArray[np.generic]) -> Self:
        """Returns some judgments; vocabularies stay.

        Args:
            rows: (M,) bool, or int64 places.
        """
        return self._replace(**{name: getattr(self, name)[rows] for name in _COLUMNS})

    def swap_images(self, where: NDArray[np.bool_]) -> Self:
        """Returns the same judgments with the two images of some rows swapped.

        Args:
            where: (M,) bool.
        """
        return self._replace(
            label1=np.where(where, self.label2, self.label1),
            label2=np.where(where, self.label1, self.label2),
            id1=np.where(where, self.id2, self.id1),
            id2=np.where(where, self.id1, self.id2),
            weight=np.where(where, 1 - self.weight, self.weight),
            answer=np.where(where, 1 - self.answer, self.answer),
        )

    def sort_by_class(self) -> Self:
        """Returns the same judgments with the image first whose class comes first."""
        return self.swap_images(self.label1 > self.label2)

    def add_swapped(self) -> Self:
        """Returns every judgment twice, once with its images swapped, so that a fit prefers neither place."""
        # Two whole copies, not pairs of rows: the second half is then swapped by position.
        twice = self.take(np.tile(np.arange(len(self.weight)), 2))
        return twice.swap_images(np.arange(len(twice.weight)) >= len(self.weight))

    def validate(self) -> Self:
        """Returns the judgments as arrays of the declared types.

        Raises:
            DataError: naming the column, its first bad row and what is allowed; and where there is no judgment.
        """
        # Converted first: lists and narrower types are legal, and every check then sees one type.
        given: dict[str, Any] = {name: np.asarray(getattr(self, name), dtype=kind) for name, kind in _COLUMNS.items()}
        rows = len(given["weight"])
        if rows == 0:
            raise DataError("judgments: a fit needs at least 1, got 0.")
        for name, column in given.items():
            if column.shape != (rows,):
                raise DataError(f"judgments {name} must have the shape {(rows,)}, as weight has, got {column.shape}.")
            _check(name, column, *self._range(name))
        return self._replace(**given)

    def _range(self, name: str) -> tuple[float, float]:
        if name in ("label1", "label2"):
            return 0, self.num_classes - 1
        if name == "participant":
            return 0, len(self.participants) - 1
        return (0, np.inf) if name in ("id1", "id2") else (0, 1)


_COLUMNS = {
    "label1": np.int64,
    "label2": np.int64,
    "weight": np.float64,
    "answer": np.float64,
    "confidence": np.float64,
    "participant": np.int64,
    "id1": np.int64,
    "id2": np.int64,
}


def _check(name: str, column: NDArray[np.generic], low: float, high: float) -> None:
    values = column.astype(np.float64)
    right = (values >= low) & (values <= high)
    # Asking for what is right rather than what is wrong also refuses NaN, except where confidence was not stated.
    bad = np.flatnonzero(~(right | np.isnan(values) if name == "confidence" else right))
    if len(bad):
        allowed = f"[{low:g}, {high:g}]" if np.isfinite(high) else f"[{low:g}, inf)"
        raise DataError(f"judgments {name}, row {bad[0]}: must be in {allowed}, got {values[bad[0]]:g}.")

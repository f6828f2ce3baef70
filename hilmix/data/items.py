"""Annotated items in memory: inputs, votes, optional truth and split. What every source is turned into."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import Annotations, IntArray
from hilmix.annotations.repeats import Duplicates
from hilmix.codes import UNKNOWN
from hilmix.errors import DataError
from hilmix.faults import Fault

if TYPE_CHECKING:  # they need torch, and commands about votes start without it
    from hilmix.data.inputs import Inputs
    from hilmix.data.masks import Masks

SPLITS = ("train", "val", "test")


class LabelledItems(NamedTuple):
    """Names, annotations and targets of items, without their inputs."""

    name: str
    items: tuple[str, ...]
    annotations: Annotations
    target: NDArray[np.int64]
    """(N,) int64 true class, -1 where unknown."""
    duplicates: Duplicates = "last"
    """Rule that was applied to several labels of one annotator for one item."""
    notes: tuple[Fault, ...] = ()
    """Remarks for the user, which refuse nothing."""
    split: NDArray[np.str_] | None = None
    """(N,) of ``train``, ``val``, ``test``, or None without a split."""


@dataclass(frozen=True, eq=False)
class AnnotatedData:
    """N items with inputs, annotations, and optionally truth, a split, annotator features, masks and groups.

    Args:
        name: short name of the data set.
        items: N unique item names.
        inputs: the N inputs.
        annotations: the votes; its vocabularies are the classes and annotators of the data.
        target: (N,) int64 true class, -1 where unknown.
        split: (N,) of ``train``, ``val``, ``test``, or None if the data has no split.
        licence: licence of the data, as its authors state it.
        annotator_features: optional (A, F) float32 metadata of the annotators.
        masks: optional masks of what must not matter in the inputs; as high and wide as these, of one channel or as
            many, or (D,).
        group: (N,) int64 group that the item is evaluated in, -1 for none; without groups all -1.
        groups: G group names.
        notes: what a user should know about the folder that they were read from; refuses nothing.
        duplicates: what counted of several labels of one annotator for one item, where the annotations were read.
    """

    name: str
    items: tuple[str, ...]
    inputs: "Inputs"
    annotations: Annotations
    target: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    split: NDArray[np.str_] | None = None
    licence: str | None = None
    annotator_features: NDArray[np.float32] | None = None
    masks: "Masks | None" = None
    group: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    groups: tuple[str, ...] = ()
    notes: tuple[Fault, ...] = ()
    duplicates: Duplicates = "last"

    def __post_init__(self) -> None:
        n = len(self.items)
        for name in ("target", "group"):
            if not len(getattr(self, name)):
                # The class is frozen, and the size of the default is known only now.
                object.__setattr__(self, name, np.full(n, UNKNOWN, dtype=np.int64))
        sizes = {
            "inputs": len(self.inputs),
            "annotations": self.annotations.num_items,
            "target": len(self.target),
            "split": n if self.split is None else len(self.split),
            "masks": n if self.masks is None else self.masks.num_items,
            "group": len(self.group),
        }
        if wrong := {k: v for k, v in sizes.items() if v != n}:
            raise DataError(f"{self.name}: {n} items, but other row counts in {wrong}.")
        if self.group.max(initial=UNKNOWN) >= len(self.groups):
            raise DataError(f"{self.name}: group {self.group.max()} of an item, but {len(self.groups)} group names.")
        if self.masks is not None:
            self.masks.check_shape(self.inputs.shape)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.annotations.classes

    def __len__(self) -> int:
        return len(self.items)

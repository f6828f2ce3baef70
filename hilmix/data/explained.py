"""Build data with masks in which each item has one label, its class: the common part of sources of explanations."""

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import Annotations, IntArray
from hilmix.data.inputs import Inputs
from hilmix.data.items import AnnotatedData
from hilmix.data.masks import Masks

ANNOTATOR = "label"
"""Name of the annotator of the original labels."""


def build_explained_data(
    name: str,
    inputs: Inputs,
    target: IntArray,
    split: NDArray[np.str_],
    *,
    items: tuple[str, ...],
    classes: tuple[str, ...],
    licence: str,
    pictures: Inputs,
    painter: str,
    explained: IntArray | None = None,
    picture: IntArray | None = None,
    group: IntArray | None = None,
    groups: tuple[str, ...] = (),
) -> AnnotatedData:
    """Return the data; the one annotation of every item, by :data:`ANNOTATOR`, is its target.

    Args:
        name: of the data.
        inputs: N inputs.
        target: (N,) classes, all known.
        split: (N,) of ``train``, ``val``, ``test``.
        items: N names.
        classes: K names.
        licence: as the authors state it.
        pictures: the masks.
        painter: name of the annotator who gave them.
        explained: (M,) rows of the items that have a mask; default: all.
        picture: (M,) rows of ``pictures``; default: one after the other.
        group: (N,) group of the items; default: the target.
        groups: G names; default: the classes.
    """
    rows = np.arange(len(target))
    masked = rows if explained is None else explained
    return AnnotatedData(
        name=name,
        items=items,
        inputs=inputs,
        annotations=Annotations.build(
            rows, np.zeros(len(rows)), target, num_items=len(rows), classes=classes, annotators=[ANNOTATOR]
        ),
        target=target,
        split=split,
        licence=licence,
        masks=Masks.build(
            masked, np.zeros(len(masked)), pictures, num_items=len(rows), annotators=[painter], picture=picture
        ),
        group=target if group is None else group,
        groups=groups or classes,
    )


def draw_split(total: int, train: float, val: float) -> NDArray[np.str_]:
    """Return (total,): shares of the items, drawn with a fixed seed as in the robust_mlx release (42)."""
    order = np.random.default_rng(42).permutation(total)
    split = np.full(total, "test", dtype="<U5")
    # Each part is cut off by itself, as in the release; the two shares added first would round to another size.
    first, second = int(train * total), int(train * total) + int(val * total)
    split[order[:first]], split[order[first:second]] = "train", "val"
    return split

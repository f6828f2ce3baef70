"""Data of which every item has its class as label, and some a mask."""

import numpy as np

from hilmix.data.explained import ANNOTATOR, build_explained_data, draw_split
from hilmix.data.inputs import ArrayInputs


def test_labels_masks_and_groups() -> None:
    target = np.array([1, 0, 1])
    data = build_explained_data(
        "toy",
        ArrayInputs(np.zeros((3, 2)), "vector"),
        target,
        np.array(["train", "val", "test"]),
        items=tuple("abc"),
        classes=("x", "y"),
        licence="CC0",
        pictures=ArrayInputs(np.eye(2), "vector"),
        painter="ann",
        explained=np.array([2, 1]),
    )
    assert data.annotations.annotators == (ANNOTATOR,)
    assert data.annotations.label.tolist() == data.group.tolist() == target.tolist()
    assert data.groups == ("x", "y")
    assert data.masks is not None
    assert data.masks.fetch(np.arange(3)).tolist() == [[0, 0], [0, 1], [1, 0]]


def test_the_split_is_that_of_the_releases() -> None:
    """Salient ImageNet is shuffled by ``permuted``, the others by ``permutation``: the same order."""
    split = draw_split(445, 0.6, 0.15)
    order = np.random.default_rng(42).permuted(list(range(445)))
    assert set(np.flatnonzero(split == "train")) == set(order[:267])
    assert set(np.flatnonzero(split == "val")) == set(order[267:333])
    assert (split == "test").sum() == 112, "nothing is left over"

"""What the masks hold, against counts by hand."""

import numpy as np
import pytest

from hilmix.annotations import Annotations
from hilmix.data import AnnotatedData, ArrayInputs
from hilmix.data.folder.mask_summary import count_group_sizes, summarise_masks
from hilmix.data.masks import Masks

PICTURES = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0.5, 1, 0, 0]])


def masks(item, annotator, picture) -> Masks:
    shown = ArrayInputs(PICTURES, "vector")
    return Masks.build(item, annotator, shown, num_items=6, annotators=["a", "b", "c"], picture=picture)


def test_by_hand() -> None:
    found = summarise_masks(masks([0, 0, 0, 3, 3, 5], [0, 1, 2, 0, 1, 0], [0, 1, 3, 2, 2, 0]))
    assert (found.masks, found.items, found.annotators, found.per_item, found.empty) == (6, 3, 3, (1, 3), 2)
    assert found.marked == pytest.approx((0.5 + 0.25 + 0.375 + 0 + 0 + 0.5) / 6)
    pairs = [1 / 2, 1.5 / 2, 0.5 / 2, 1.0]  # item 0: (0, 1), (0, 3), (1, 3); item 3: both mark nothing
    assert found.overlap == pytest.approx(np.mean(pairs))


def test_no_annotator_twice_and_none_at_all() -> None:
    assert np.isnan(summarise_masks(masks([0, 1], [0, 0], [0, 1])).overlap)
    found = summarise_masks(masks([], [], []))
    assert (found.masks, found.items, found.annotators, found.per_item) == (0, 0, 0, (0, 0))
    assert np.isnan(found.marked)


def test_group_sizes_by_split() -> None:
    data = AnnotatedData(
        "toy",
        tuple("abcdef"),
        ArrayInputs(np.zeros((6, 4)), "vector"),
        Annotations.from_dense([[0]] * 6),
        split=np.array(["train", "train", "train", "test", "test", "train"]),
        group=np.array([0, 1, 0, 1, -1, 0]),
        groups=("x", "y"),
    )
    table = count_group_sizes(data)
    assert table.index.tolist() == ["x", "y", "none"]
    assert table.to_dict("list") == {"train": [3, 1, 0], "test": [0, 1, 1]}
    assert table.to_numpy().sum() == len(data)


def test_the_former_name_of_the_number_of_annotators_warns() -> None:
    found = summarise_masks(masks([0, 0], [0, 2], [0, 1]))
    with pytest.warns(DeprecationWarning, match=r"people .*annotators"):
        assert found.people == found.annotators == 2

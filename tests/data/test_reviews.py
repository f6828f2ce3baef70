"""Items to review and the labels that return: pixels as stored, faults all named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilmix.annotations import Annotations
from hilmix.data import AnnotatedData, ArrayInputs, read_folder, write_folder
from hilmix.data.reviews import add_reviews, take_items
from hilmix.errors import DataError


def photos(*, exchangeable: bool = False) -> AnnotatedData:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    votes = Annotations.build(
        [0, 0, 2, 3, 5],
        [0, 1, 0, 1, 0],
        [0, 1, 1, 0, 1],
        num_items=6,
        classes=["cat", "dog"],
        annotators=["ann", "bob"],
        seconds=[1, 2, 3, 4, 5],
        exchangeable=exchangeable,
    )
    return AnnotatedData("photos", tuple("abcdef"), ArrayInputs(pixels, "image"), votes)


def test_items_keep_pixels_and_labels_in_the_order_asked_for(tmp_path: Path) -> None:
    data, rows = photos(), np.array([5, 0])
    found = read_folder(write_folder(take_items(data, rows), tmp_path / "review"))
    assert found.items == ("f", "a")
    np.testing.assert_array_equal(found.inputs.fetch(np.arange(2)), data.inputs.fetch(rows))
    assert list(zip(found.annotations.item, found.annotations.label, strict=True)) == [(0, 1), (1, 0), (1, 1)]


def test_a_reviewer_who_is_known_replaces_own_labels() -> None:
    reviews = pd.DataFrame({"item": ["a", "e"], "reviewed": ["dog", "cat"]})
    notes = add_reviews(photos(), reviews, reviewer="ann").annotations
    rows = list(zip(notes.item, notes.annotator, notes.label, strict=True))
    assert sorted(rows) == [(0, 0, 1), (0, 1, 1), (2, 0, 1), (3, 1, 0), (4, 0, 0), (5, 0, 1)]
    assert notes.seconds is not None
    assert np.isnan(notes.seconds).sum() == 2


def test_anonymous_annotators_take_targets_alone() -> None:
    reviews = pd.DataFrame({"item": ["a"], "reviewed": ["dog"]})
    with pytest.raises(DataError, match="anonymous"):
        add_reviews(photos(exchangeable=True), reviews, reviewer="eva")
    assert add_reviews(photos(exchangeable=True), reviews).target.tolist() == [1, -1, -1, -1, -1, -1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"item": ["a"]}, "reviewed"),
        ({"item": ["z"], "reviewed": ["cow"]}, "item 'z' is unknown; 'cow' is none of the classes cat, dog"),
        ({"item": ["a"], "reviewed": [""]}, "at least one item"),
    ],
)
def test_reviews_that_do_not_fit_are_refused(columns: dict[str, list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        add_reviews(photos(), pd.DataFrame(columns), reviewer="eva")

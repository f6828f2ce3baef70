"""Masks of several people: a sparse table of pictures, aggregated per item."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from hilmix.annotations import Annotations
from hilmix.data import AnnotatedData, ArrayInputs
from hilmix.data.masks import Masks
from hilmix.errors import ConfigError, DataError

N, PEOPLE = 5, ("ann", "bob", "cyd")


def pictures(number: int, *, floats: bool = True, channels: int = 1) -> np.ndarray:
    array = np.random.default_rng(number).integers(0, 256, (number, 4, 3, channels), dtype=np.uint8)
    return (array / 255).astype(np.float32) if floats else array


def masks(pairs=((3, 1), (0, 2), (3, 0)), *, floats: bool = True, **settings) -> Masks:
    item, annotator = np.array(pairs, dtype=int).reshape(-1, 2).T
    settings = {"num_items": N, "annotators": PEOPLE, **settings}
    return Masks.build(item, annotator, ArrayInputs(pictures(len(item), floats=floats), "image"), **settings)


@given(
    st.lists(st.tuples(st.integers(0, N - 1), st.integers(0, 2)), unique=True, min_size=1),
    st.lists(st.integers(0, N - 1), min_size=1, max_size=8),
    st.booleans(),
)
def test_union_and_agreement_by_loops(pairs, index, floats) -> None:
    table, drawn = masks(pairs, floats=floats), pictures(len(pairs))[..., 0]
    union, agreement = (table.fetch(np.array(index), how) for how in ("union", "agreement"))
    assert union.dtype == (torch.float32 if floats else torch.uint8)
    assert union.shape == agreement.shape == (len(index), 1, 4, 3)
    for row, item in enumerate(index):
        own = [drawn[m] for m, (i, _) in enumerate(pairs) if i == item] or [np.zeros((4, 3))]
        np.testing.assert_allclose(union[row, 0] / (1 if floats else 255), np.max(own, 0), atol=1e-6)
        shares = agreement[row, 0] / (1 if agreement.is_floating_point() else 255)
        np.testing.assert_allclose(shares, np.mean(own, 0), atol=1e-6)
    assert table.explained.tolist() == [any(i == n for i, _ in pairs) for n in range(N)]


def test_agreement_is_bytes_only_without_disagreement() -> None:
    assert masks(((3, 1), (0, 2)), floats=False).fetch(np.arange(N), "agreement").dtype == torch.uint8
    # also for a batch of items with one mask: batches of one data set are of one type
    assert masks(floats=False).fetch(np.array([0]), "agreement").dtype == torch.float32


def test_which_items_have_something_marked() -> None:
    pictures = ArrayInputs(np.array([[0, 0], [0, 9], [0, 0], [1, 0]], dtype=np.uint8), "vector")
    masks = Masks.build([0, 1, 3, 3], [0, 0, 0, 1], pictures, num_items=5, annotators=["ann", "bob"])
    assert masks.explained.tolist() == [True, True, False, True, False]
    for batch in (1, 2, 5):
        assert masks.marks(np.array([4, 3, 2, 1, 0, 1]), batch=batch).tolist() == [
            False,
            True,
            False,
            True,
            False,
            True,
        ]


def test_masks_may_share_a_picture_and_be_of_vectors() -> None:
    shown = ArrayInputs(np.array([[1.0, 0.0], [0.0, 0.5]]), "vector")
    table = Masks.build([2, 0, 1], [0, 0, 0], shown, num_items=4, annotators=["label"], picture=[1, 0, 1])
    assert table.fetch(np.arange(4)).tolist() == [[1, 0], [0, 0.5], [0, 0.5], [0, 0]]


def test_people_who_gave_no_mask_of_an_item_do_not_count() -> None:
    shown = ArrayInputs(np.array([[1.0], [0.0], [1.0]]), "vector")
    table = Masks.build([0, 0, 1], [0, 1, 2], shown, num_items=2, annotators=PEOPLE)
    assert table.fetch(np.arange(2), "agreement").tolist() == [[0.5], [1.0]]


@pytest.mark.parametrize(
    ("pairs", "settings", "message"),
    [
        (((9, 0),), {}, r"`item\[0\]`.*got 9\."),
        (((0, 7),), {}, r"`annotator\[0\]`.*got 7\."),
        (((0, 0),), {"picture": [4]}, r"`row\[0\]`.*got 4\."),
        (((0, 0), (1, 0)), {"picture": [0]}, "2 items, 2 annotators and 1 pictures"),
        (((0, 1), (2, 1), (0, 1)), {}, "item number 0.*'bob'"),
    ],
)
def test_wrong_tables_are_refused(pairs, settings, message) -> None:
    with pytest.raises(DataError, match=message):
        masks(pairs, **settings)


def test_an_unknown_aggregation_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`how`.*'union', 'agreement'.*'mean'"):
        masks().fetch(np.arange(2), "mean")


def data(inputs: np.ndarray, **settings) -> AnnotatedData:
    kind = "vector" if inputs.ndim == 2 else "image"
    return AnnotatedData(
        "toy", tuple("abcde"), ArrayInputs(inputs, kind), Annotations.from_dense([[0]] * N), **settings
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_masks_have_one_channel_or_those_of_the_inputs(channels) -> None:
    shown = ArrayInputs(pictures(1, channels=channels), "image")
    table = Masks.build([0], [0], shown, num_items=N, annotators=["ann"])
    assert data(np.zeros((N, 4, 3, 3)), masks=table).masks is table
    for wrong in (np.zeros((N, 4, 4, 3)), np.zeros((N, 4, 3, 2)) if channels == 3 else np.zeros((N, 12))):
        with pytest.raises(DataError, match=r"masks of inputs.*got \(\d, 4, 3\)"):
            data(wrong, masks=table)


def test_masks_and_groups_belong_to_the_items() -> None:
    inputs = np.zeros((N, 4, 3))
    with pytest.raises(DataError, match=r"5 items, but other row counts in \{'masks': 6\}"):
        data(inputs, masks=masks(num_items=N + 1))
    with pytest.raises(DataError, match=r"\{'group': 2\}"):
        data(inputs, group=np.zeros(2, dtype=int), groups=("a",))
    with pytest.raises(DataError, match="group 2 of an item, but 2 group names"):
        data(inputs, group=np.array([0, 1, 2, -1, -1]), groups=("a", "b"))
    assert data(inputs).group.tolist() == [-1] * N

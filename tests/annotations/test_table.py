"""The sparse annotation table: round trips, invariances, and every error message."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from hilmix.annotations import Annotations
from hilmix.errors import DataError

DENSE = arrays(np.int64, st.tuples(st.integers(1, 7), st.integers(1, 5)), elements=st.integers(-1, 3))


@st.composite
def tables(draw, soft=None):
    """Any legal table: repeated pairs, empty items and silent annotators included."""
    n, a, k, size = draw(st.integers(1, 6)), draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(0, 12))
    column = lambda top: draw(st.lists(st.integers(0, top - 1), min_size=size, max_size=size))  # noqa: E731
    numbers = st.one_of(st.just(np.nan), st.floats(0, 1, width=32))
    optional = lambda: draw(st.none() | st.lists(numbers, min_size=size, max_size=size))  # noqa: E731
    probs = None
    if soft or (soft is None and draw(st.booleans())):
        probs = draw(arrays(np.float64, (size, k), elements=st.floats(0.015625, 1)))
    return Annotations.build(
        column(n),
        column(a),
        column(k) if probs is None else None,
        num_items=n,
        classes=[f"class {i}" for i in range(k)],
        annotators=[f"who {i}" for i in range(a)],
        probs=probs,
        confidence=optional(),
        seconds=optional(),
    )


def same(one: Annotations, other: Annotations) -> None:
    assert (one.num_items, one.classes, one.annotators) == (other.num_items, other.classes, other.annotators)
    assert one.exchangeable == other.exchangeable
    for name in ("item", "annotator", "label", "probs", "confidence", "seconds"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None), name
        if left is not None:
            np.testing.assert_allclose(left, right, rtol=1e-6, err_msg=name)


@given(tables())
def test_frames_round_trip(table):
    names = [f"item {i}" for i in range(table.num_items)]
    back = Annotations.from_frame(
        table.to_frame(names),
        items=names,
        classes=table.classes,
        annotators=table.annotators,
        duplicates="keep",
    )
    same(table, back)


@given(DENSE)
def test_dense_matrices_round_trip(dense):
    table = Annotations.from_dense(dense, classes=4)
    np.testing.assert_array_equal(table.to_dense(), dense)
    assert table.num_pairs == (dense >= 0).sum()


@given(arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.integers(0, 5)))
def test_counts_round_trip(counts):
    table = Annotations.from_counts(counts)
    np.testing.assert_array_equal(table.counts(), counts)
    assert table.exchangeable
    assert table.annotators == ("crowd",)


@given(tables(), st.randoms(use_true_random=False))
def test_order_of_the_rows_does_not_matter(table, random):
    order = list(range(table.num_pairs))
    random.shuffle(order)
    shuffled = Annotations.build(
        table.item[order],
        table.annotator[order],
        table.label[order],
        num_items=table.num_items,
        classes=table.classes,
        annotators=table.annotators,
    )
    assert (np.diff(shuffled.item) >= 0).all()
    pairs = [sorted(zip(t.item, t.annotator, t.label, strict=True)) for t in (table, shuffled)]
    assert pairs[0] == pairs[1]
    np.testing.assert_array_equal(table.indptr, shuffled.indptr)


@given(tables())
def test_indptr_slices_the_annotations_of_an_item(table):
    assert table.indptr[0] == 0
    assert table.indptr[-1] == table.num_pairs
    for n in range(table.num_items):
        assert (table.item[table.indptr[n] : table.indptr[n + 1]] == n).all()
    np.testing.assert_array_equal(table.labels_per_item, np.bincount(table.item, minlength=table.num_items))


@given(tables(), st.data())
def test_gather_is_the_concatenation_of_slices(table, data):
    wanted = data.draw(st.lists(st.integers(0, table.num_items - 1), max_size=8))
    row, position = table.gather(wanted)
    slow = [(b, p) for b, n in enumerate(wanted) for p in range(table.indptr[n], table.indptr[n + 1])]
    assert list(zip(row.tolist(), position.tolist(), strict=True)) == slow


@given(tables(), st.data())
def test_subset_keeps_the_annotations_of_some_items(table, data):
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=table.num_items, max_size=table.num_items)))
    part = table.subset(keep)
    assert part.num_items == table.num_items
    np.testing.assert_array_equal(part.labels_per_item, np.where(keep, table.labels_per_item, 0))
    np.testing.assert_array_equal(part.label, table.label[keep[table.item]])
    same(part, table.subset(np.flatnonzero(keep)))


@given(tables(soft=True))
def test_soft_answers_are_distributions_and_label_is_their_argmax(table):
    np.testing.assert_allclose(table.probs.sum(1), 1, rtol=1e-5)
    assert (table.probs[np.arange(table.num_pairs), table.label] >= table.probs.max(1, initial=0) - 1e-6).all()
    np.testing.assert_allclose(table.counts().sum(1), table.labels_per_item, rtol=1e-5)


@given(tables(soft=False))
def test_counts_are_a_plain_tally(table):
    slow = np.zeros((table.num_items, table.num_classes))
    for item, label in zip(table.item, table.label, strict=True):
        slow[item, label] += 1
    np.testing.assert_array_equal(table.counts(), slow)


def test_soft_answers_are_normalised_and_a_given_label_is_kept_on_ties():
    table = Annotations.build([0], [0], [1], num_items=1, classes=2, annotators=1, probs=[[3, 3]])
    assert table.probs.tolist() == [[0.5, 0.5]]
    assert table.label.tolist() == [1]


def test_annotators_of_a_frame_are_sorted_numbers_first():
    frame = pd.DataFrame({"item": ["a"] * 4, "annotator": ["10", "bob", "9", "ann"], "label": ["x"] * 4})
    table = Annotations.from_frame(frame, items=["a"], classes=["x"])
    assert table.annotators == ("9", "10", "ann", "bob")


def test_memory_does_not_grow_with_annotators():
    table = Annotations.build([0], [999_999], [0], num_items=2, classes=2, annotators=range(1_000_000))
    assert sum(getattr(table, name).nbytes for name in ("item", "annotator", "label", "indptr")) < 100


def test_the_table_is_immutable():
    table = Annotations.from_dense([[0]])
    with pytest.raises(AttributeError):
        table.num_items = 3


def build(**changes):
    arguments = {"item": [0, 1], "annotator": [0, 0], "label": [0, 1]} | changes
    return Annotations.build(**({"num_items": 2, "classes": ["x", "y"], "annotators": 1} | arguments))


def from_columns(columns, items=("a", "b")):
    cells = [["a", "u", "x", "y"][: len(columns)]]
    return Annotations.from_frame(pd.DataFrame(cells, columns=columns), items=items, classes=["x", "y"])


def frame(**changes):
    columns = {"item": ["a", "b"], "annotator": ["u", "v"], "label": ["x", "y"]} | changes
    table = pd.DataFrame({k: v for k, v in columns.items() if v is not None})
    return Annotations.from_frame(table, items=["a", "b"], classes=["x", "y"], annotators=["u", "v"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build(item=[0, 2]), r"`item\[1\]` .*0, 1.*got 2\."),
        (lambda: build(item=[0, -1]), r"`item\[1\]` .*got -1\."),
        (lambda: build(annotator=[0, 1]), r"`annotator\[1\]` .*0, 0.*got 1\."),
        (lambda: build(label=[2, 0]), r"`label\[0\]` .*0, 1.*got 2\."),
        (lambda: build(label=[0.5, 0]), "label must hold whole numbers, got dtype float64"),
        (lambda: build(label=None), "Annotations need a label or probs"),
        (lambda: build(label=[0]), "label has 1 rows, item has 2"),
        (lambda: build(probs=[[1], [1]]), "probs has 1 columns, expected one per class, 2"),
        (lambda: build(probs=[[1, 0], [0, 0]]), r"probs, row 1: \[0\.0, 0\.0\] is not a distribution"),
        (lambda: build(probs=[[1, 0], [2, -1]]), "probs, row 1: .* is not a distribution"),
        (lambda: build(probs=[[np.nan, 0], [0, 1]]), "probs, row 0: .* is not a distribution"),
        (lambda: build(confidence=[0, 1.5]), r"`confidence\[1\]` .*0, 1.*got 1\.5\."),
        (lambda: build(seconds=[-1, 0]), r"`seconds\[0\]` .*got -1\.0\."),
        (lambda: frame(label=None), r"'label': .*column.*\['item', 'annotator'\]"),
        (lambda: frame(annotator=None), r"'annotator': .*column"),
        (lambda: frame(label=None, prob_x=[1, 0]), r"'prob_y': .*column"),
        (lambda: frame(item=["a", "c"]), "'item', row 1: 'c' is unknown.*'a', 'b'"),
        (lambda: frame(annotator=["w", "u"]), "'annotator', row 0: 'w' is unknown.*'u', 'v'"),
        (lambda: frame(label=["x", "z"]), "'label', row 1: 'z' is unknown.*'x', 'y'"),
        (lambda: Annotations.from_dense([0, 1]), r"\(N, A\).*shape \(2,\)"),
        (lambda: Annotations.from_dense([[0.5]]), "row 0, column 0: 0.5"),
        (lambda: Annotations.from_dense([[0, -2]]), "row 0, column 1: -2.*missing"),
        (lambda: Annotations.from_dense([["a"]]), "dtype <U1"),
        (lambda: from_columns(["item", "annotator", "label", "label"]), "column 'label'"),
        (lambda: from_columns(["item", "annotator", "label"], items=["a", "b", "a"]), "item 'a'"),
        (lambda: frame(confidence=[1, "high"]), "'confidence', row 1.*'high'"),
        (lambda: frame(label=None, prob_x=["-", 1], prob_y=[0, 0]), "'prob_x', row 0.*'-'"),
        (lambda: Annotations.from_counts([[1, -1]]), "non-negative whole numbers"),
        (lambda: Annotations.from_counts([[0.5]]), "non-negative whole numbers"),
        (lambda: Annotations.from_counts([1]), "non-negative whole numbers"),
        (lambda: build(item=[0, 0]).to_dense(), "cannot hold several labels of one annotator"),
        (lambda: Annotations.from_counts([[1, 0]]).to_dense(), "cannot hold several labels of one annotator"),
    ],
)
def test_bad_input_is_one_clear_error(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_repeated_pairs_are_legal():
    assert build(item=[0, 0]).counts().tolist() == [[1, 1], [0, 0]]


def test_long_vocabularies_are_cut_in_the_message():
    with pytest.raises(DataError, match=r"'0', '1', '2', '3', '4', '5', '6', '7', \.\.\."):
        Annotations.from_frame(
            pd.DataFrame({"item": ["a"], "annotator": ["u"], "label": ["12"]}),
            items=["a"],
            classes=[str(k) for k in range(9)],
        )


@pytest.mark.parametrize("column", ["item", "annotator", "label"])
@pytest.mark.parametrize("annotators", [None, ["u", "v"]])
def test_empty_names_are_refused(column, annotators):
    columns = {"item": ["a", "b"], "annotator": ["u", "v"], "label": ["x", "y"]}
    columns[column][1] = None
    with pytest.raises(DataError, match=f"'{column}', row 1: .*empty"):
        Annotations.from_frame(pd.DataFrame(columns), items=["a", "b"], classes=["x", "y"], annotators=annotators)


def test_names_of_exchangeable_annotators_are_not_kept_apart() -> None:
    votes = Annotations.build([0, 0, 1], [0, 1, 1], [0, 1, 0], num_items=2, classes=2, annotators=3, exchangeable=True)
    assert votes.num_annotators == 1
    assert votes.annotator.tolist() == [0, 0, 0]


def test_class_names_as_labels_are_reported_where_names_belong() -> None:
    with pytest.raises(DataError, match=r"label must hold whole numbers, got .*cat.*from_frame"):
        Annotations.build([0], [0], ["cat"], num_items=1, classes=["cat"], annotators=1)


@pytest.mark.parametrize(
    ("dense", "missing"),
    [
        ([[0, 1, -1], [3, -1, 0]], (-1,)),
        ([[0.0, 1.0, np.nan], [3.0, np.nan, 0.0]], (-1,)),
        ([[0, 1, -99], [3, -1, 0]], (-1, -99)),
        ([[0, 1, 9], [3, 9, 0]], (9,)),
    ],
)
def test_what_is_no_label_in_a_matrix(dense, missing):
    table = Annotations.from_dense(dense, missing=missing)
    assert table.classes == ("0", "1", "3")
    assert table.to_dense().tolist() == [[0, 1, -1], [2, -1, 0]]
    again = pd.DataFrame(
        [(f"i{i}", a, value) for i, row in enumerate(dense) for a, value in enumerate(row) if value == value],
        columns=["item", "annotator", "label"],
    )
    same(
        table,
        Annotations.from_frame(
            again,
            items=["i0", "i1"],
            classes=["0", "1", "3"],
            annotators=["0", "1", "2"],
            missing=[str(number) for number in missing],
        ),
    )


@pytest.mark.parametrize("label", [[1.0, 0.0], ["1.0", "0"], [1, 0], pd.array([1, 0], dtype="Int64")])
def test_frames_of_numbers_are_read_as_tables_are(label):
    table = pd.DataFrame({"item": [7.0, 8.0], "annotator": [True, False], "label": label})
    votes = Annotations.from_frame(table, items=["7", "8"], classes=["0", "1"])
    assert votes.item.tolist() == [0, 1]
    assert votes.annotators == ("False", "True")
    assert votes.label.tolist() == [1, 0]


def test_repeats_in_a_frame():
    table = pd.DataFrame({"item": ["a", "a"], "annotator": ["u", "u"], "label": ["x", "y"]})

    def read(**settings):
        return Annotations.from_frame(table, items=["a"], classes=["x", "y"], **settings)

    assert read().label.tolist() == [1]
    assert read(duplicates="first").label.tolist() == [0]
    assert read(duplicates="keep").label.tolist() == [0, 1]
    assert read(exchangeable=True).num_pairs == 2
    assert read(duplicates="keep").distinct().label.tolist() == [1]
    with pytest.raises(DataError, match="repeat"):
        read(duplicates="error")
    with pytest.raises(DataError, match="newest"):
        read(duplicates="newest")


def test_a_label_that_contradicts_its_probabilities_is_refused():
    with pytest.raises(DataError, match="label, row 1: 0"):
        build(item=[0, 1], label=[0, 0], probs=[[0.5, 0.5], [0.1, 0.9]])
    assert build(item=[0, 1], label=[1, 1], probs=[[0.5, 0.5], [0.1, 0.9]]).label.tolist() == [1, 1]


def test_dense_tables_of_pandas_have_missing_cells():
    table = pd.DataFrame({"ann": [2**53 + 1, None], "bob": [None, 2**53]}, dtype="Int64")
    found = Annotations.from_dense(table)
    assert found.classes == (str(2**53), str(2**53 + 1))
    assert (found.item.tolist(), found.annotator.tolist(), found.label.tolist()) == ([0, 1], [0, 1], [1, 0])


@pytest.mark.parametrize("missing", [-9, [-9], ["-9"], ["skip", "-9.0"]])
def test_numbers_for_missing_may_be_written_as_in_dataset_yaml(missing):
    assert Annotations.from_dense([[0, -9], [1, 0]], missing=missing).label.tolist() == [0, 1, 0]


@pytest.mark.parametrize("counts", [[["a", 1]], [[np.inf, 1]], [[np.nan, 1]]])
def test_counts_that_are_no_numbers_are_refused(counts):
    with pytest.raises(DataError):
        Annotations.from_counts(counts)


def test_masked_entries_of_a_matrix_are_no_labels():
    masked = np.ma.masked_array([[0, 1], [1, 1]], mask=[[False, True], [False, False]])
    votes = Annotations.from_dense(masked)
    assert (votes.item.tolist(), votes.annotator.tolist(), votes.label.tolist()) == ([0, 1, 1], [0, 0, 1], [0, 1, 1])
    counts = np.ma.masked_array([[2, 1], [0, 3]], mask=[[True, False], [False, False]])
    assert Annotations.from_counts(counts).counts().tolist() == [[0, 1], [0, 3]]

"""The data folder: round trips, what may be left out, and one clear error for everything that is wrong."""

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.data.folder import read_folder, write_folder
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError

ITEMS = "item,split,target,path\na,train,cat,a.png\nb,train,dog,b.png\nc,val,,c.png\n"
VOTES = "item,annotator,label\na,ann,cat\na,bob,dog\nb,bob,dog\n"
META = "name: tiny\ninput: image\nclasses: [cat, dog]\nlicence: CC0\n"


@pytest.fixture
def folder(tmp_path):
    """``folder(items=..., votes=..., meta=..., annotators=..., inputs=...)`` writes a data folder."""
    root = tmp_path / "mine"
    root.mkdir()

    def write(items=ITEMS, votes=VOTES, meta=META, annotators=None, inputs=None):
        for name, text in (
            ("items.csv", items),
            ("annotations.csv", votes),
            ("dataset.yaml", meta),
            ("annotators.csv", annotators),
        ):
            if text is not None:
                (root / name).write_text(text)
        if inputs is not None:
            np.save(root / "inputs.npy", inputs)
        for i, name in enumerate("abc"):
            Image.new("RGB", (4, 4), (i, i, i)).save(root / f"{name}.png")
        return root

    return write


def test_a_minimal_folder_is_read(folder):
    data = read_folder(folder())
    assert (data.name, data.licence, data.items) == ("tiny", "CC0", ("a", "b", "c"))
    assert data.classes == ("cat", "dog")
    assert data.target.tolist() == [0, 1, -1]
    assert data.split.tolist() == ["train", "train", "val"]
    assert data.annotations.annotators == ("ann", "bob")
    assert data.annotations.labels_per_item.tolist() == [2, 1, 0]
    assert data.inputs.fetch(np.array([2])).unique().tolist() == [2]


def test_name_defaults_to_the_folder_and_most_things_may_be_left_out(folder):
    data = read_folder(folder(items="item,path\na,a.png\nb,b.png\nc,c.png\n", meta="input: image\n"))
    assert data.name == "mine"
    assert data.split is None
    assert (data.target == -1).all()
    assert data.classes == ("cat", "dog")  # from the labels


def test_integer_labels_name_the_classes_that_occur(folder):
    votes = "item,annotator,label\na,1,3\nb,2,0\n"
    data = read_folder(folder(items="item,path\na,a.png\nb,b.png\n", votes=votes, meta="input: image\n"))
    assert data.classes == ("0", "3")
    assert data.annotations.label.tolist() == [1, 0]


def test_numbers_with_leading_zeros_are_names(folder):
    votes = "item,annotator,label\na,1,01\nb,2,02\n"
    data = read_folder(folder(items="item,path\na,a.png\nb,b.png\n", votes=votes, meta="input: image\n"))
    assert data.classes == ("01", "02")


def test_integer_columns_with_gaps_keep_their_names(folder):
    items = "item,target,path\n1,2,a.png\n2,,b.png\n10,0,c.png\n"
    data = read_folder(folder(items=items, votes="item,annotator,label\n10,7,1\n", meta="input: image\n"))
    assert data.items == ("1", "2", "10")
    assert data.target.tolist() == [2, -1, 0]
    assert data.annotations.item.tolist() == [2]


def test_listed_classes_may_look_like_missing_values(folder):
    votes = "item,annotator,label\na,ann,None\nb,bob,nan\n"
    meta = "input: image\nclasses: [None, nan]\n"
    data = read_folder(folder(items="item,path,target\na,a.png,nan\nb,b.png,NA\n", votes=votes, meta=meta))
    assert data.classes == ("None", "nan")
    assert data.annotations.label.tolist() == [0, 1]
    assert data.target.tolist() == [1, -1]


def test_trailing_commas_do_not_shift_columns(folder):
    data = read_folder(folder(items="item,path\na,a.png,\nb,b.png,\n", meta="input: image\n"))
    assert data.items == ("a", "b")


def test_soft_answers_confidence_and_seconds(folder):
    votes = "item,annotator,prob_cat,prob_dog,confidence,seconds\na,ann,3,1,0.5,2.5\nb,ann,0,1,,\n"
    table = read_folder(folder(votes=votes)).annotations
    np.testing.assert_allclose(table.probs, [[0.75, 0.25], [0, 1]])
    assert table.label.tolist() == [0, 1]
    np.testing.assert_array_equal(table.confidence, np.float32([0.5, np.nan]))
    np.testing.assert_array_equal(table.seconds, np.float32([2.5, np.nan]))


def test_classes_of_soft_answers_come_from_the_columns(folder):
    votes = "item,annotator,prob_dog,prob_cat\na,ann,3,1\n"
    data = read_folder(folder(items="item,path\na,a.png\n", votes=votes, meta="input: image\n"))
    assert data.classes == ("dog", "cat")


def test_vectors_rows_and_annotator_features(folder):
    root = folder(
        items="item,row\na,2\nb,0\nc,2\n",
        meta="input: vector\n",
        inputs=np.arange(6.0).reshape(3, 2),
        annotators="annotator,age,fee\nbob,40,2\nann,30,1\n",
    )
    data = read_folder(root)
    assert data.inputs.fetch(np.arange(3)).tolist() == [[4, 5], [0, 1], [4, 5]]
    assert data.annotator_features.tolist() == [[30, 1], [40, 2]]  # in the order of the annotators


def test_image_size_resizes_files(folder):
    assert read_folder(folder(), image_size=8).inputs.shape == (3, 8, 8)


def test_exchangeable_annotators(folder):
    assert read_folder(folder(meta=META + "identity: exchangeable\n")).annotations.exchangeable


@st.composite
def datasets(draw):
    n, a, k, size = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 8))
    kind = draw(st.sampled_from(["image", "vector"]))
    shape = (n, 3) if kind == "vector" else (n, 2, 2, *draw(st.sampled_from([(), (3,)])))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    names = st.lists(
        st.text("ab 01é,\"'", min_size=1, max_size=4).map(str.strip).filter(bool), min_size=k, max_size=k, unique=True
    )
    annotator = np.concatenate([np.arange(a), rng.integers(0, a, size)])  # every annotator has a label
    number = len(annotator)
    probs = rng.random((number, k)) + 0.01 if draw(st.booleans()) else None
    split = draw(st.none() | st.lists(st.sampled_from(["train", "val", "test"]), min_size=n, max_size=n))
    return AnnotatedData(
        name=draw(st.sampled_from(["mine", "0", "yes", "a: b"])),
        items=tuple(f"item {i}" for i in range(n)),
        inputs=ArrayInputs(
            rng.random(shape).astype(np.float32) if kind == "vector" else rng.integers(0, 256, shape, dtype=np.uint8),
            kind,
        ),
        annotations=Annotations.build(
            rng.integers(0, n, number),
            annotator,
            rng.integers(0, k, number) if probs is None else None,
            num_items=n,
            classes=draw(names),
            annotators=[str(i) for i in range(a)],
            probs=probs,
            confidence=np.where(rng.random(number) < 0.5, np.nan, 0.25) if draw(st.booleans()) else None,
        ),
        target=rng.integers(-1, k, n),
        split=None if split is None else np.array(split),
        licence=draw(st.sampled_from([None, "MIT", "none: stated"])),
        annotator_features=rng.random((a, 2)).astype(np.float32) if draw(st.booleans()) else None,
    )


@given(datasets())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_folders_round_trip(tmp_path, data):
    back = read_folder(write_folder(data, tmp_path / "round", overwrite=True))
    assert (back.name, back.items, back.classes, back.licence) == (data.name, data.items, data.classes, data.licence)
    np.testing.assert_array_equal(back.target, data.target)
    assert (back.split is None) == (data.split is None)
    if data.split is not None:
        assert back.split.tolist() == data.split.tolist()
    rows = np.arange(len(data))
    assert back.inputs.kind == data.inputs.kind
    np.testing.assert_array_equal(back.inputs.fetch(rows), data.inputs.fetch(rows))
    one, other = data.annotations, back.annotations
    assert one.annotators == other.annotators
    for name in ("item", "annotator", "probs", "confidence", "seconds"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None)
        if left is not None:
            np.testing.assert_allclose(left, right, rtol=1e-6)
    np.testing.assert_array_equal(one.label, other.label)
    if data.annotator_features is None:
        assert back.annotator_features is None
    else:
        np.testing.assert_array_equal(back.annotator_features, data.annotator_features)


def test_writing_in_blocks_keeps_every_row(tmp_path):
    array = np.random.default_rng(0).random((2_500, 3)).astype(np.float32)
    votes = Annotations.build([0], [0], [0], num_items=2_500, classes=1, annotators=1)
    data = AnnotatedData("big", tuple(f"i{n}" for n in range(2_500)), ArrayInputs(array, "vector"), votes)
    write_folder(data, tmp_path / "big")
    np.testing.assert_array_equal(np.load(tmp_path / "big" / "inputs.npy"), array)


@pytest.fixture
def small():
    return AnnotatedData("s", ("a",), ArrayInputs(np.zeros((1, 2)), "vector"), Annotations.from_dense([[0]]))


def test_an_existing_folder_is_not_overwritten_unless_asked(small, tmp_path):
    write_folder(small, tmp_path / "x")
    (tmp_path / "x" / "mark").touch()
    with pytest.raises(DataError, match=r"exists already. Remove it, or choose another folder"):
        write_folder(small, tmp_path / "x")
    assert (tmp_path / "x" / "mark").exists()
    write_folder(small, tmp_path / "x", overwrite=True)
    assert not (tmp_path / "x" / "mark").exists()


def test_an_interrupted_write_leaves_nothing_behind(small, tmp_path, monkeypatch):
    def interrupt(rows):
        raise KeyboardInterrupt

    monkeypatch.setattr(small.inputs, "fetch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_folder(small, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_written_tables_can_be_read_as_csv_too(small, tmp_path):
    root = write_folder(small, tmp_path / "x")
    for stem in ("items", "annotations"):
        pd.read_parquet(root / f"{stem}.parquet").to_csv(root / f"{stem}.csv", index=False)
        (root / f"{stem}.parquet").unlink()
    assert read_folder(root).items == ("a",)
    assert yaml.safe_load((root / "dataset.yaml").read_text())["input"] == "vector"


IMAGES = "item,path\na,a.png\n"
ONE = "item,annotator,label\na,ann,cat\n"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"meta": None}, r"dataset.yaml is missing\. It needs at least"),
        ({"meta": "name: ["}, "dataset.yaml.*not valid YAML"),
        ({"meta": "just text"}, "dataset.yaml.*keys and values"),
        ({"meta": "input: image\nclass: [a]\n"}, r"dataset.yaml, 'class'.*'classes'"),
        ({"meta": "name: x\n"}, "'input' is missing.*'image' or 'vector'"),
        ({"meta": "input: text\n"}, "'input' is 'text'"),
        ({"meta": "input: image\nidentity: known\n"}, "'identity' is 'known'.*'exchangeable'"),
        ({"meta": "input: image\nclasses: [cat, cat]\n"}, r"'classes'.*\['cat', 'cat'\].*different names"),
        ({"meta": "input: image\nclasses: cat\n"}, "'classes'.*'cat'.*list"),
        ({"meta": "input: image\nclasses: []\n"}, r"'classes'.*\[\].*list"),
        ({"items": None}, r"has no items.csv and no items.parquet"),
        ({"votes": None}, r"has no annotations.csv and no annotations.parquet"),
        ({"items": ""}, "Cannot read .*items.csv"),
        ({"items": "item,path\na,b,c,d\na,b\n"}, "Cannot read .*items.csv"),
        ({"items": "name,path\na,a.png\n"}, r"items.csv, 'item'.*missing.*\['name', 'path'\]"),
        ({"items": "item,path\na,a.png\n,b.png\n"}, "items.csv, column 'item', row 1: .*empty"),
        ({"items": "item,path\na,a.png\na,b.png\n"}, "items.csv, column 'item', row 1: .*'a'.*more than once"),
        ({"items": "item,path\n"}, "items.csv holds no items"),
        (
            {"items": "item,target,path\na,cow,a.png\nb,dog,b.png\n"},
            r"items.csv, column 'target', row 0: .*'cow'.*'cat', 'dog'",
        ),
        ({"items": "item,split,path\na,train,a.png\nb,valid,b.png\n"}, "row 1: split is 'valid'.*'train'"),
        ({"items": "item,split,path\na,train,a.png\nb,,b.png\n"}, "row 1: split is empty.*'train'"),
        ({"items": "item,path\na,a.png\nb,\n"}, "row 1: 'path' is empty"),
        ({"items": "item,path\na,a.png\nb,gone.png\n"}, "gone.png does not exist"),
        ({"items": "item\na\nb\n"}, "has no column 'path' and .*inputs.npy is missing"),
        (
            {"meta": "input: vector\nclasses: [cat, dog]\n"},
            "'path' names images, but dataset.yaml says 'input: vector'",
        ),
        ({"votes": "item,label\na,cat\n"}, r"annotations.csv, 'annotator': .*column"),
        ({"votes": "item,annotator\na,ann\n"}, r"annotations.csv, 'label': .*column"),
        ({"votes": "item,annotator,label\nz,ann,cat\n"}, "annotations.csv, column 'item', row 0: 'z' is unknown"),
        (
            {"votes": "item,annotator,label\na,ann,cow\n"},
            "annotations.csv, column 'label', row 0: 'cow' is unknown.*'cat', 'dog'",
        ),
        ({"votes": "item,annotator,label\na,,cat\n"}, "annotations.csv, column 'annotator', row 0: .*empty"),
        ({"votes": "item,annotator,label\na,ann,\n"}, "annotations.csv, column 'label', row 0: .*empty"),
        (
            {"votes": "item,annotator,label,confidence\na,ann,cat,high\n"},
            "column 'confidence', row 0: 'high' is not a number",
        ),
        ({"votes": "item,annotator,label,confidence\na,ann,cat,70\n"}, "'confidence', row 0: 70.0 is out of range"),
        ({"votes": "item,annotator,label,seconds\na,ann,cat,-1\n"}, "'seconds', row 0: -1.0 is out of range"),
        ({"votes": "item,annotator,prob_cat,prob_dog\na,ann,0,0\n"}, "'probs', row 0: .* is not a distribution"),
        ({"votes": "item,annotator,prob_cat,prob_dog\na,ann,1,\n"}, "'probs', row 0: .* is not a distribution"),
        ({"votes": "item,annotator,prob_cat\na,ann,1\n"}, r"annotations.csv, 'prob_dog': .*column"),
        ({"annotators": "who,age\nann,1\n"}, "annotators.csv, 'annotator': .*missing.*'who'"),
        ({"annotators": "annotator,age\nann,1\n"}, r"annotator 'bob' of the annotations has no row \(1 missing\)"),
        ({"annotators": "annotator,age\nann,old\nbob,1\n"}, "every column but 'annotator' must be numeric"),
        ({"annotators": "annotator,age\nann,\nbob,1\n"}, "annotator features must be finite"),
    ],
)
def test_what_is_wrong_is_named(folder, written, message):
    defaults = {"items": "item,path\na,a.png\nb,b.png\n"}
    with pytest.raises(DataError, match=message):
        read_folder(folder(**(defaults | written)))


@pytest.mark.parametrize(
    ("items", "inputs", "kind", "message"),
    [
        ("item,row\na,5\n", np.zeros((3, 2)), "vector", "need rows 5 to 5, inputs.npy has 3 rows"),
        ("item,row\na,-1\n", np.zeros((3, 2)), "vector", "need rows -1 to -1"),
        ("item\na\nb\nc\nd\n", np.zeros((3, 2)), "vector", "need rows 0 to 3, inputs.npy has 3 rows"),
        ("item,row\na,x\n", np.zeros((3, 2)), "vector", "column 'row', row 0: 'x' is not a number"),
        ("item,row\na,\n", np.zeros((3, 2)), "vector", r"row 0: 'row'.*got nan"),
        ("item,row\na,0.5\n", np.zeros((3, 2)), "vector", r"row 0: 'row'.*got 0\.5"),
        ("item\na\n", np.zeros((1, 2, 2)), "vector", r"\(N, D\).*got \(1, 2, 2\)"),
        ("item\na\n", np.zeros((1, 2)), "image", r"got \(1, 2\)"),
        ("item\na\n", np.array([["x", "y"]]), "vector", r"inputs\.npy.*got <U1"),
        ("item\na\n", np.array([[{}, 1]], dtype=object), "vector", "Cannot read .*inputs.npy"),
    ],
)
def test_what_is_wrong_with_inputs_is_named(folder, items, inputs, kind, message):
    root = folder(items=items, votes=ONE, meta=f"input: {kind}\n", inputs=inputs)
    with pytest.raises(DataError, match=message):
        read_folder(root)


def test_a_truncated_array_is_named(folder):
    root = folder(items="item\na\n", votes=ONE, meta="input: vector\n", inputs=np.zeros((1, 200)))
    (root / "inputs.npy").write_bytes((root / "inputs.npy").read_bytes()[:300])
    with pytest.raises(DataError, match=r"Cannot read .*inputs.npy"):
        read_folder(root)


def test_two_tables_of_one_kind_are_refused(folder):
    root = folder()
    pd.DataFrame({"item": ["a"]}).to_parquet(root / "items.parquet")
    with pytest.raises(DataError, match=r"holds both items.csv and items.parquet"):
        read_folder(root)


def test_a_description_in_another_encoding_is_named(folder):
    root = folder()
    (root / "dataset.yaml").write_bytes("name: caf\u00e9\ninput: image\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"dataset.yaml.*not valid YAML: .*utf-8"):
        read_folder(root)


def test_a_broken_parquet_file_is_named(folder):
    root = folder(items=None)
    (root / "items.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"Cannot read .*items.parquet"):
        read_folder(root)


def test_stored_arrays_are_not_resized(folder):
    root = folder(items="item\na\n", votes=ONE, meta="input: image\n", inputs=np.zeros((1, 4, 4), dtype=np.uint8))
    with pytest.raises(DataError, match=r"image_size.*inputs\.npy.*got 8"):
        read_folder(root, image_size=8)


def test_no_folder_at_all(tmp_path):
    with pytest.raises(DataError, match=r"There is no data folder at .*hilmix data list"):
        read_folder(tmp_path / "gone")

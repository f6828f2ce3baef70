"""Images in one folder per class."""

import os

import numpy as np
import pytest
from PIL import Image

from hilmix.data.folder.class_folders import LARGEST_SIDE, read_class_folders
from hilmix.errors import DataError


@pytest.fixture
def photos(tmp_path):
    """Two images of class 2, one of 10, one deeper; what is no image, hidden, or lies beside the classes."""
    root = tmp_path / "photos"
    for i, name in enumerate(("2/b.png", "2/a.JPG", "10/deep/er/c.bmp", ".trash/d.png", "2/._a.png", "beside.png")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 4), 40 * i).save(root / name)
    (root / "10" / "notes.txt").write_text("none")
    return root


def test_folders_are_classes_targets_and_labels(photos):
    data, left_out = read_class_folders(photos)
    assert data.name == "photos"
    assert data.classes == ("2", "10")  # as people sort numbers
    assert data.items == ("2/a.JPG", "2/b.png", "10/deep/er/c.bmp")
    np.testing.assert_array_equal(data.target, [0, 0, 1])
    np.testing.assert_array_equal(data.annotations.label, data.target)
    assert data.annotations.annotators == ("folder",)
    assert data.inputs.shape == (3, 4, 6)
    assert [int(image.float().mean().round()) for image in data.inputs.fetch(np.arange(3))] == [40, 0, 80]
    assert left_out == (photos / "10" / "notes.txt",)


def test_images_are_brought_to_a_size(photos):
    assert read_class_folders(photos, image_size=3).data.inputs.shape == (3, 3, 3)
    Image.new("L", (7, 4)).save(photos / "2" / "other.png")
    assert read_class_folders(photos).data.inputs.shape == (3, 128, 128)


def test_large_images_need_a_size(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("L", (LARGEST_SIDE + 1, 8)).save(tmp_path / name / "one.png")
    with pytest.raises(DataError, match=rf"{LARGEST_SIDE + 1} x 8 pixels"):
        read_class_folders(tmp_path)
    assert read_class_folders(tmp_path, image_size=8).data.inputs.shape == (3, 8, 8)


def test_what_are_no_class_folders_is_reported(photos, tmp_path):
    with pytest.raises(DataError, match="There is no folder"):
        read_class_folders(tmp_path / "absent")
    with pytest.raises(DataError, match="1 sub-folder"):
        read_class_folders(photos / "10")
    (photos / "empty").mkdir()
    with pytest.raises(DataError, match="empty' has no image"):
        read_class_folders(photos)


def sort_into(root, *names: str):
    """An image of its own at each of these paths."""
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), i).save(root / name)
    return root


def rows(root) -> list[tuple[str, str, str | None]]:
    """Item, class and split of every image, sorted."""
    data = read_class_folders(root).data
    splits = [None] * len(data) if data.split is None else data.split.tolist()
    names = [data.classes[k] for k in data.target]
    assert data.annotations.label.tolist() == data.target.tolist()
    return sorted(zip(data.items, names, splits, strict=True))


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Train", "valid", "TEST"),
        ("training", "validation", "testing"),
        ("train", "dev", None),
    ],
)
@pytest.mark.parametrize("deep", ["", "deep/er/"])
def test_splits_with_class_folders(tmp_path, train, val, test, deep):
    meaning = {name: split for name, split in ((train, "train"), (val, "val"), (test, "test")) if name}
    names = [f"{folder}/{kind}/{deep}{i}.png" for folder in meaning for kind in ("cat", "dog") for i in range(2)]
    found = rows(sort_into(tmp_path / "photos", *names))
    assert found == sorted((name, name.split("/")[1], meaning[name.split("/")[0]]) for name in names)
    data = read_class_folders(tmp_path / "photos").data
    assert data.classes == ("cat", "dog")
    assert any(train in note.found and val in note.found for note in data.notes)


def test_classes_with_split_folders(tmp_path):
    names = [f"{kind}/{split}/0.png" for kind in ("cat", "dog") for split in ("train", "Test")]
    found = rows(sort_into(tmp_path / "photos", *names))
    assert found == sorted((n, n.split("/")[0], n.split("/")[1].lower()) for n in names)


def test_a_class_may_be_called_train(tmp_path):
    found = rows(sort_into(tmp_path / "photos", "train/0.png", "bus/0.png", "bus/red/1.png"))
    assert {(kind, split) for _, kind, split in found} == {("train", None), ("bus", None)}


def test_one_split_alone_is_none(tmp_path):
    root = sort_into(tmp_path / "photos", "train/cat/0.png", "train/dog/0.png")
    assert {split for _, _, split in rows(root)} == {None}
    assert "train" in read_class_folders(root).data.notes[0].found


def test_a_class_that_a_split_lacks_is_reported(tmp_path):
    root = sort_into(tmp_path / "photos", "train/cat/0.png", "train/dog/0.png", "test/cat/0.png")
    (root / "test" / "dog").mkdir()
    assert len(rows(root)) == 3
    assert [note.kind for note in read_class_folders(root).data.notes] == ["layout", "class-missing"]


def test_images_beside_the_classes_are_reported(photos):
    (note,) = read_class_folders(photos).data.notes
    assert (note.kind, note.count) == ("left-out", 1)
    assert "beside.png" in note.found


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (("train/cat/0.png", "train/dog/0.png", "test/0.png"), "test"),  # as in many competitions
        (("train/0.png", "test/0.png"), "split"),
        (("train/cat/0.png", "train/dog/0.png", "test/cat/0.png", "extra/0.png"), "extra"),
        (("train/cat/0.png", "train/dog/0.png", "extra/0.png"), "extra"),
        (("val/cat/0.png", "train/dog/0.png", "valid/cat/0.png"), "valid"),
        (("cat/train/0.png", "dog/0.png"), "dog"),
        (("cat/train/0.png", "cat/1.png", "dog/train/0.png"), "cat"),
        (("train/cat/0.png", "test/cat/0.png"), "1 sub-folder"),
        (("data/train/cat/0.png", "data/test/dog/0.png"), "photos/data"),
        (("cat/0.png", "cat /0.png", "dog/0.png"), "blanks"),
    ],
)
def test_what_may_mean_two_things_is_refused(tmp_path, names, word):
    with pytest.raises(DataError, match=word):
        read_class_folders(sort_into(tmp_path / "photos", *names))


def test_names_that_no_table_can_hold_are_refused(tmp_path):
    root = sort_into(tmp_path / "photos", "cat/0.png", "dog/0.png")
    (root / "cat" / "0.png").rename(root / "cat" / os.fsdecode(b"\xff.png"))
    with pytest.raises(DataError, match="UTF-8"):
        read_class_folders(root)


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    root = sort_into(tmp_path / "photos", "cat/0.png", "dog/0.png")
    (root / "cat" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"cat/0\.png"):
        read_class_folders(root)


def tree(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 4)).save(root / name)


@pytest.mark.parametrize(
    ("train", "test"),
    [("train_images", "test_images"), ("seg-train", "seg-test"), ("Train2017", "val2017"), ("trainImages", "Testing")],
)
def test_folders_with_splits_in_their_names_are_splits(tmp_path, train, test):
    tree(tmp_path, *(f"{split}/{name}/1.png" for split in (train, test) for name in ("cat", "dog")))
    data = read_class_folders(tmp_path).data
    assert data.classes == ("cat", "dog")
    assert dict(zip(data.items, data.split, strict=True)) == {
        f"{folder}/{name}/1.png": "train" if folder == train else "val" if folder == "val2017" else "test"
        for folder in (train, test)
        for name in ("cat", "dog")
    }


@pytest.mark.parametrize("names", [("bullet train/1.png", "test tube/1.png"), ("train_a/x/1.png", "bus/x/1.png")])
def test_classes_with_splits_in_their_names_stay_classes(tmp_path, names):
    tree(tmp_path, *names)
    assert set(read_class_folders(tmp_path).data.classes) == {name.split("/")[0] for name in names}


def test_what_archives_of_macos_add_is_skipped(tmp_path):
    tree(tmp_path, "train/cat/1.png", "train/dog/1.png", "val/cat/1.png", "val/dog/1.png", "__MACOSX/train/1.png")
    assert read_class_folders(tmp_path).data.items == (
        "train/cat/1.png",
        "train/dog/1.png",
        "val/cat/1.png",
        "val/dog/1.png",
    )

"""Images in one folder per class."""

import numpy as np
import pytest
from PIL import Image

from hilmix.data.class_folders import LARGEST_SIDE, read_class_folders
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


def test_what_are_no_class_folders_is_told(photos, tmp_path):
    with pytest.raises(DataError, match="There is no folder"):
        read_class_folders(tmp_path / "absent")
    with pytest.raises(DataError, match="1 sub-folder"):
        read_class_folders(photos / "10")
    (photos / "empty").mkdir()
    with pytest.raises(DataError, match="empty' has no image"):
        read_class_folders(photos)

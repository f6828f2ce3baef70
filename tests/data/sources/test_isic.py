"""The ISIC folders of the release, made up here with few images."""

import numpy as np
import pytest
from PIL import Image

from hilmix.data.folder import read_folder, write_folder
from hilmix.data.sources import SOURCES, Options
from hilmix.data.sources.base import Access
from hilmix.errors import DataError

SIDE = 299
NUMBERS = {"no_cancer": 9, "patch_no_cancer_again": 5, "cancer": 6}


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


@pytest.fixture
def downloads(tmp_path):
    """Each image is of one grey level of its own; a patch covers the left third."""
    level = 0
    for folder, number in NUMBERS.items():
        for i in range(number):
            level += 10
            pixels = np.full((SIDE, SIDE, 3), level, dtype=np.uint8)
            save(tmp_path / "isic" / "processed" / folder / f"ISIC_{folder[0]}{i:03d}.jpg", pixels)
    patch = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    patch[:, :100] = 255
    for i in range(NUMBERS["patch_no_cancer_again"]):
        save(tmp_path / "isic" / "segmentation" / f"ISIC_p{i:03d}.jpg", patch)
    return tmp_path


def build(downloads):
    return SOURCES["isic"].build(Access(downloads), Options())


def test_groups_classes_masks_and_split(downloads, tmp_path):
    data = build(downloads)
    assert data.inputs.shape == (3, SIDE, SIDE)
    assert data.groups == ("benign", "benign with patch", "malignant")
    assert np.bincount(data.group).tolist() == list(NUMBERS.values())
    np.testing.assert_array_equal(data.target, data.group == 2)
    order = np.random.default_rng(42).permutation(20)  # as the release draws it
    assert set(np.flatnonzero(data.split == "train")) == set(order[:15])
    assert set(np.flatnonzero(data.split == "val")) == set(order[15:17])
    grey = data.inputs.fetch(np.arange(20))[:, 0, 0, 0].numpy()
    np.testing.assert_allclose(grey, 10 * np.arange(1, 21), atol=1)
    np.testing.assert_array_equal(data.masks.explained, data.group == 1)
    masks = data.masks.fetch(np.array([0, 9, 14])).numpy()
    assert masks.shape == (3, 1, SIDE, SIDE)
    assert masks[[0, 2]].max() == 0
    assert (masks[1, 0, :, :97] == 255).all()
    assert (masks[1, 0, :, 103:] == 0).all()
    assert set(np.unique(masks)) == {0, 255}, "JPEG's grey edges are decided"
    back = read_folder(write_folder(data, tmp_path / "out"))
    np.testing.assert_array_equal(back.masks.fetch(np.arange(20)), data.masks.fetch(np.arange(20)))
    assert data.masks.fetch(np.empty(0, dtype=int)).shape == (0, 1, SIDE, SIDE)


def test_what_is_missing_is_named(downloads, tmp_path):
    with pytest.raises(DataError, match=r"processed/no_cancer'.*docs/data_folder\.md"):
        build(tmp_path / "elsewhere")
    segment = downloads / "isic" / "segmentation" / "ISIC_p003.jpg"
    segment.unlink()
    with pytest.raises(DataError, match=r"ISIC_p003\.jpg' is missing \(1 are\)"):
        build(downloads)


def test_an_image_in_two_groups_is_refused(downloads):
    folder = downloads / "isic" / "processed"
    (folder / "no_cancer" / "ISIC_p001.jpg").write_bytes((folder / "no_cancer" / "ISIC_n001.jpg").read_bytes())
    with pytest.raises(DataError, match=r"'ISIC_p001\.jpg' lies in processed/no_cancer and in"):
        build(downloads)

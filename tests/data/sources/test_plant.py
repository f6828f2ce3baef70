"""The sugar beet folders of the release, made up here with few images."""

import pickle

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from hilmix.data.sources import SOURCES, Options
from hilmix.data.sources.base import Access
from hilmix.data.sources.plant import brighten, is_diseased, read_leaf_masks
from hilmix.errors import DataError

SIDE = 213
TRAIN = [f"{day}_Z{plant}_0_0_{day}" for day in (1, 2) for plant in (1, 3, 4, 12, 18)]
TEST = ["5_Z2_1_0_0", "5_Z9_1_0_1"]
LEAF = np.zeros((SIDE, SIDE), dtype=bool)
LEAF[:, : SIDE // 2] = True
"""Leaves fill the left half, at grey level 100; the background is of a level that gives the class."""


@pytest.fixture
def downloads(tmp_path):
    root = tmp_path / "plant"
    (root / "mask").mkdir(parents=True)
    (root / "rgb_dataset_splits").mkdir()
    for name, samples in (("train", TRAIN), ("test", TEST)):
        (root / "rgb_dataset_splits" / f"{name}_0.txt").write_text("\n".join(samples) + "\n")
        for sample in samples:
            (root / "rgb_data" / sample[0]).mkdir(parents=True, exist_ok=True)
            pixels = np.where(LEAF, 100, 20 if is_diseased(sample) else 60).astype(np.uint8)
            Image.fromarray(np.dstack([pixels] * 3)).save(root / "rgb_data" / sample[0] / f"{sample}.JPEG", quality=98)
    with (root / "mask" / "preprocessed_masks.pyu").open("wb") as stream:
        pickle.dump(dict.fromkeys(TRAIN + TEST, LEAF), stream)
    return tmp_path


def build(downloads):
    return SOURCES["plant"].build(Access(downloads), Options())


@pytest.mark.parametrize(
    ("sample", "diseased"), [("1_Z1_0_0_0", 0), ("5_Z3_1_1_2", 0), ("1_Z4_0_0_0", 1), ("2_Z18_3", 1)]
)
def test_three_plants_are_healthy(sample, diseased):
    assert is_diseased(sample) == diseased


def test_other_names_are_refused():
    with pytest.raises(DataError, match="'holiday' is not called like"):
        is_diseased("holiday")


def test_brightness_against_pillow():
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    wanted = np.asarray(ImageEnhance.Brightness(Image.fromarray(pixels)).enhance(2), dtype=int)
    assert np.abs(brighten(pixels) - wanted).max() <= 1


def test_images_masks_groups_and_split(downloads):
    data = build(downloads)
    assert data.items == tuple(TRAIN + TEST)
    assert data.inputs.shape == (3, 224, 224)
    np.testing.assert_array_equal(data.target, [is_diseased(s) for s in TRAIN + TEST])
    np.testing.assert_array_equal(data.group, data.target)
    order = np.random.default_rng(42).permutation(len(TRAIN))  # as the release draws it
    wanted = np.array(["train"] * len(TRAIN) + ["test"] * len(TEST))
    wanted[order[9:]] = "val"
    assert data.split.tolist() == wanted.tolist()
    masks = data.masks.fetch(np.arange(len(data)))
    assert set(masks.unique().tolist()) == {0, 255}
    assert masks[:, :, :, :110].max() == 0
    assert masks[:, :, :, 114:].min() == 255


def test_the_background_gives_the_class_in_training_only(downloads):
    data = build(downloads)
    images, train = data.inputs.fetch(np.arange(len(data))).numpy().astype(float), data.split == "train"
    assert np.abs(images[:, :, :, :108] - 200).max() <= 3, "leaves, twice as bright"
    background = images[:, :, :, 116:].mean((1, 2, 3))
    np.testing.assert_allclose(background[train], np.where(data.target[train], 40, 120), atol=2)
    assert np.ptp(background[~train]) == 0
    assert background[~train][0] == pytest.approx(images[train].mean(), abs=2)


def test_what_is_missing_or_damaged_is_named(downloads):
    masks = downloads / "plant" / "mask" / "preprocessed_masks.pyu"
    with masks.open("wb") as stream:
        pickle.dump(dict.fromkeys(TRAIN, LEAF), stream)
    with pytest.raises(DataError, match=r"has no mask of '5_Z2_1_0_0' \(2 are missing\)"):
        build(downloads)
    with masks.open("wb") as stream:
        pickle.dump(dict.fromkeys(TRAIN + TEST, LEAF[1:]), stream)
    with pytest.raises(DataError, match=r"Mask of '1_Z1_0_0_1': found \(212, 213\), expected \(213, 213\)"):
        build(downloads)
    masks.unlink()
    with pytest.raises(DataError, match=r"preprocessed_masks\.pyu' is missing"):
        build(downloads)


@pytest.mark.parametrize("content", [b"no pickle", b"", pickle.dumps(3), pickle.dumps({"a": print})])
def test_other_pickles_are_refused(tmp_path, content):
    (tmp_path / "x.pyu").write_bytes(content)
    with pytest.raises(DataError, match=r"Cannot read .*x\.pyu"):
        read_leaf_masks(tmp_path / "x.pyu")

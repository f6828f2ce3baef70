"""The folders of Salient ImageNet and of ImageNet, made up here with few images."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torchvision.transforms import v2

from hilmix.data.sources import SOURCES, Options
from hilmix.data.sources.base import Access
from hilmix.data.sources.salient_imagenet import crop_centre, find_images, find_spurious_features
from hilmix.errors import DataError

BEETLE, WOLF = "n02174001", "n02114548"


def answers(rows):
    """(class, feature, how many of five workers call it background or a separate object)."""
    table = []
    for number, feature, aside in rows:
        labels = (["background", "separate_object"] * 3)[:aside] + ["main_object"] * (5 - aside)
        table += [
            {"WorkerId": w, "Input.class_index": number, "Input.feature_index": feature, "Answer.main": a}
            for w, a in enumerate(labels)
        ]
    return pd.DataFrame(table)


def gradient(height, width):
    """An image that shows in each pixel where it is."""
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows * 255 // height, columns * 255 // width, 0 * rows]).astype(np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=98)


def spot(row):
    mask = np.zeros((224, 224), dtype=np.uint8)
    mask[row : row + 32] = 240
    return mask


@pytest.fixture
def downloads(tmp_path):
    """Beetles: features 7 and 9 are spurious, 8 is not; wolves: 5 is spurious. Two beetles show both features."""
    root = tmp_path / "salient-imagenet"
    maps, images = root / "salient_imagenet_dataset", root / "imagenet" / "train"
    for wordnet, table in {
        BEETLE: {"7": ["b3", "b1"], "8": ["b5", "b1"], "9": ["b1", "b2"]},
        WOLF: {"5": ["w1", "w2"], "6": ["w9", "w1"]},
    }.items():
        (maps / wordnet).mkdir(parents=True)
        pd.DataFrame(table).to_csv(maps / wordnet / "image_names_map.csv", index=False)
        for feature, names in table.items():
            for name in names:
                save(maps / wordnet / f"feature_{feature}" / f"{name}.JPEG", spot(16 * int(feature)))
                save(images / wordnet / f"{name}.JPEG", gradient(300, 400))
    answers([(306, 7, 3), (306, 8, 2), (306, 9, 5), (270, 5, 4), (270, 6, 0), (1, 7, 5)]).to_csv(
        root / "discover_spurious_features.csv"
    )
    for wordnet in ("n02033041", "n02268443", "n02480855", "n02514041"):
        (maps / wordnet).mkdir()
        (maps / wordnet / "image_names_map.csv").write_text("1,2\nx,y\n")
    return tmp_path


def build(downloads):
    return SOURCES["salient-imagenet"].build(Access(downloads), Options())


def test_three_of_five_workers_decide(downloads):
    file = downloads / "salient-imagenet" / "discover_spurious_features.csv"
    assert find_spurious_features(file) == {306: [7, 9], 270: [5], 1: [7]}


def test_images_masks_and_classes(downloads):
    data = build(downloads)
    assert data.items == ("b1", "b2", "b3", "w1", "w2")
    assert data.target.tolist() == [0, 0, 0, 2, 2]
    assert data.classes[:3] == ("rhinoceros beetle", "dowitcher", "white wolf")
    assert data.inputs.shape == (3, 224, 224)
    masks = data.masks.fetch(np.arange(5))[:, 0].numpy().astype(int)
    wanted = np.stack([np.maximum(spot(112), spot(144)), spot(144), spot(112), spot(80), spot(80)])
    assert np.abs(masks - wanted).mean() < 2, "the largest of the maps, as stored"


def test_images_are_cropped_as_the_masks_were(tmp_path):
    for height, width in ((300, 400), (400, 300), (256, 256), (100, 333)):
        save(tmp_path / "x.JPEG", gradient(height, width))
        wanted = v2.Compose([v2.Resize(256, antialias=True), v2.CenterCrop(224)])(Image.open(tmp_path / "x.JPEG"))
        assert np.abs(crop_centre(tmp_path / "x.JPEG").astype(int) - np.asarray(wanted, dtype=int)).max() <= 2


def test_what_is_missing_is_named(downloads):
    root = downloads / "salient-imagenet"
    (root / "imagenet" / "train" / BEETLE / "b2.JPEG").unlink()
    with pytest.raises(DataError, match=r"b2\.JPEG does not exist"):
        build(downloads)
    with pytest.raises(DataError, match=r"has no column '4'"):
        find_images(root / "salient_imagenet_dataset" / BEETLE, [4])
    (root / "salient_imagenet_dataset" / BEETLE / "image_names_map.csv").unlink()
    with pytest.raises(DataError, match=r"image_names_map\.csv' is missing"):
        build(downloads)
    (root / "discover_spurious_features.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="lacks the column"):
        build(downloads)
    (root / "discover_spurious_features.csv").unlink()
    with pytest.raises(DataError, match=r"discover_spurious_features\.csv' is missing"):
        build(downloads)


def test_a_map_of_another_size_is_refused(downloads):
    folder = downloads / "salient-imagenet" / "salient_imagenet_dataset" / WOLF / "feature_5"
    save(folder / "w1.JPEG", np.zeros((100, 100), dtype=np.uint8))
    with pytest.raises(DataError, match=r"w1\.JPEG: size: found \(100, 100\), expected \(224, 224\)"):
        build(downloads)

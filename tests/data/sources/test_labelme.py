"""LabelMe: the published archive in small, and facts of the mirror."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from hilmix.data.sources import load_source
from hilmix.data.sources.labelme import CLASSES, read_features, read_images

SPLITS = {
    "train": ["forest_a.jpg", "coast_b.jpg", "street_c.jpg"],
    "valid": ["highway_d.jpg"],
    "test": ["mountain_e.jpg"],
}
CODES = {"highway": 0, "insidecity": 1, "tallbuilding": 2, "street": 3, "forest": 4, "coast": 5, "mountain": 6}
ANSWERS = np.full((3, 4), -1)
ANSWERS[0, 1], ANSWERS[0, 3], ANSWERS[2, 3] = 4, 5, 3  # slots 0 and 2 say nothing


@pytest.fixture
def archive(tmp_path):
    rng = np.random.default_rng(0)
    files = {"answers.txt": "\n".join(" ".join(map(str, row)) for row in ANSWERS).encode()}
    maps = {}
    for split, names in SPLITS.items():
        files[f"filenames_{split}.txt"] = "\n".join(names).encode()
        codes = np.array([CODES[n.split("_")[0]] for n in names])
        maps[split] = rng.random((len(names), 4, 4, 512)).astype(np.float32)
        for name, array in ((f"labels_{split}", codes), (f"data_{split}_vgg16", maps[split])):
            stream = io.BytesIO()
            np.save(stream, array)
            files[f"prepared/{name}.npy"] = stream.getvalue()
        for i, name in enumerate(names):
            stream = io.BytesIO()
            Image.new("RGB", (256, 256), (40 * i, 100, 200)).save(stream, "JPEG")
            files[f"{split}/{name.split('_')[0]}/{name}"] = stream.getvalue()
    stream = io.BytesIO()
    np.save(stream, ANSWERS.astype(np.float64))
    files["prepared/answers.npy"] = stream.getvalue()
    with tarfile.open(tmp_path / "l.tar.gz", "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"LabelMe/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return tmp_path / "l.tar.gz", maps


def test_images_of_the_archive(archive):
    found = read_images([archive[0]])
    assert found.items == ("forest_a", "coast_b", "street_c", "highway_d", "mountain_e")
    assert [CLASSES[k] for k in found.target] == ["forest", "coast", "street", "highway", "mountain"]
    assert found.split.tolist() == ["train"] * 3 + ["val", "test"]
    assert found.inputs.shape == (5, 128, 128, 3)
    assert np.abs(found.inputs[2].reshape(-1, 3).mean(0) - [80, 100, 200]).max() < 3
    votes = [(i, a, CLASSES[k]) for i, a, k in found.votes]
    assert votes == [(0, 0, "forest"), (0, 1, "coast"), (2, 1, "street")]


def test_features_of_the_archive(archive):
    path, maps = archive
    found = read_features([path])
    assert found.inputs.shape == (5, 512)
    np.testing.assert_allclose(found.inputs[4], maps["test"][0].mean((0, 1)), rtol=1e-5)
    assert [CLASSES[k] for k in found.target] == ["forest", "coast", "street", "highway", "mountain"]
    assert found.votes.tolist() == read_images([path]).votes.tolist()


@pytest.mark.parametrize("name", ["labelme", "labelme-features"])
def test_votes_of_the_mirror(real_data, tmp_path, name):
    data = load_source(name, downloads=tmp_path)
    votes = data.annotations
    assert (votes.num_pairs, votes.num_annotators, data.classes) == (2_547, 59, CLASSES)
    assert np.bincount(votes.labels_per_item[:1_000]).tolist() == [0, 42, 369, 589]
    assert (votes.label == data.target[votes.item]).mean() == pytest.approx(0.7405, abs=5e-5)


def test_images_of_the_mirror(real_data, tmp_path):
    data = load_source("labelme", downloads=tmp_path)
    assert data.inputs.shape == (3, 128, 128)
    assert len(data) == 1_000
    assert data.split is None
    names = [item.split("_")[0] for item in data.items]
    assert names == [CLASSES[k] for k in data.target]


def test_features_of_the_mirror(real_data, tmp_path):
    data = load_source("labelme-features", downloads=tmp_path)
    assert data.inputs.shape == (512,)
    assert {s: int((data.split == s).sum()) for s in ("train", "val", "test")} == {
        "train": 1000,
        "val": 500,
        "test": 1188,
    }
    assert not data.annotations.labels_per_item[data.split != "train"].any()

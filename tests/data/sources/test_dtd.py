"""DTD: the published archive with made-up pictures."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from hilmix.data.sources import Options, dtd
from hilmix.data.sources.base import Access
from hilmix.errors import DataError


@pytest.fixture
def access(tmp_path, monkeypatch):
    """Twelve pictures of three textures, four in each split."""
    monkeypatch.setattr("hilmix.data.sources.base.fetch", lambda file, folder, **consent: folder / file.path)
    files = {}
    for s, split in enumerate(("train", "val", "test")):
        names = [f"{kind}/{kind}_{4 * s + i:04d}.jpg" for i, kind in enumerate(("dotted", "banded", "woven", "banded"))]
        files[f"labels/{split}1.txt"] = "\n".join(names).encode()
        for name in names:
            stream = io.BytesIO()
            Image.new("RGB", (300, 320), (60 * ("bdw".index(name[0])), 20 * s, 0)).save(stream, "JPEG")
            files[f"images/{name}"] = stream.getvalue()
    with tarfile.open(tmp_path / "dtd-r1.0.1.tar.gz", "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"dtd/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return Access(tmp_path)


def test_it_is_built_split_by_split(access, monkeypatch):
    monkeypatch.setattr(dtd, "SIZES", (4, 4, 4))
    monkeypatch.setattr(dtd, "NUM_CLASSES", 3)
    data = dtd.SOURCE.build(access, Options(annotators=3, labels_per_item=1))
    assert data.classes == ("banded", "dotted", "woven")
    assert data.target.tolist() == [1, 0, 2, 0] * 3
    assert data.split.tolist() == ["train"] * 4 + ["val"] * 4 + ["test"] * 4
    assert data.items[0] == "dotted/dotted_0000"
    assert data.annotations.labels_per_item.tolist() == [1] * 8 + [3] * 4
    pixels = data.inputs.fetch(np.array([2, 5])).float()
    assert pixels.shape == (2, 3, 224, 224)
    assert abs(pixels[0].mean((1, 2)) - pixels.new_tensor([120, 0, 0])).max() < 3
    assert abs(pixels[1].mean((1, 2)) - pixels.new_tensor([0, 20, 0])).max() < 3


def test_other_numbers_are_refused(access):
    with pytest.raises(DataError, match=r"DTD.*\(4, 4, 4\), 3.*1880"):
        dtd.SOURCE.build(access, Options())

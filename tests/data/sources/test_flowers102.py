"""Oxford flowers: the published files with made-up pictures."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from hilmix.data.sources import Options, flowers102
from hilmix.data.sources.base import Access
from hilmix.errors import DataError

LABELS = [1, 102, 1, 102, 1, 102, 1, 102, 1, 1, 102, 102]


@pytest.fixture
def access(tmp_path, monkeypatch):
    monkeypatch.setattr("hilmix.data.sources.base.fetch", lambda file, folder, **consent: folder / file.path)
    folder = tmp_path / "flowers102"
    folder.mkdir()
    savemat(folder / "imagelabels.mat", {"labels": np.array([LABELS], dtype=np.uint8)})
    ids = {"trnid": [[12, 1, 4, 5]], "valid": [[2, 3]], "tstid": [[6, 7, 8, 9, 10, 11]]}
    savemat(folder / "setid.mat", {key: np.array(value, dtype=np.uint16) for key, value in ids.items()})
    with tarfile.open(folder / "102flowers.tgz", "w:gz") as tar:
        for i in range(1, 13):
            stream = io.BytesIO()
            Image.new("RGB", (250, 230), (20 * i, 0, 0)).save(stream, "JPEG")
            info = tarfile.TarInfo(f"jpg/image_{i:05d}.jpg")
            info.size = len(stream.getvalue())
            tar.addfile(info, io.BytesIO(stream.getvalue()))
    return Access(tmp_path)


def test_pictures_are_named_by_number_and_ordered_by_split(access, monkeypatch):
    monkeypatch.setattr(flowers102, "SIZES", (4, 2, 6))
    data = flowers102.SOURCE.build(access, Options(annotators=2, labels_per_item=1))
    assert data.items[:3] == ("image_00012", "image_00001", "image_00004")
    assert (data.classes[0], data.classes[101]) == ("pink primrose", "blackberry lily")
    assert [data.classes[k] == "blackberry lily" for k in data.target[:4]] == [True, False, True, False]
    assert data.split.tolist() == ["train"] * 4 + ["val"] * 2 + ["test"] * 6
    assert data.inputs.fetch(np.array([0]))[0, 0].float().mean() == pytest.approx(240, abs=3)


def test_other_numbers_are_refused(access):
    with pytest.raises(DataError, match=r"Flowers.*\(4, 2, 6\).*6149"):
        flowers102.SOURCE.build(access, Options())

"""Archives of pictures: unpacked once, atomically, and nowhere else."""

import io
import tarfile
import zipfile

import numpy as np
import pytest

from hilmix.data.inputs import ArrayInputs
from hilmix.data.sources.archives import shrink_pictures, unpack
from hilmix.data.sources.base import Access, Resource
from hilmix.data.sources.fetch import RemoteFile
from hilmix.errors import DataError


def write_tar(path, **members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_an_archive_is_unpacked_once(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", **{"x/y.txt": b"here"})
    folder = unpack(path)
    assert (folder / "x" / "y.txt").read_text() == "here"
    (folder / "x" / "y.txt").write_text("kept")
    assert (unpack(path) / "x" / "y.txt").read_text() == "kept"
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("z.txt", "zip")
    assert (unpack(tmp_path / "b.zip") / "z.txt").read_text() == "zip"


@pytest.mark.parametrize("broken", [b"no archive", None])
def test_a_broken_archive_leaves_no_folder_and_names_the_file(tmp_path, broken):
    path = write_tar(tmp_path / "a.tar.gz", **{"x.txt": bytes(1000)})
    path.write_bytes(broken or path.read_bytes()[:-40])
    resource = Resource((RemoteFile("http://127.0.0.1:9/a", "a.tar.gz"),), lambda paths: unpack(paths[0]))
    with pytest.raises(DataError, match=r"Cannot read .*a\.tar\.gz"):
        Access(tmp_path).read(resource)
    assert not (tmp_path / "a.tar.gz.unpacked").exists()


def test_members_outside_the_folder_are_refused(tmp_path):
    (tmp_path / "inner").mkdir()
    path = write_tar(tmp_path / "inner" / "a.tar.gz", **{"../../outside.txt": b"no"})
    with pytest.raises(tarfile.FilterError):
        unpack(path)
    assert not (tmp_path / "outside.txt").exists()


def test_shrunk_pictures_are_means_over_blocks():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    found = shrink_pictures(ArrayInputs(pixels, "image"), 2).reshape(3, 3, 2, 2)
    for i, c, y, x in np.ndindex(3, 3, 2, 2):
        block = pixels[i, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4, c]
        assert found[i, c, y, x] == pytest.approx(block.mean(), rel=1e-5)

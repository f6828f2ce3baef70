"""CIFAR archives: restricted unpickling, layout, mirror."""

import io
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from hilmix.data.sources.base import Access, Resource
from hilmix.data.sources.cifar10 import CLASSES, TEST, TRAIN, read_batches, read_sheet
from hilmix.data.sources.fetch import RemoteFile
from hilmix.errors import DataError


def archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            data = content if isinstance(content, bytes) else pickle.dumps(content, protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def batch(n, seed, label="labels"):
    rng = np.random.default_rng(seed)
    return {
        b"data": rng.integers(0, 256, (n, 3072), dtype=np.uint8),
        label.encode(): rng.integers(0, 10, n).tolist(),
        b"filenames": [b"a.png"] * n,
    }


def python2(content):
    """The same pickle with the byte strings that Python 2 wrote and the old module name of numpy."""
    data = pickle.dumps({k.decode("latin1"): v for k, v in content.items()}, protocol=2)
    return data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def test_batches_are_joined_in_order_channels_last(tmp_path):
    parts = [batch(3, 0), batch(2, 1)]
    path = archive(
        tmp_path / "c.tar.gz",
        {
            "f/one": python2(parts[0]),
            "f/two": python2(parts[1]),
            "f/meta": python2({b"label_names": ["cat", "dog"]}),
        },
    )
    images, target, classes = read_batches(path, ["f/one", "f/two", "f/meta"], "labels")
    assert images.shape == (5, 32, 32, 3)
    assert classes == ("cat", "dog")
    assert target.tolist() == parts[0][b"labels"] + parts[1][b"labels"]
    for n, (part, row) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]):
        flat = parts[part][b"data"][row]
        assert images[n, 5, 7, 2] == flat[2 * 1024 + 5 * 32 + 7]
        np.testing.assert_array_equal(images[n, :, :, 0].ravel(), flat[:1024])


def test_fine_labels_bring_fine_names(tmp_path):
    content = batch(2, 0, "fine_labels") | {b"coarse_labels": [1, 2]}
    meta = {b"fine_label_names": ["x", "y"], b"coarse_label_names": ["z"]}
    path = archive(tmp_path / "c.tar.gz", {"train": python2(content), "meta": python2(meta)})
    _, target, classes = read_batches(path, ["train", "meta"], "fine_labels")
    assert target.tolist() == content[b"fine_labels"]
    assert classes == ("x", "y")


class Evil:
    def __reduce__(self):
        return (print, ("code of the file was run",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"data": Evil()}), "'builtins.print' has no place among arrays"),
        (b"no pickle", "Cannot read"),
        (pickle.dumps({"labels": [1]}), "KeyError: 'data'"),
        (pickle.dumps({"data": np.zeros((2, 3072), dtype=np.uint8), "labels": [1]}), "shape of the images"),
    ],
)
def test_bad_archives_are_refused_and_run_no_code(tmp_path, capsys, content, message):
    archive(tmp_path / "c.tar.gz", {"b": content, "m": python2({b"label_names": ["x"]})})
    resource = Resource(
        (RemoteFile("http://127.0.0.1:9/c", "c.tar.gz"),), lambda paths: read_batches(paths[0], ["b", "m"], "labels")
    )
    with pytest.raises(DataError, match=message):
        Access(tmp_path).read(resource)
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"no archive", lambda b: b""])
def test_damaged_archives_are_refused(tmp_path, damage):
    path = archive(tmp_path / "c.tar.gz", {"b": python2(batch(50, 0)), "m": python2({b"label_names": ["x"]})})
    path.write_bytes(damage(path.read_bytes()))
    resource = Resource(
        (RemoteFile("http://127.0.0.1:9/c", "c.tar.gz"),), lambda paths: read_batches(paths[0], ["b", "m"], "labels")
    )
    with pytest.raises(DataError, match=r"Cannot read .*c\.tar\.gz"):
        Access(tmp_path).read(resource)


def test_sheets_are_cut_row_by_row(tmp_path):
    tiles = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
    sheet = np.concatenate([np.concatenate(list(tiles[3 * r : 3 * r + 3]), axis=1) for r in range(2)])
    Image.fromarray(sheet).save(tmp_path / "s.webp", lossless=True)
    np.testing.assert_array_equal(read_sheet(tmp_path / "s.webp", rows=2, columns=3, side=4), tiles)


def test_mirror_holds_the_official_images(real_data, tmp_path):
    """Accuracy-free facts that are public: sizes, balance, the first labels of the test batch."""
    access = Access(tmp_path, real_data)
    images, target, classes = access.read(TEST)
    assert images.shape == (10_000, 32, 32, 3)
    assert np.bincount(target).tolist() == [1_000] * 10
    assert [classes[k] for k in target[:5]] == ["cat", "ship", "ship", "airplane", "frog"]
    assert classes == CLASSES


@pytest.mark.slow
def test_mirror_holds_the_official_train_images(real_data, tmp_path):
    images, target, _ = Access(tmp_path, real_data).read(TRAIN)
    assert np.bincount(target).tolist() == [5_000] * 10
    mean = images.reshape(-1, 3).mean(0) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=5e-4)

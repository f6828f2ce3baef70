"""MNIST and Fashion-MNIST: idx files and simulated annotators."""

import gzip
import struct

import numpy as np
import pytest

from hilmix.data.sources import Options
from hilmix.data.sources.base import Access
from hilmix.data.sources.mnist import FASHION, MNIST, Images, read_canonical, read_idx
from hilmix.errors import DataError


def write_idx(path, array, kind=0x08):
    head = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))
    return path


def test_idx_files_keep_their_shape(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (3, 4, 5), dtype=np.uint8)
    np.testing.assert_array_equal(read_idx(write_idx(tmp_path / "x.gz", array)), array)


def test_idx_files_of_another_type_are_refused(tmp_path):
    with pytest.raises(DataError, match="first bytes"):
        read_idx(write_idx(tmp_path / "x.gz", np.zeros(3, dtype=np.uint8), kind=0x0D))


def test_train_and_test_are_joined(tmp_path):
    arrays = [np.full((3, 2, 2), 1), np.array([7, 8, 9]), np.full((2, 2, 2), 2), np.array([1, 0])]
    paths = [write_idx(tmp_path / f"{i}.gz", a.astype(np.uint8)) for i, a in enumerate(arrays)]
    images, target, train = read_canonical(paths)
    assert train == 3
    assert target.tolist() == [7, 8, 9, 1, 0]
    assert images[:, 0, 0].tolist() == [1, 1, 1, 2, 2]


def test_labels_of_another_length_are_refused(tmp_path):
    arrays = [np.zeros((3, 2, 2)), np.zeros(2), np.zeros((2, 2, 2)), np.zeros(2)]
    paths = [write_idx(tmp_path / f"{i}.gz", a.astype(np.uint8)) for i, a in enumerate(arrays)]
    with pytest.raises(DataError, match="numbers of labels"):
        read_canonical(paths)


@pytest.mark.parametrize("source", [MNIST, FASHION])
def test_options_are_applied(source):
    class Given:
        def read(self, resource):
            rng = np.random.default_rng(0)
            return Images(rng.integers(0, 256, (60, 4, 4), dtype=np.uint8), np.arange(60) % 10, 50)

    data = source.build(Given(), Options(seed=1, annotators=7, labels_per_item=(1, 2)))
    assert data.annotations.num_annotators == 7
    assert set(data.annotations.labels_per_item.tolist()) == {1, 2}
    assert data.split.tolist() == ["train"] * 50 + ["test"] * 10
    assert data.items[49:51] == ("train-00049", "test-00000")
    other = source.build(Given(), Options(seed=2, annotators=7, labels_per_item=(1, 2)))
    assert other.annotations.labels_per_item.tolist() != data.annotations.labels_per_item.tolist()


@pytest.mark.parametrize(("source", "mean"), [(MNIST, 0.1307), (FASHION, 0.2860)])
def test_images_of_the_mirror(real_data, tmp_path, source, mean):
    images, target, train = Access(tmp_path, real_data).read(source.resources[0])
    assert images.shape == (70_000, 28, 28)
    assert train == 60_000
    assert len(target) == 70_000
    assert images[:train].mean() / 255 == pytest.approx(mean, abs=5e-5)

"""CIFAR-10 and CIFAR-100 images and official labels, which several annotated data sets build on."""

import io
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilmix.data.sources.base import Resource, require_published
from hilmix.data.sources.fetch import RemoteFile
from hilmix.data.sources.pickles import ArrayUnpickler

CITATION = "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009 (images)"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Cifar(NamedTuple):
    """Images and official labels, in the official order."""

    images: NDArray[np.uint8]
    """(N, 32, 32, 3)."""
    target: NDArray[np.int64]
    """(N,)."""
    classes: tuple[str, ...]


def read_batches(archive: Path, members: list[str], label: str) -> Cifar:
    """Read pickled batches from a CIFAR archive without unpacking it.

    Args:
        archive: ``cifar-10-python.tar.gz`` or ``cifar-100-python.tar.gz``.
        members: names of the batches, then the name of the file with the class names.
        label: key of the labels; class names are under ``<label without s>_names``.
    """
    with tarfile.open(archive, "r:gz") as tar:
        *batches, meta = [_unpickle(tar, member) for member in members]
    images = np.concatenate([np.asarray(batch["data"], dtype=np.uint8) for batch in batches])
    target = np.concatenate([np.asarray(batch[label], dtype=np.int64) for batch in batches])
    require_published(f"{archive}: shape of the images", images.shape, (len(target), 3072))
    classes = tuple(meta[f"{label.removesuffix('s')}_names"])
    # Copied into its final order once; a transposed view would be gathered with strides in every batch.
    return Cifar(np.ascontiguousarray(images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), target, classes)


def _unpickle(tar: tarfile.TarFile, member: str) -> dict[str, Any]:
    stream = tar.extractfile(member)
    if stream is None:
        raise KeyError(member)
    # latin1 is how numpy wants the bytes of Python 2 arrays; it also turns the keys into str.
    # A pickle can run code; this reader knows arrays and plain values, which is all that CIFAR's batches hold.
    content: dict[str, Any] = ArrayUnpickler(io.BytesIO(stream.read()), encoding="latin1").load()
    return content


def read_sheet(path: Path, *, rows: int, columns: int, side: int) -> NDArray[np.uint8]:
    """(rows * columns, side, side, 3) tiles of one large picture, row by row."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    tiles = pixels.reshape(rows, side, columns, side, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(tiles.reshape(-1, side, side, 3))


def _read_mirrored(paths: list[Path], split: str) -> Cifar:
    *sheets, labels = paths
    images = np.concatenate([read_sheet(sheet, rows=100, columns=100, side=32) for sheet in sheets])
    with np.load(labels) as archive:
        target = archive[f"y_{split}"].astype(np.int64)
    require_published(f"{labels}: number of {split} labels", len(target), len(images))
    return Cifar(images, target, CLASSES)


_ARCHIVE = RemoteFile(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "cifar-10-python.tar.gz",
    170_498_071,
    "md5:c58f30108f718f92721af3b95e74349a",
)
_FOLDER = "cifar-10-batches-py"
TRAIN = Resource(
    (_ARCHIVE,),
    lambda paths: read_batches(
        paths[0], [*(f"{_FOLDER}/data_batch_{i}" for i in range(1, 6)), f"{_FOLDER}/batches.meta"], "labels"
    ),
    (*(f"cifar10/data_batch_{i}.webp" for i in range(1, 6)), "cifar10/labels.npz"),
    lambda paths: _read_mirrored(paths, "train"),
)
TEST = Resource(
    (_ARCHIVE,),
    lambda paths: read_batches(paths[0], [f"{_FOLDER}/test_batch", f"{_FOLDER}/batches.meta"], "labels"),
    ("cifar10/test_batch.webp", "cifar10/labels.npz"),
    lambda paths: _read_mirrored(paths, "test"),
)

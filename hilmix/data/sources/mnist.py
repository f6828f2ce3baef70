"""MNIST and Fashion-MNIST with simulated annotators that are weak classifiers."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.simulation.weak_classifiers import simulate_classifiers
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile


class Images(NamedTuple):
    """Train images, then test images."""

    images: NDArray[np.uint8]
    """(70000, 28, 28)."""
    target: NDArray[np.int64]
    train: int
    """Number of train images."""


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The unsigned bytes of a gzipped idx file, in their shape."""
    with gzip.open(path) as stream:
        content = stream.read()
    # Two zeros, then the type: 8 is unsigned bytes.
    require_published(f"{path}: first bytes", content[:3], b"\x00\x00\x08")
    dims = content[3]
    # The format is big-endian.
    shape = tuple(int(n) for n in np.frombuffer(content, dtype=">u4", count=dims, offset=4))
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dims).reshape(shape)


def read_canonical(paths: list[Path]) -> Images:
    """From train images, train labels, test images, test labels as idx files."""
    return _join(*(read_idx(path) for path in paths))


def _read_mirrored(paths: list[Path]) -> Images:
    with np.load(paths[0]) as train, np.load(paths[1]) as test:
        return _join(train["x"], train["y"], test["x"], test["y"])


def _join(
    train: NDArray[np.uint8], train_target: NDArray[np.uint8], test: NDArray[np.uint8], test_target: NDArray[np.uint8]
) -> Images:
    require_published("numbers of labels", (len(train_target), len(test_target)), (len(train), len(test)))
    target = np.concatenate([train_target, test_target]).astype(np.int64)
    return Images(np.concatenate([train, test]), target, len(train))


def _build_resource(name: str, root: str, sizes: tuple[int, ...], checksums: tuple[str, ...]) -> Resource[Images]:
    stems = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = tuple(
        RemoteFile(f"{root}/{stem}-ubyte.gz", f"{name}/{stem}-ubyte.gz", size, checksum)
        for stem, size, checksum in zip(stems, sizes, checksums, strict=True)
    )
    return Resource(files, read_canonical, (f"{name}/train.npz", f"{name}/test.npz"), _read_mirrored)


MNIST_IMAGES = _build_resource(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    (9_912_422, 28_881, 1_648_877, 4_542),
    (
        "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "md5:9fb629c4189551a2d022fa330f9573f3",
        "md5:ec29112dd5afa0611ce80d1b7f02629c",
    ),
)
FASHION_IMAGES = _build_resource(
    "fashion-mnist",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
    (26_421_880, 29_515, 4_422_102, 5_148),
    (
        "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "md5:25c81989df183df01b3e8a0aad5dffbe",
        "md5:bef4ecab320f06d8554ea6380940ec79",
        "md5:bb300cfdad3c16e7a12a480ee83cd310",
    ),
)


def _create_build(
    name: str, resource: Resource[Images], classes: tuple[str, ...], licence: str
) -> Callable[[Access, Options], AnnotatedData]:
    def build(access: Access, options: Options) -> AnnotatedData:
        images, target, train = access.read(resource)
        n = len(target)
        return AnnotatedData(
            name=name,
            items=tuple(f"train-{i:05d}" if i < train else f"test-{i - train:05d}" for i in range(n)),
            inputs=ArrayInputs(images, "image"),
            annotations=simulate_classifiers(
                images,
                target,
                classes=classes,
                num_annotators=options.annotators,
                labels_per_item=options.labels_per_item,
                seed=options.seed,
            ),
            target=target,
            split=np.repeat(["train", "test"], [train, n - train]),
            licence=licence,
        )

    return build


DIGITS = tuple("0123456789")
CLOTHES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_NOTE = (
    "Annotators are simulated weak classifiers, trained on biased bootstraps of train and test (annot-mix protocol)."
)
MNIST = Source(
    name="mnist",
    summary="70,000 handwritten digits with simulated annotators",
    licence="usually given as CC BY-SA 3.0",
    citation="Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits",
    build=_create_build("mnist", MNIST_IMAGES, DIGITS, "usually given as CC BY-SA 3.0"),
    resources=(MNIST_IMAGES,),
    options=("seed", "annotators", "labels_per_item"),
    profile=Profile(
        "70,000", "20, simulated", "2 or 3", "26.5 % (seed 0)", "many pictures; errors that depend on the input"
    ),
    note=_NOTE,
)
FASHION = Source(
    name="fashion-mnist",
    summary="70,000 pictures of clothes with simulated annotators",
    licence="MIT",
    citation="H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, 2017",
    build=_create_build("fashion-mnist", FASHION_IMAGES, CLOTHES, "MIT"),
    resources=(FASHION_IMAGES,),
    options=("seed", "annotators", "labels_per_item"),
    profile=Profile(
        "70,000", "20, simulated", "2 or 3", "32.2 % (seed 0)", "the same, with classes that are harder to tell"
    ),
    note=_NOTE,
)

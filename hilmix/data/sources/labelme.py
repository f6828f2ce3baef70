"""LabelMe with 59 annotators: scene images, and ready VGG-16 features."""

import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs, InputKind
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.cifar10 import read_sheet
from hilmix.data.sources.fetch import RemoteFile

LICENCE = "none stated (LabelMe images are given for research)"
CITATION = "F. Rodrigues, F. Pereira, Deep Learning from Crowds, AAAI 2018"
CLASSES = ("coast", "forest", "highway", "insidecity", "mountain", "opencountry", "street", "tallbuilding")
_CODES = ("highway", "insidecity", "tallbuilding", "street", "forest", "coast", "mountain", "opencountry")
"""Classes by the integers of the archive."""
_SPLITS = {"train": "train", "valid": "val", "test": "test"}
_SIDE = 128


class LabelMe(NamedTuple):
    """Inputs and truth of N items, votes on some of them."""

    items: tuple[str, ...]
    inputs: NDArray[np.generic]
    """(N, 128, 128, 3) uint8 or (N, 512) float32."""
    target: NDArray[np.int64]
    split: NDArray[np.str_]
    votes: NDArray[np.int64]
    """(L, 3) rows of item, annotator, label."""


class _Archive:
    """The published archive, read without unpacking it."""

    def __init__(self, path: Path) -> None:
        self.path, self.tar = path, tarfile.open(path, "r:gz")  # noqa: SIM115

    def __enter__(self) -> "_Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.tar.close()

    def read(self, member: str) -> io.BytesIO:
        stream = self.tar.extractfile(f"LabelMe/{member}")
        if stream is None:
            raise KeyError(member)
        return io.BytesIO(stream.read())

    def array(self, name: str) -> NDArray[np.generic]:
        found: NDArray[np.generic] = np.load(self.read(f"prepared/{name}.npy"), allow_pickle=False)
        return found

    def names(self, split: str) -> list[str]:
        return self.read(f"filenames_{split}.txt").read().decode().split()

    def image(self, split: str, name: str) -> NDArray[np.uint8]:
        with Image.open(self.read(f"{split}/{name.split('_')[0]}/{name}")) as picture:
            return np.asarray(picture.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


def _recode_alphabetically(code: NDArray[np.generic]) -> NDArray[np.int64]:
    # File names carry class names and the arrays the author's numbers; one order serves both.
    order = np.array([CLASSES.index(name) for name in _CODES])
    alphabetical: NDArray[np.int64] = order[code.astype(np.int64)]
    return alphabetical


def _votes(answers: NDArray[np.generic]) -> NDArray[np.int64]:
    """(L, 3) from the (1000, 77) matrix with -1 for "did not label"; slots without any label are left out."""
    item, slot = np.nonzero(answers.astype(np.int64) >= 0)
    # 77 slots, of which 18 never labelled: 59 annotators are left.
    _, annotator = np.unique(slot, return_inverse=True)
    return np.column_stack([item, annotator, _recode_alphabetically(answers[item, slot])])


def read_images(paths: list[Path]) -> LabelMe:
    """Images of all three splits, reduced to 128 pixels, and the votes on the train images."""
    with _Archive(paths[0]) as archive:
        names = {split: archive.names(split) for split in _SPLITS}
        images = [archive.image(split, name) for split in _SPLITS for name in names[split]]
        answers = np.loadtxt(archive.read("answers.txt"), ndmin=2)
    flat = [Path(name).stem for split in _SPLITS for name in names[split]]
    target = np.array([CLASSES.index(name.split("_")[0]) for name in flat])
    split = np.repeat(list(_SPLITS.values()), [len(names[s]) for s in _SPLITS])
    return LabelMe(tuple(flat), np.stack(images), target, split, _votes(answers))


def read_features(paths: list[Path]) -> LabelMe:
    """VGG-16 features of all three splits, averaged over positions, and the votes on the train items."""
    with _Archive(paths[0]) as archive:
        maps = [archive.array(f"data_{split}_vgg16") for split in _SPLITS]
        target = np.concatenate([_recode_alphabetically(archive.array(f"labels_{split}")) for split in _SPLITS])
        votes = _votes(archive.array("answers"))
    features = np.concatenate([m.reshape(len(m), -1, m.shape[-1]).mean(1) for m in maps]).astype(np.float32)
    return _name_items(features, target, [len(m) for m in maps], votes)


def _name_items(
    inputs: NDArray[np.generic], target: NDArray[np.int64], sizes: list[int], votes: NDArray[np.int64]
) -> LabelMe:
    items = tuple(f"{split}-{i:04d}" for split, n in zip(_SPLITS.values(), sizes, strict=True) for i in range(n))
    return LabelMe(items, inputs, target, np.repeat(list(_SPLITS.values()), sizes), votes)


def _read_mirrored_labels(path: Path) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]:
    with np.load(path) as archive:
        votes = np.column_stack([archive[key].astype(np.int64) for key in ("item", "annotator", "label")])
        return tuple(archive["filename"].tolist()), archive["y"].astype(np.int64), votes


def _read_mirrored_images(paths: list[Path]) -> LabelMe:
    items, target, votes = _read_mirrored_labels(paths[0])
    images = read_sheet(paths[1], rows=25, columns=40, side=_SIDE)
    return LabelMe(items, images, target, np.full(len(items), "train"), votes)


def _read_mirrored_features(paths: list[Path]) -> LabelMe:
    _, train, votes = _read_mirrored_labels(paths[0])
    with np.load(paths[1]) as archive:
        parts = [archive[f"x_{split}"] for split in _SPLITS]
        target = np.concatenate([train, archive["y_valid"], archive["y_test"]]).astype(np.int64)
    return _name_items(np.concatenate(parts), target, [len(p) for p in parts], votes)


_ARCHIVE = RemoteFile(
    "http://fprodrigues.com/deep_LabelMe.tar.gz",
    "deep_LabelMe.tar.gz",
    unverified="its author publishes it by http, without size or checksum",
)
_IMAGES = Resource(
    (_ARCHIVE,),
    read_images,
    ("labelme/labelme.npz", "labelme/train_128.webp"),
    _read_mirrored_images,
)
_FEATURES = Resource(
    (_ARCHIVE,),
    read_features,
    ("labelme/labelme.npz", "labelme/vgg16_features.npz"),
    _read_mirrored_features,
)


def _data(name: str, found: LabelMe, kind: InputKind) -> AnnotatedData:
    item, annotator, label = found.votes.T
    number = int(annotator.max()) + 1
    require_published(
        "LabelMe: train items, annotators, answers",
        (int((found.split == "train").sum()), number, len(item)),
        (1_000, 59, 2_547),
    )
    return AnnotatedData(
        name=name,
        items=found.items,
        inputs=ArrayInputs(found.inputs, kind),
        annotations=Annotations.build(
            item, annotator, label, num_items=len(found.items), classes=CLASSES, annotators=number
        ),
        target=found.target,
        # The mirror holds the train images alone: without a split the run draws its own.
        split=None if (found.split == "train").all() else found.split,
        licence=LICENCE,
    )


def _build_images(access: Access, options: Options) -> AnnotatedData:
    return _data(IMAGES.name, access.read(_IMAGES), "image")


def _build_features(access: Access, options: Options) -> AnnotatedData:
    return _data(FEATURES.name, access.read(_FEATURES), "vector")


_CHECKS = "No size or checksum of the archive is published; the numbers of items, annotators and answers are checked."
IMAGES = Source(
    name="labelme",
    summary="1,000 scene images at 128 px in 8 classes, 1 to 3 labels each, by 59 annotators",
    licence=LICENCE,
    citation=CITATION,
    build=_build_images,
    resources=(_IMAGES,),
    profile=Profile(
        "2,688 (1,000 with labels)", "59", "1 to 3, mean 2.5", "26.0 %", "photographs; few items, noisy people"
    ),
    note="The mirror holds the train images only, so that validation and test are held out of them; the archive also "
    f"holds 500 validation and 1,188 test images, without votes. {_CHECKS}",
)
FEATURES = Source(
    name="labelme-features",
    summary="VGG-16 features (512) of LabelMe: 1,000 train items with votes, 500 validation and 1,188 test items",
    licence=LICENCE,
    citation=CITATION,
    build=_build_features,
    resources=(_FEATURES,),
    profile=Profile(
        "2,688 (1,000 with labels)", "59", "1 to 3, mean 2.5", "26.0 %", "the same in seconds, as ready features"
    ),
    note=f"Validation and test carry truth and no votes. {_CHECKS}",
)

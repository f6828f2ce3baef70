"""CIFAR-10H: about 51 human labels for each CIFAR-10 test image, as counts and by annotator."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources import cifar10
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile

LICENCE = "CC BY-NC-SA 4.0; CIFAR-10 images: none stated"
CITATION = (
    "J. Peterson, R. Battleday, T. Griffiths, O. Russakovsky, Human uncertainty makes classification more robust, "
    f"ICCV 2019; {cifar10.CITATION}"
)
_COUNTS_AT = "https://github.com/jcpeterson/cifar-10h/raw/597cbc5f07266c9405b830ee4a53463539124c4f/data"
_RAW_AT = "https://github.com/jcpeterson/cifar-10h/raw/389f22d9d300ec71a4c44735d46f550c94b957ab/data"


class Labels(NamedTuple):
    """Single answers: (L,) each."""

    item: NDArray[np.int64]
    annotator: NDArray[np.int64]
    label: NDArray[np.int64]
    seconds: NDArray[np.float64] | None


def read_counts(paths: list[Path]) -> NDArray[np.int64]:
    """(10000, 10) votes per test image and class, from ``cifar10h-counts.npy`` or the mirror."""
    loaded = np.load(paths[0], allow_pickle=False)
    # The publisher has a bare array, the mirror an archive of several.
    counts = np.asarray(loaded["counts"] if isinstance(loaded, np.lib.npyio.NpzFile) else loaded).astype(np.int64)
    require_published(f"{paths[0]}: shape and total", (counts.shape, int(counts.sum())), ((10_000, 10), 511_000))
    return counts


def read_raw(paths: list[Path]) -> Labels:
    """All answers of ``cifar10h-raw.zip``, attention checks left out."""
    columns = ["annotator_id", "chosen_label", "cifar10_test_test_idx", "reaction_time"]
    with zipfile.ZipFile(paths[0]) as archive, archive.open("cifar10h-raw.csv") as stream:
        frame = pd.read_csv(stream, usecols=columns)
    frame = frame[frame["cifar10_test_test_idx"] >= 0]  # -99999 marks an attention check
    item, annotator, label = (frame[c].to_numpy(dtype=np.int64) for c in (columns[2], columns[0], columns[1]))
    seconds = frame["reaction_time"].to_numpy(dtype=np.float64) / 1000
    return Labels(item, annotator, label, np.where(seconds >= 0, seconds, np.nan))


def _mirrored_raw(paths: list[Path]) -> Labels:
    with np.load(paths[0]) as archive:
        item, annotator, label = (archive[f"raw_{c}"].astype(np.int64) for c in ("item", "annotator", "label"))
    return Labels(item, annotator, label, None)


_COUNTS = Resource(
    (RemoteFile(f"{_COUNTS_AT}/cifar10h-counts.npy", "cifar10h/cifar10h-counts.npy", 800_128),),
    read_counts,
    ("cifar10h/cifar10h.npz",),
    read_counts,
)
_RAW = Resource(
    (RemoteFile(f"{_RAW_AT}/cifar10h-raw.zip", "cifar10h/cifar10h-raw.zip"),),
    read_raw,
    ("cifar10h/cifar10h.npz",),
    _mirrored_raw,
)


def _build_counts(access: Access, options: Options) -> AnnotatedData:
    images, target, classes = access.read(cifar10.TEST)
    return AnnotatedData(
        name=COUNTS.name,
        items=tuple(f"test-{i:05d}" for i in range(len(images))),
        inputs=ArrayInputs(images, "image"),
        annotations=Annotations.from_counts(access.read(_COUNTS), classes=classes),
        target=target,
        licence=LICENCE,
    )


def _build_raw(access: Access, options: Options) -> AnnotatedData:
    labels = access.read(_RAW)
    images, target, classes = access.read(cifar10.TEST)
    # Images without an answer that counts are left out, so the rows are numbered anew.
    shown, item = np.unique(labels.item, return_inverse=True)
    names, annotator = np.unique(labels.annotator, return_inverse=True)
    require_published("CIFAR-10H: annotators", len(names), 2_571)
    return AnnotatedData(
        name=RAW.name,
        items=tuple(f"test-{i:05d}" for i in shown),
        inputs=ArrayInputs(images[shown], "image"),
        annotations=Annotations.build(
            item,
            annotator,
            labels.label,
            num_items=len(shown),
            classes=classes,
            annotators=[str(a) for a in names],
            seconds=labels.seconds,
        ),
        target=target[shown],
        licence=LICENCE,
    )


COUNTS = Source(
    name="cifar10h-counts",
    summary="CIFAR-10 test images, 511,000 human votes as counts (annotators exchangeable)",
    licence=LICENCE,
    citation=CITATION,
    build=_build_counts,
    resources=(_COUNTS, cifar10.TEST),
    profile=Profile(
        "10,000", "exchangeable", "47 to 63, mean 51", "4.8 %", "distributions of people; human uncertainty"
    ),
    note="No checksum of the counts is published; size, shape and total are checked. The release leaves out 16 of the "
    "2,571 annotators.",
)
RAW = Source(
    name="cifar10h",
    summary="CIFAR-10 test images, each answer with its annotator (2,571 annotators)",
    licence=LICENCE,
    citation=CITATION,
    build=_build_raw,
    resources=(_RAW, cifar10.TEST),
    profile=Profile("10,000 (mirror 500)", "2,571", "about 51", "about 5 %", "very many annotators, with times"),
    note="The canonical archive holds all 10,000 images (514,200 answers); the mirror only images 9500 to 9999 (25,752 "
    "answers). No size or checksum of the archive is published; the number of annotators is checked.",
)

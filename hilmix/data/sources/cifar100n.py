"""CIFAR-100N: one human label for each CIFAR-100 train image, by 519 annotators."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.cifar10 import Cifar, read_batches
from hilmix.data.sources.cifar10n import CITATION, LICENCE, load_arrays
from hilmix.data.sources.fetch import RemoteFile

_HITS = 5  # images that an annotator labelled on one page


class Human(NamedTuple):
    """(50000,) each, in the order of the images."""

    clean: NDArray[np.int64]
    label: NDArray[np.int64]
    annotator: NDArray[np.int64]
    seconds: NDArray[np.float64]


def _spread(
    clean: NDArray[np.int64], label: NDArray[np.int64], who: NDArray[np.int64], time: NDArray[np.int64]
) -> Human:
    """Pages to images: an image's time is its share of the page."""
    return Human(clean, label, np.repeat(who, _HITS), np.repeat(time / _HITS, _HITS))


def read_human(paths: list[Path]) -> Human:
    """Labels of ``CIFAR-100_human.pt`` with annotators and times of ``side_info_cifar100N.csv``."""
    arrays, pages = load_arrays(paths[0]), pd.read_csv(paths[1])
    first = pages["Image-batch"].str.split("--").str[0].astype(np.int64)
    # In the order of their first image, as the labels are.
    pages = pages.iloc[np.argsort(first.to_numpy(), kind="stable")]
    who, time = (pages[c].to_numpy(dtype=np.int64) for c in ("Worker-id", "Work-time-in-seconds"))
    return _spread(arrays["clean_label"], arrays["noisy_label"], who, time)


def _read_mirrored(paths: list[Path]) -> Human:
    with np.load(paths[0]) as archive:
        keys = ("clean", "noisy", "hit_annotator", "hit_seconds")
        clean, label, who, time = (archive[key].astype(np.int64) for key in keys)
    return _spread(clean, label, who, time)


def read_images(paths: list[Path]) -> tuple[Cifar, Cifar]:
    """Train and test images with fine labels."""
    train, test = (
        read_batches(paths[0], [f"cifar-100-python/{part}", "cifar-100-python/meta"], "fine_labels")
        for part in ("train", "test")
    )
    return train, test


_RAW = "https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/52379972e7059d24a24d0dba7fc1c05551041427"
_LABELS = Resource(
    (
        RemoteFile(
            "https://github.com/UCSC-REAL/cifar-10-100n/raw/52379972e7059d24a24d0dba7fc1c05551041427/data/CIFAR-100_human.pt",
            "cifar10n/CIFAR-100_human.pt",
            1_000_959,
        ),
        RemoteFile(f"{_RAW}/side_info_cifar100N.csv", "cifar10n/side_info_cifar100N.csv", 207_844),
    ),
    read_human,
    ("cifar10n/cifar100n.npz",),
    _read_mirrored,
)
_IMAGES = Resource(
    (
        RemoteFile(
            "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
            "cifar-100-python.tar.gz",
            169_001_437,
            "md5:eb9058c3a382ffc7106e4002c42a8d85",
        ),
    ),
    read_images,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    train, test = access.read(_IMAGES)
    human = access.read(_LABELS)
    require_published(
        "CIFAR-100N: clean labels that equal CIFAR-100's", int((human.clean == train.target).sum()), len(train.target)
    )
    names, annotator = np.unique(human.annotator, return_inverse=True)
    n, m = len(train.target), len(test.target)
    return AnnotatedData(
        name=SOURCE.name,
        items=(*(f"train-{i:05d}" for i in range(n)), *(f"test-{i:05d}" for i in range(m))),
        inputs=ArrayInputs(np.concatenate([train.images, test.images]), "image"),
        annotations=Annotations.build(
            np.arange(n),
            annotator,
            human.label,
            num_items=n + m,
            classes=train.classes,
            annotators=[str(a) for a in names],
            seconds=human.seconds,
        ),
        target=np.concatenate([train.target, test.target]),
        split=np.repeat(["train", "test"], [n, m]),
        licence=SOURCE.licence,
    )


SOURCE = Source(
    name="cifar100n",
    summary="CIFAR-100 train images with one human label each (519 annotators), and the test images without votes",
    licence=f"{LICENCE}; CIFAR-100 images: none stated",
    citation=CITATION,
    build=_build,
    resources=(_LABELS, _IMAGES),
    profile=Profile(
        "60,000 (50,000 with labels)",
        "519",
        "1",
        "40.2 %",
        "a hundred classes, one label each, known annotators, times",
    ),
    note="The mirror holds the labels only; the images are always downloaded. No checksums of the labels are "
    "published; sizes are checked and the clean labels must equal CIFAR-100's.",
)

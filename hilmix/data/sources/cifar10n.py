"""CIFAR-10N: three human labels for each CIFAR-10 train image, from annotators who have no identity."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources import cifar10
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile

LICENCE = "CC BY-NC 4.0"
CITATION = (
    "J. Wei, Z. Zhu, H. Cheng, T. Liu, G. Niu, Y. Liu, Learning with Noisy Labels Revisited, ICLR 2022; "
    f"{cifar10.CITATION}"
)
_ARRAY_TYPES = [np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in ("i1", "i2", "i4", "i8", "u1", "u2"))]
_RECONSTRUCT = np.empty(0).__reduce__()[0]


def load_arrays(path: Path) -> dict[str, NDArray[np.int64]]:
    """Integer arrays of a ``.pt`` file that holds a dict of numpy arrays, without running any code of the file."""
    # Both names of NumPy's core, which moved in version 2: a file names that of its writer.
    safe: list[Any] = [
        *_ARRAY_TYPES,
        *((_RECONSTRUCT, f"numpy.{m}.multiarray._reconstruct") for m in ("core", "_core")),
    ]
    with torch.serialization.safe_globals(safe):
        content = torch.load(path, map_location="cpu", weights_only=True)
    return {str(key): np.asarray(value).astype(np.int64) for key, value in content.items()}


def read_human(paths: list[Path]) -> NDArray[np.int64]:
    """(50000, 4): the clean label and the three human ones."""
    arrays = load_arrays(paths[0])
    return np.stack([arrays[key] for key in ("clean_label", *(f"random_label{i}" for i in (1, 2, 3)))], axis=1)


def _read_mirrored(paths: list[Path]) -> NDArray[np.int64]:
    with np.load(paths[0]) as archive:
        return np.column_stack([archive["clean"], archive["random"]]).astype(np.int64)


_LABELS = Resource(
    (
        RemoteFile(
            "https://github.com/UCSC-REAL/cifar-10-100n/raw/52379972e7059d24a24d0dba7fc1c05551041427/data/CIFAR-10_human.pt",
            "cifar10n/CIFAR-10_human.pt",
            2_401_007,
        ),
    ),
    read_human,
    ("cifar10n/cifar10n.npz",),
    _read_mirrored,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    clean, *labels = access.read(_LABELS).T
    train, test = access.read(cifar10.TRAIN), access.read(cifar10.TEST)
    require_published(
        "CIFAR-10N: clean labels that equal CIFAR-10's", int((clean == train.target).sum()), len(train.target)
    )
    n, m = len(train.target), len(test.target)
    return AnnotatedData(
        name=SOURCE.name,
        items=(*(f"train-{i:05d}" for i in range(n)), *(f"test-{i:05d}" for i in range(m))),
        inputs=ArrayInputs(np.concatenate([train.images, test.images]), "image"),
        annotations=Annotations.build(
            np.tile(np.arange(n), 3),
            # One id for all: the published ones do not line up with the labels (see `note`).
            np.zeros(3 * n, dtype=np.int64),
            np.concatenate(labels),
            num_items=n + m,
            classes=train.classes,
            annotators=["crowd"],
            exchangeable=True,
        ),
        target=np.concatenate([train.target, test.target]),
        split=np.repeat(["train", "test"], [n, m]),
        licence=f"{LICENCE}; CIFAR-10 images: none stated",
    )


SOURCE = Source(
    name="cifar10n",
    summary="CIFAR-10 train images with three human labels each, and the test images without votes",
    licence=f"{LICENCE}; CIFAR-10 images: none stated",
    citation=CITATION,
    build=_build,
    resources=(_LABELS, cifar10.TRAIN, cifar10.TEST),
    profile=Profile(
        "60,000 (50,000 with labels)",
        "exchangeable",
        "3",
        "17.2 to 18.1 %",
        "noise of people without knowing who; pictures at full size",
    ),
    note="The published annotator ids do not line up with the labels (per-annotator results on them are results on "
    "random groups), so the three labels count as exchangeable. No checksum is published; the clean labels must equal "
    "CIFAR-10's.",
)

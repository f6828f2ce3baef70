"""Describable textures: pictures of 47 kinds of texture, with simulated annotators of the annot-mix study."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from hilmix.data.inputs import ImageFiles
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.archives import shrink_pictures, unpack
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile
from hilmix.data.sources.published_splits import STUDY, simulate_published_annotators

SIDE = 224
_SPLITS = ("train", "val", "test")
SIZES, NUM_CLASSES = (1_880, 1_880, 1_880), 47


class Textures(NamedTuple):
    """N pictures, split by split."""

    paths: list[Path]
    sizes: tuple[int, ...]
    """Pictures of each split."""


def read_textures(paths: list[Path]) -> Textures:
    """From the published archive: the first of its ten partitions."""
    root = unpack(paths[0]) / "dtd"
    names = [(root / "labels" / f"{split}1.txt").read_text().split() for split in _SPLITS]
    return Textures([root / "images" / name for part in names for name in part], tuple(map(len, names)))


TEXTURES = Resource(
    (
        RemoteFile(
            "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
            "dtd-r1.0.1.tar.gz",
            625_239_812,
            "sha256:e42855a52a4950a3b59612834602aa253914755c95b0cff9ead6d07395f8e205",
        ),
    ),
    read_textures,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    paths, sizes = access.read(TEXTURES)
    classes, target = np.unique([path.parent.name for path in paths], return_inverse=True)
    require_published("DTD: pictures of each split, classes", (sizes, len(classes)), (SIZES, NUM_CLASSES))
    images, split = ImageFiles(paths, SIDE), np.repeat(_SPLITS, sizes)
    return AnnotatedData(
        name=SOURCE.name,
        items=tuple(f"{path.parent.name}/{path.stem}" for path in paths),
        inputs=images,
        annotations=simulate_published_annotators(
            shrink_pictures(images),
            target,
            split,
            classes=classes.tolist(),
            options=options,
            hidden=(128,),
            dropout=0.5,
            max_epochs=10,
        ),
        target=target,
        split=split,
        licence=SOURCE.licence,
    )


SOURCE = Source(
    name="dtd",
    summary="5,640 pictures of 47 textures at 224 px, 20 simulated annotators, one label each",
    licence="none stated (research)",
    citation="M. Cimpoi, S. Maji, I. Kokkinos, S. Mohamed, A. Vedaldi, Describing Textures in the Wild, CVPR 2014; "
    f"{STUDY}",
    build=_build,
    resources=(TEXTURES,),
    options=("seed", "annotators", "labels_per_item"),
    defaults=Options(labels_per_item=1),
    profile=Profile(
        "5,640",
        "20, simulated",
        "1; test items 20",
        "not measured (in the study 76.8 %, other annotators)",
        "very noisy pictures for pretrained networks",
    ),
    note="Annotators see 16 x 16 pixels; those of the study saw features of DINOv2, so that noise and results differ. "
    "Every annotator labels the 1,880 test pictures. The archive is unpacked in the download folder. hilmix was not "
    "tested with the original file.",
)

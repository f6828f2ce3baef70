"""Oxford flowers: pictures of 102 kinds of flower, with simulated annotators of the annot-mix study."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.data.inputs import ImageFiles
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.archives import shrink_pictures, unpack
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile
from hilmix.data.sources.published_splits import STUDY, simulate_published_annotators

SIDE = 224
_SPLITS = {"train": "trnid", "val": "valid", "test": "tstid"}
SIZES = (1_020, 1_020, 6_149)


class Flowers(NamedTuple):
    """N pictures, split by split."""

    paths: list[Path]
    target: NDArray[np.int64]
    sizes: tuple[int, ...]
    """Pictures of each split."""


def read_flowers(paths: list[Path]) -> Flowers:
    """From the archive of pictures, ``imagelabels.mat`` (classes from 1) and ``setid.mat`` (pictures from 1)."""
    from scipy.io import loadmat  # here: every command imports this module

    root, label, ids = unpack(paths[0]), loadmat(paths[1])["labels"].ravel(), loadmat(paths[2])
    parts = [ids[key].ravel().astype(np.int64) for key in _SPLITS.values()]
    number = np.concatenate(parts)
    files = [root / "jpg" / f"image_{i:05d}.jpg" for i in number]
    return Flowers(files, label[number - 1].astype(np.int64) - 1, tuple(map(len, parts)))


_ROOT = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
FLOWERS = Resource(
    (
        RemoteFile(
            f"{_ROOT}/102flowers.tgz",
            "flowers102/102flowers.tgz",
            344_862_509,
            "sha256:2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
        ),
        RemoteFile(
            f"{_ROOT}/imagelabels.mat", "flowers102/imagelabels.mat", None, "md5:e0620be6f572b9609742df49c70aed4d"
        ),
        RemoteFile(f"{_ROOT}/setid.mat", "flowers102/setid.mat", None, "md5:a5357ecc9cb78c4bef273ce3793fc85c"),
    ),
    read_flowers,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    from torchvision.datasets import Flowers102  # here: commands about data start without it, in half the time

    paths, target, sizes = access.read(FLOWERS)
    require_published("Flowers: pictures of each split", sizes, SIZES)
    images, split = ImageFiles(paths, SIDE), np.repeat(list(_SPLITS), sizes)
    return AnnotatedData(
        name=SOURCE.name,
        items=tuple(path.stem for path in paths),
        inputs=images,
        annotations=simulate_published_annotators(
            shrink_pictures(images),
            target,
            split,
            classes=Flowers102.classes,  # the files hold numbers alone
            options=options,
            hidden=(128,),
            dropout=0.5,
            max_epochs=5,
            ratio_a=(0.0, 1.5),
            ratio_b=(1.0, 2.0),
        ),
        target=target,
        split=split,
        licence=SOURCE.licence,
    )


SOURCE = Source(
    name="flowers102",
    summary="8,189 pictures of 102 flowers at 224 px, 20 simulated annotators, 2 to 4 labels each",
    licence="none stated",
    citation="M. Nilsback, A. Zisserman, Automated Flower Classification over a Large Number of Classes, 2008; "
    f"{STUDY}",
    build=_build,
    resources=(FLOWERS,),
    options=("seed", "annotators", "labels_per_item"),
    defaults=Options(labels_per_item=(2, 4)),
    profile=Profile(
        "8,189",
        "20, simulated",
        "2 to 4; test items 20",
        "not measured (in the study 67.5 %, other annotators)",
        "many classes, ten training pictures each",
    ),
    note="Annotators see 16 x 16 pixels; those of the study saw features of DINOv2, so that noise and results differ. "
    "Every annotator labels the 6,149 test pictures. The archive is unpacked in the download folder. hilmix was not "
    "tested with the original files.",
)

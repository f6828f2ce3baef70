"""ISIC skin lesions with the masks of colour patches, in the folders of the CDEP and robust_mlx releases."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilmix.data.explained import build_explained_data, draw_split
from hilmix.data.folder.masks import MaskPictures
from hilmix.data.inputs import ImageFiles
from hilmix.data.items import AnnotatedData
from hilmix.data.pictures import read_picture
from hilmix.data.sources.base import Access, Options, Profile, Source
from hilmix.errors import DataError

FOLDER = "isic"
GROUPS = ("benign", "benign with patch", "malignant")
CLASSES = ("benign", "malignant")
# As in the published runs.
SIDE = 299
_PARTS = ("processed/no_cancer", "processed/patch_no_cancer_again", "processed/cancer")
"""One folder per group."""
_SEGMENTS = "segmentation"
_DARK = 100
"""A segmentation marks pixels whose first channel is above this, as in the release; JPEG blurs the edges."""


def _read_patch(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8, 255 where the segmentation of a patch is bright."""
    pixels = np.asarray(read_picture(path, what="segmentation", mode="RGB"))[..., 0]
    return (pixels > _DARK).astype(np.uint8) * 255


def _list_files(folder: Path) -> list[Path]:
    found = sorted(f for f in folder.iterdir() if f.is_file() and not f.name.startswith("."))
    if not found:
        raise DataError(f"'{folder}' holds no images.")
    return found


def _build(access: Access, options: Options) -> AnnotatedData:
    root = access.placed(FOLDER, (*_PARTS, _SEGMENTS))
    files = [_list_files(root / part) for part in _PARTS]
    paths = [path for part in files for path in part]
    group = np.repeat(np.arange(len(GROUPS)), [len(part) for part in files])
    if both := sorted({f.name for f in files[0]} & {f.name for f in files[1]}):
        raise DataError(
            f"'{both[0]}' lies in {_PARTS[0]} and in {_PARTS[1]} ({len(both)} do); remove it from the first."
        )
    segments = [root / _SEGMENTS / path.name for path in files[1]]
    if missing := [path for path in segments if not path.is_file()]:
        raise DataError(f"'{missing[0]}' is missing ({len(missing)} are): images with a patch need its segmentation.")
    images = ImageFiles(paths, SIDE)
    return build_explained_data(
        SOURCE.name,
        images,
        (group == 2).astype(np.int64),
        draw_split(len(paths), 0.75, 0.1),
        items=tuple(f"{path.parent.name}/{path.stem}" for path in paths),
        classes=CLASSES,
        licence=SOURCE.licence,
        pictures=MaskPictures(segments, images, read=_read_patch),
        explained=np.flatnonzero(group == 1),
        painter="segmentation",
        group=group,
        groups=GROUPS,
    )


SOURCE = Source(
    name="isic",
    summary="skin lesions, benign or malignant; colour patches lie beside benign ones only",
    licence="of each image, in the ISIC Archive",
    citation="N. Codella et al., Skin Lesion Analysis Toward Melanoma Detection 2018, arXiv:1902.03368; L. Rieger, "
    "C. Singh, W. J. Murdoch, B. Yu, Interpretations are Useful, ICML 2020 (patches)",
    build=_build,
    folder=FOLDER,
    profile=Profile(
        "as placed by hand",
        "the truth alone",
        "1",
        "0 %",
        "masks of a shortcut in medical pictures; groups",
    ),
    note="Masks are of the patches; images without one have no explanation. Groups: benign, benign with patch, "
    "malignant. Split as in the robust_mlx release. hilmix was not tested with the original files.",
)

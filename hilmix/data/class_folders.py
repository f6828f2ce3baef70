"""A folder of images with one sub-folder per class, as data: what there is before anybody has labelled anything."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.columns import natural_order
from hilmix.data.items import AnnotatedData, ImageFiles
from hilmix.errors import DataError

ANNOTATOR = "folder"
"""Who gave the labels: whoever sorted the images."""
LARGEST_SIDE = 512
"""Images of one size that is larger are refused until a size is given: all of them lie in one array, as bytes."""


class ClassFolders(NamedTuple):
    """The data, and the files that were left out as no images."""

    data: AnnotatedData
    left_out: tuple[Path, ...]


def read_class_folders(root: Path, *, image_size: int | None = None) -> ClassFolders:
    """Reads images from ``root/CLASS/...``; the class is an image's target and its one label, by :data:`ANNOTATOR`.

    Items are called by their path in ``root``. Hidden files and folders are skipped.

    Args:
        root: the folder. Its sub-folders are the classes, whatever lies in them, at any depth, the images.
        image_size: as for :class:`~hilmix.data.items.ImageFiles`.

    Raises:
        DataError: if there are fewer than two classes, one has no image, or all images are of one very large size.
    """
    folders = _class_folders(root)
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    paths: list[Path] = []
    left_out: list[Path] = []
    label: list[int] = []
    for number, folder in enumerate(folders):
        files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not _hidden(file, root)]
        images = [file for file in files if file.suffix.lower() in suffixes]
        if not images:
            raise DataError(f"'{folder}' has no image; remove it, or put the images of that class into it.")
        paths += images
        left_out += [file for file in files if file.suffix.lower() not in suffixes]
        label += [number] * len(images)
    data = AnnotatedData(
        name=root.resolve().name,
        items=tuple(file.relative_to(root).as_posix() for file in paths),
        inputs=_inputs(paths, image_size),
        annotations=Annotations.build(
            np.arange(len(paths)), np.zeros(len(paths)), label, num_items=len(paths),
            classes=[folder.name for folder in folders], annotators=[ANNOTATOR],
        ),
        target=np.array(label),
    )  # fmt: skip
    return ClassFolders(data, tuple(left_out))


def _class_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"There is no folder at '{root}'. Give a folder of images with one sub-folder per class.")
    found = [one for one in root.iterdir() if one.is_dir() and not _hidden(one, root)]
    if len(found) < 2:
        raise DataError(
            f"'{root}' has {len(found)} sub-folder(s); expected one per class, at least two, with its images in it."
        )
    return sorted(found, key=lambda one: natural_order(one.name))


def _inputs(paths: list[Path], image_size: int | None) -> ImageFiles:
    inputs = ImageFiles(paths, image_size)
    _, height, width = inputs.shape
    if image_size is None and max(height, width) > LARGEST_SIDE:
        raise DataError(f"All images are {width} x {height} pixels, too large to train on. Add --image-size 128, say.")
    return inputs


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)

"""Read a folder of images with one sub-folder per class as data, whose only label is the class."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from hilmix.annotations import Annotations
from hilmix.columns import natural_order
from hilmix.data.folder.image_layout import Part, is_hidden, read_layout, require_utf8
from hilmix.data.inputs import ImageFiles
from hilmix.data.items import AnnotatedData
from hilmix.data.pictures import image_suffixes
from hilmix.errors import DataError
from hilmix.faults import Findings

ANNOTATOR = "folder"
"""Annotator of the labels, which are the names of the folders."""
LARGEST_SIDE = 512
"""Images of one size that is larger are refused until a size is given: all of them lie in one array, as bytes."""


class ClassFolders(NamedTuple):
    """The data, and the files that were left out as no images. The notes of the data say how folders were read."""

    data: AnnotatedData
    left_out: tuple[Path, ...]


def read_class_folders(root: Path, *, image_size: int | None = None) -> ClassFolders:
    """Read images from ``CLASS/...``, ``SPLIT/CLASS/...`` or ``CLASS/SPLIT/...``.

    The class is an image's target and its one label, by :data:`ANNOTATOR`. Items are called by their path in ``root``.
    Hidden files and folders are skipped.

    Args:
        root: the folder, see :func:`~hilmix.data.folder.image_layout.read_layout`.
        image_size: as for :class:`~hilmix.data.inputs.ImageFiles`.

    Raises:
        DataError: if there are fewer than two classes, one has no image, folders may mean splits or classes, an image
            cannot be read, or all images are of one very large size.
    """
    found = Findings()
    parts = read_layout(root, found)
    classes = sorted({part.name for part in parts}, key=natural_order)
    images, left_out = _find_files(root, parts, found)
    paths = [file for _, file in images]
    splits = [part.split for part, _ in images]
    code = {name: place for place, name in enumerate(classes)}
    label = [code[part.name] for part, _ in images]
    data = AnnotatedData(
        name=root.resolve().name,
        items=tuple(file.relative_to(root).as_posix() for file in paths),
        inputs=build_image_inputs(paths, image_size),
        annotations=Annotations.build(
            np.arange(len(paths)),
            np.zeros(len(paths)),
            label,
            num_items=len(paths),
            classes=classes,
            annotators=[ANNOTATOR],
        ),
        target=np.array(label),
        split=None if splits[0] is None else np.array(splits),
        notes=tuple(found.notes),
    )
    return ClassFolders(data, left_out)


def _find_files(root: Path, parts: list[Part], found: Findings) -> tuple[list[tuple[Part, Path]], tuple[Path, ...]]:
    """The images with their folders, and the files that are none."""
    suffixes = image_suffixes()
    images: list[tuple[Part, Path]] = []
    left_out: list[Path] = []
    for part in parts:
        # Sorted, as file systems list in an order of their own, and splits are drawn by row.
        # At any depth: a class may be divided into further folders.
        files = [file for file in sorted(part.folder.rglob("*")) if file.is_file() and not is_hidden(file, root)]
        for file in files:
            require_utf8(file)
        images += [(part, file) for file in files if file.suffix.lower() in suffixes]
        left_out += [file for file in files if file.suffix.lower() not in suffixes]
    _check_filled(parts, {part for part, _ in images}, found)
    beside = [f for f in _find_files_beside(root, parts) if f.suffix.lower() in suffixes]
    if beside:
        text = f"images outside of class folders are left out, such as '{beside[0]}'"
        found.note("left-out", root, found=text, count=len(beside))
    return images, tuple(left_out)


def _check_filled(parts: list[Part], filled: set[Part], found: Findings) -> None:
    """Refuse classes without any image, and note where only a split lacks one."""
    splits = dict.fromkeys(part.split for part in parts)
    for name in dict.fromkeys(part.name for part in parts):
        there = {part.split for part in filled if part.name == name}
        folder = next(part.folder for part in parts if part.name == name)
        if not there:
            raise DataError(f"'{folder}' has no image; remove it, or put the images of that class into it.")
        if missing := [split for split in splits if split not in there]:
            found.note("class-missing", folder, found=f"no image of class '{name}' in {', '.join(map(str, missing))}")


def _find_files_beside(root: Path, parts: list[Part]) -> list[Path]:
    """Files above the class folders."""
    above = sorted({root, *(part.folder.parent for part in parts)})
    return [f for folder in above for f in sorted(folder.iterdir()) if f.is_file() and not f.name.startswith(".")]


def build_image_inputs(paths: list[Path], image_size: int | None) -> ImageFiles:
    """Return the inputs of image files.

    Args:
        paths: N files.
        image_size: as for :class:`~hilmix.data.inputs.ImageFiles`.

    Raises:
        DataError: if a file cannot be read, or all are of one very large size and none is given.
    """
    inputs = ImageFiles(paths, image_size)
    _, height, width = inputs.shape
    if image_size is None and max(height, width) > LARGEST_SIDE:
        raise DataError(
            f"All images are {width} x {height} pixels, too large to train on. Set image_size, such as 128."
        )
    return inputs

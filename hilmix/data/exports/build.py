"""An export and a folder of images as annotated data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hilmix.data.exports.export import Export, ExportSettings
from hilmix.data.exports.images import match_images
from hilmix.data.exports.labels import keep_items, label_items
from hilmix.data.folder.class_folders import build_image_inputs
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.faults import Findings
from hilmix.values import quoted


def add_images(
    export: Export, images: Path | None, settings: ExportSettings, found: Findings, *, image_size: int | None = None
) -> AnnotatedData:
    """Return the items of an export that have an image, as data.

    Items without an image are left out, which is noted with their number, and so are images without an item.

    Args:
        export: the votes.
        images: folder in which the images lie; without one, items name their image relative to the export's own file.
        settings: of the export.
        found: collects faults and notes.
        image_size: as for :class:`~hilmix.data.inputs.ImageFiles`.

    Raises:
        FaultyDataError: with all faults of the votes.
        DataError: if no image is found, or cannot be used.
    """
    cells = list(export.items["image" if "image" in export.items.columns else "item"])
    paths = _find_beside(cells, export.file) if images is None else _find_in(cells, images, export, found)
    there = np.array([path is not None for path in paths])
    if missing := [cell for cell, path in zip(cells, paths, strict=True) if path is None]:
        found.note(
            "missing-image",
            export.file,
            found=f"{len(missing):,} of {len(cells):,} items have no image and are left out: {quoted(missing)}",
            count=len(missing),
        )
    labels = label_items(keep_items(export, there), settings, found)
    found.raise_if_any(export.file)
    assert labels is not None, "what is None comes with a fault"
    return AnnotatedData(
        name=labels.name,
        items=labels.items,
        inputs=build_image_inputs([path for path in paths if path is not None], image_size),
        annotations=labels.annotations,
        target=labels.target,
        split=labels.split,
        notes=tuple(found.notes),
        duplicates=labels.duplicates,
    )


def _find_in(cells: Sequence[str], folder: Path, export: Export, found: Findings) -> list[Path | None]:
    match = match_images(cells, folder)
    found.note("images", export.file, found=f"images are matched by {match.way}")
    if match.surplus:
        names = [path.relative_to(folder).as_posix() for path in match.surplus]
        text = f"{len(names):,} of {len(match.files):,} images belong to no item and are left out: {quoted(names)}"
        found.note("surplus-images", folder, found=text, count=len(names))
    return [match.files[place] if place >= 0 else None for place in match.file.tolist()]


def _find_beside(cells: Sequence[str], file: Path) -> list[Path | None]:
    paths = [file.parent / cell for cell in cells]
    found = [path if path.is_file() else None for path in paths]
    if not any(found):
        raise DataError(
            f"{file} names no image that lies beside it, such as '{paths[0] if paths else file.parent}'. Give the "
            "folder of the images; for the votes alone, aggregate them without a data folder."
        )
    return found

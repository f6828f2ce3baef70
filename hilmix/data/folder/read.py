"""Read and check a data folder: ``items``, ``annotations`` and ``dataset.yaml``; see ``docs/data_folder.md``."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hilmix.data.folder.inputs import read_annotator_features, read_inputs
from hilmix.data.folder.labels import read_folder_labels
from hilmix.data.inputs import Inputs
from hilmix.data.items import AnnotatedData
from hilmix.faults import Findings

if TYPE_CHECKING:
    from hilmix.data.masks import Masks


def read_folder(root: Path | str, *, image_size: int | None = None) -> AnnotatedData:
    """Read and checks a data folder.

    Args:
        root: the folder.
        image_size: side in pixels that image files are resized to; see
            :class:`~hilmix.data.inputs.ImageFiles`.

    Raises:
        FaultyDataError: with all faults found, each with file, column or key, rows, what was found and what must be.
        DataError: if there is no such folder.
    """
    examined = examine_folder(root, image_size=image_size)
    examined.found.raise_if_any(root)
    assert examined.data is not None
    return examined.data


class FolderContents(NamedTuple):
    """Readable parts of a data folder, with all its faults and notes."""

    data: AnnotatedData | None
    """None where anything is wrong."""
    found: Findings
    """Faults and notes."""
    items: tuple[str, ...] | None
    """N item names, None where they are faulty."""
    inputs: Inputs | None
    """The N inputs, None where they cannot be read; they are decoded only when fetched."""


def examine_folder(root: Path | str, *, image_size: int | None = None, decode: bool = False) -> FolderContents:
    """Read a data folder and collects all its faults instead of raising the first.

    Args:
        root: the folder.
        image_size: as of :func:`read_folder`.
        decode: whether the pixels of image files and masks are decoded, not only their headers.

    Raises:
        DataError: only if there is no such folder.
    """
    root = Path(root)
    found = Findings()
    tables, labels = read_folder_labels(root, found)
    kind, inputs, masks, features = tables.meta.get("input"), None, None, None
    # Inputs are examined even where labels are faulty, so that one run finds the faults of both.
    if kind is not None and not tables.items.columns.empty:
        inputs = read_inputs(root, kind, tables.items, tables.file, image_size, found, decode=decode)
    if labels is not None:
        features = read_annotator_features(root, labels.annotations.annotators, found)
    if inputs is not None and tables.names is not None:
        with found.catch("masks", root / "masks"):
            paths = list(tables.items["path"]) if "path" in tables.items.columns else None
            masks = _read_masks(root, tables.names, inputs, paths, decode=decode)
    if found.faults or labels is None or inputs is None:
        return FolderContents(None, found, tables.names, inputs)
    with found.catch("sizes", root):
        data = AnnotatedData(
            name=labels.name,
            items=labels.items,
            inputs=inputs,
            annotations=labels.annotations,
            target=labels.target,
            split=tables.split,
            licence=tables.meta.get("licence"),
            annotator_features=features,
            masks=masks,
            group=tables.group,
            groups=tables.groups,
            notes=tuple(found.notes),
            duplicates=labels.duplicates,
        )
        return FolderContents(data, found, tables.names, inputs)
    return FolderContents(None, found, tables.names, inputs)


def _read_masks(
    root: Path, items: tuple[str, ...], inputs: Inputs, paths: list[str] | None, *, decode: bool
) -> "Masks | None":
    """Return the masks; without any, torch is not imported."""
    if not any((root / name).exists() for name in ("masks", "masks.npy", "masks.csv", "masks.parquet")):
        return None
    from hilmix.data.folder.masks import read_masks

    return read_masks(root, items, inputs, paths, decode=decode)

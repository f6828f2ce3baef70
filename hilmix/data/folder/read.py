"""Read and check a data folder: ``items``, ``annotations`` and ``dataset.yaml``; see ``docs/data_folder.md``."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.annotations.repeats import Duplicates
from hilmix.data.folder.inputs import read_annotator_features, read_inputs
from hilmix.data.folder.items import find_item_names, read_groups, read_item_names, read_split
from hilmix.data.folder.masks import read_masks
from hilmix.data.folder.meta import read_meta
from hilmix.data.folder.tables import read_table
from hilmix.data.folder.votes import note_similar_names, read_classes, read_label_rules, read_votes
from hilmix.data.inputs import Inputs
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.faults import Fault, Findings


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
    tables, labels = _read_labels(root, found)
    kind, inputs, masks, features = tables.meta.get("input"), None, None, None
    if kind is not None and not tables.items.columns.empty:
        inputs = read_inputs(root, kind, tables.items, tables.file, image_size, found, decode=decode)
    if labels is not None:
        features = read_annotator_features(root, labels.annotations.annotators, found)
    if inputs is not None and tables.names is not None:
        with found.catch("masks", root / "masks"):
            paths = list(tables.items["path"]) if "path" in tables.items.columns else None
            masks = read_masks(root, tables.names, inputs, paths, decode=decode)
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


class LabelledItems(NamedTuple):
    """Names, annotations and targets of a data folder, without its inputs."""

    name: str
    items: tuple[str, ...]
    annotations: Annotations
    target: NDArray[np.int64]
    """(N,) int64 true class, -1 where unknown."""
    duplicates: Duplicates = "last"
    """Rule that was applied to several labels of one annotator for one item."""
    notes: tuple[Fault, ...] = ()
    """Remarks for the user, which refuse nothing."""


def read_labels(root: Path | str) -> LabelledItems:
    """Read and checks a data folder but for its inputs, which need not be there.

    Raises:
        DataError: as :func:`read_folder`.
    """
    found = Findings()
    labels = _read_labels(Path(root), found)[1]
    found.raise_if_any(root)
    assert labels is not None
    return labels._replace(notes=tuple(found.notes))


class _Tables(NamedTuple):
    meta: dict[str, Any]
    file: Path
    items: pd.DataFrame
    names: tuple[str, ...] | None
    split: NDArray[np.str_] | None
    group: NDArray[np.int64]
    groups: tuple[str, ...]


def _describe_place(root: Path) -> str:
    """Return where a relative path was looked for; the config of a run keeps its root as it was given."""
    if root.is_absolute():
        return ""
    return (
        f", which was looked for in '{Path.cwd()}': a relative data.root starts from the folder in which the command "
        "is run. Where a saved config gives it, run in the folder in which that run was started, or give the whole "
        "path as data.root"
    )


def _read_labels(root: Path, found: Findings) -> tuple[_Tables, LabelledItems | None]:
    if not os.path.isdir(root):  # False, not an error, for a name that is too long
        raise DataError(
            f"There is no data folder at '{root}'{_describe_place(root)}. Give a folder with items.csv, "
            "annotations.csv and dataset.yaml (docs/data_folder.md), or prepare one: hilmix data list."
        )
    meta = read_meta(root, found)
    items_file, items = read_table(root, "items", found)
    votes_file, votes = read_table(root, "annotations", found)
    names = read_item_names(items, items_file, found)
    split = read_split(items, items_file, found)
    group, groups = read_groups(items, items_file, found)
    tables = _Tables(meta, items_file, items, names, split, group, groups)
    note_similar_names(names or (), items_file, "item", found)
    note_similar_names(groups, items_file, "group", found)
    declared = read_label_rules(meta)
    coded, target = read_classes(votes, votes_file, items, items_file, declared, found)
    # rows are examined even where items are faulty, against the names that there are
    known = names if names is not None else find_item_names(items, votes)
    annotations = read_votes(votes, votes_file, known, coded, declared, found)
    if names is None or annotations is None:
        return tables, None
    return tables, LabelledItems(str(meta["name"]), names, annotations, target, declared.duplicates)

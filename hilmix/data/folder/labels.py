"""Read names, annotations and targets of a data folder: all but its inputs, so that torch is not needed."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.data.folder.items import find_item_names, read_groups, read_item_names, read_split
from hilmix.data.folder.meta import read_meta
from hilmix.data.folder.tables import read_table
from hilmix.data.folder.votes import note_similar_names, read_classes, read_label_rules, read_votes
from hilmix.data.items import LabelledItems as LabelledItems
from hilmix.errors import DataError
from hilmix.faults import Findings


def read_labels(root: Path | str) -> LabelledItems:
    """Read and checks a data folder but for its inputs, which need not be there.

    Raises:
        DataError: as :func:`read_folder`.
    """
    found = Findings()
    labels = read_folder_labels(Path(root), found)[1]
    found.raise_if_any(root)
    assert labels is not None
    return labels._replace(notes=tuple(found.notes))


class FolderTables(NamedTuple):
    """The table of items of a data folder, and what ``dataset.yaml`` states."""

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


def read_folder_labels(root: Path, found: Findings) -> tuple[FolderTables, LabelledItems | None]:
    """Return the tables of a data folder, and its labels, None where anything is wrong.

    Args:
        root: the folder.
        found: collects faults and notes.

    Raises:
        DataError: only if there is no such folder.
    """
    if not os.path.isdir(root):  # False, not an error, for a name that is too long
        raise DataError(
            f"There is no data folder at '{root}'{_describe_place(root)}. Give a folder with items.csv, "
            "annotations.csv and dataset.yaml (docs/data_folder.md), or prepare one: hilmix data list."
        )
    meta = read_meta(root, found)
    items_file, items = read_table(root, "items", found)
    votes_file, votes = read_table(root, "annotations", found, coded=True)
    names = read_item_names(items, items_file, found)
    split = read_split(items, items_file, found)
    group, groups = read_groups(items, items_file, found)
    tables = FolderTables(meta, items_file, items, names, split, group, groups)
    note_similar_names(names or (), items_file, "item", found)
    note_similar_names(groups, items_file, "group", found)
    declared = read_label_rules(meta)
    coded, target = read_classes(votes, votes_file, items, items_file, declared, found)
    # rows are examined even where items are faulty, against the names that there are
    known = names if names is not None else find_item_names(items, votes)
    annotations = read_votes(votes, votes_file, known, coded, declared, found)
    if names is None or annotations is None:
        return tables, None
    return tables, LabelledItems(str(meta["name"]), names, annotations, target, declared.duplicates, split=split)

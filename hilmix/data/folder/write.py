"""Write a data folder: tables as Parquet, inputs and masks as arrays, ``dataset.yaml``; see ``docs/data_folder.md``."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from hilmix.annotations import IntArray
from hilmix.codes import UNKNOWN
from hilmix.data.inputs import Inputs
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError

if TYPE_CHECKING:
    from hilmix.data.masks import Masks

_AT_ONCE = 1024
"""Inputs in memory at a time."""


def write_folder(data: AnnotatedData, root: Path | str, *, overwrite: bool = False) -> Path:
    """Write a data folder atomically: into a temporary sibling that is renamed when complete.

    Inputs are stored as ``inputs.npy``. A folder that was interrupted never bears the final name.

    Args:
        data: what to write.
        root: the folder.
        overwrite: whether a folder of that name is replaced.

    Returns:
        The folder.

    Raises:
        DataError: if ``root`` exists and ``overwrite`` is not set.
    """
    root = Path(root)
    if root.exists() and not overwrite:
        raise DataError(f"'{root}' exists already. Remove it, or choose another folder.")
    # Beside the folder: on one file system the rename is atomic.
    partial = root.with_name(f".{root.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _write_parts(data, partial)
        # Only now that the new one is whole.
        if root.exists():
            shutil.rmtree(root)
        partial.rename(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return root


def _write_parts(data: AnnotatedData, folder: Path) -> None:
    _items_table(data).to_parquet(folder / "items.parquet", index=False)
    data.annotations.to_frame(data.items).to_parquet(folder / "annotations.parquet", index=False)
    if data.annotator_features is not None:
        _annotators_table(data).to_parquet(folder / "annotators.parquet", index=False)
    write_array(data.inputs, np.arange(len(data)), folder / "inputs.npy")
    if data.masks is not None and data.masks.num_masks:
        write_masks(data.masks, data.items, folder)
    text = yaml.safe_dump(_metadata(data), sort_keys=False, allow_unicode=True)
    (folder / "dataset.yaml").write_text(text, encoding="utf-8")


def _items_table(data: AnnotatedData) -> pd.DataFrame:
    items = pd.DataFrame({"item": list(data.items), "row": np.arange(len(data))})
    if data.split is not None:
        items["split"] = data.split
    if (data.target != UNKNOWN).any():
        names = np.asarray([*data.classes, None], dtype=object)  # -1 picks the None
        items["target"] = names[data.target]
    if data.groups:
        items["group"] = np.asarray([*data.groups, None], dtype=object)[data.group]
    return items


def _annotators_table(data: AnnotatedData) -> pd.DataFrame:
    assert data.annotator_features is not None
    names = pd.DataFrame({"annotator": list(data.annotations.annotators)})
    columns = [f"feature_{i}" for i in range(data.annotator_features.shape[1])]
    return pd.concat([names, pd.DataFrame(data.annotator_features, columns=columns)], axis=1)


def _metadata(data: AnnotatedData) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": data.name, "input": data.inputs.kind, "classes": list(data.classes)}
    if data.licence:
        meta["licence"] = data.licence
    if data.annotations.exchangeable:
        meta["identity"] = "exchangeable"
    elif data.annotations.distinct() is not data.annotations:
        # Otherwise reading the folder would drop the repeated labels that these data are about.
        meta["duplicates"] = "keep"
    elif data.duplicates != "last":
        meta["duplicates"] = data.duplicates
    return meta


def write_masks(masks: "Masks", items: tuple[str, ...], folder: Path) -> None:
    """Write the table ``masks`` and ``masks.npy``; a picture that several masks share is stored once."""
    pictures, row = np.unique(masks.picture, return_inverse=True)
    frame = pd.DataFrame(
        {
            "item": np.asarray(items, dtype=object)[masks.item],
            "annotator": np.asarray(masks.annotators, dtype=object)[masks.annotator],
            "row": row,
        }
    )
    frame.to_parquet(folder / "masks.parquet", index=False)
    write_array(masks.pictures, pictures, folder / "masks.npy")


def write_array(inputs: Inputs, rows: IntArray, file: Path) -> None:
    """Write some of the inputs as an array with the channels last, a thousand at a time."""
    pixels = inputs.kind == "image"
    first = inputs.fetch(rows[:1]).numpy()
    shape = (len(rows), *(np.moveaxis(first, 1, 3) if pixels else first).shape[1:])
    # Through a memory map, so that images of any number need not fit into memory.
    stored = np.lib.format.open_memmap(file, mode="w+", dtype=first.dtype, shape=shape)
    for start in range(0, len(rows), _AT_ONCE):
        part = inputs.fetch(rows[start : start + _AT_ONCE]).numpy()
        stored[start : start + _AT_ONCE] = np.moveaxis(part, 1, 3) if pixels else part
    stored.flush()

"""The data folder: ``items``, ``annotations`` and ``dataset.yaml``. Read, checked, and written here.

``docs/data_folder.md`` describes the layout. Every other source is prepared into it.
"""

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.columns import natural_order
from hilmix.data.arrays import array_rows, read_array, write_array
from hilmix.data.folder_masks import read_masks, write_masks
from hilmix.data.items import SPLITS, AnnotatedData, ArrayInputs, ImageFiles, InputKind, Inputs
from hilmix.data.tables import read_table
from hilmix.errors import DataError
from hilmix.types import UNKNOWN
from hilmix.yaml_files import load_yaml

_META_KEYS = ("name", "classes", "licence", "input", "identity")


def read_folder(root: Path | str, *, image_size: int | None = None) -> AnnotatedData:
    """Reads and checks a data folder.

    Args:
        root: the folder.
        image_size: side in pixels that image files are brought to; see
            :class:`~hilmix.data.items.ImageFiles`.

    Raises:
        DataError: one sentence that names the file, the column or key, what was found and what is allowed.
    """
    root = Path(root)
    labels, meta, file, items = _read_labels(root)
    features = _annotator_features(root, labels.annotations.annotators)
    inputs = _inputs(root, meta["input"], items, file, image_size)
    group, groups = _groups(items)
    return AnnotatedData(
        name=labels.name,
        items=labels.items,
        inputs=inputs,
        annotations=labels.annotations,
        target=labels.target,
        split=_split(items, file),
        licence=meta.get("licence"),
        annotator_features=features,
        masks=read_masks(root, labels.items, inputs, list(items["path"]) if "path" in items.columns else None),
        group=group,
        groups=groups,
    )


class LabelledItems(NamedTuple):
    """What a data folder says without its inputs."""

    name: str
    items: tuple[str, ...]
    annotations: Annotations
    target: NDArray[np.int64]
    """(N,) int64 true class, -1 where unknown."""


def read_labels(root: Path | str) -> LabelledItems:
    """Reads and checks a data folder but for its inputs, which need not be there.

    Raises:
        DataError: as :func:`read_folder`.
    """
    return _read_labels(Path(root))[0]


def _read_labels(root: Path) -> tuple[LabelledItems, dict[str, Any], Path, pd.DataFrame]:
    if not root.is_dir():
        raise DataError(
            f"There is no data folder at '{root}'. Give a folder with items.csv, annotations.csv and dataset.yaml "
            "(docs/data_folder.md), or prepare one: hilmix data list."
        )
    meta = _read_meta(root)
    items_file, items = read_table(root, "items")
    votes_file, votes = read_table(root, "annotations")
    names = _item_names(items, items_file)
    classes = _classes(meta, items, votes)
    try:
        annotations = Annotations.from_frame(
            votes, items=names, classes=classes, exchangeable=meta.get("identity") == "exchangeable"
        )
    except DataError as error:
        raise DataError(f"{votes_file}: {error}") from error
    target = _targets(items, classes, items_file)
    return LabelledItems(str(meta["name"]), names, annotations, target), meta, items_file, items


def write_folder(data: AnnotatedData, root: Path | str, *, overwrite: bool = False) -> Path:
    """Writes a data folder in one stroke: into a temporary sibling that is renamed when complete.

    Inputs are stored as ``inputs.npy``. A folder that was interrupted never bears the final name.

    Raises:
        DataError: if ``root`` exists and ``overwrite`` is not set.
    """
    root = Path(root)
    if root.exists() and not overwrite:
        raise DataError(f"'{root}' exists already. Remove it, or choose another folder.")
    partial = root.with_name(f".{root.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _write_parts(data, partial)
        if root.exists():
            shutil.rmtree(root)
        partial.rename(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return root


def _write_parts(data: AnnotatedData, folder: Path) -> None:
    items = pd.DataFrame({"item": list(data.items), "row": np.arange(len(data))})
    if data.split is not None:
        items["split"] = data.split
    if (data.target != UNKNOWN).any():
        names = np.asarray([*data.classes, None], dtype=object)  # -1 picks the None
        items["target"] = names[data.target]
    if data.groups:
        items["group"] = np.asarray([*data.groups, None], dtype=object)[data.group]
    items.to_parquet(folder / "items.parquet", index=False)
    data.annotations.to_frame(data.items).to_parquet(folder / "annotations.parquet", index=False)
    if data.annotator_features is not None:
        who = pd.DataFrame({"annotator": list(data.annotations.annotators)})
        columns = [f"feature_{i}" for i in range(data.annotator_features.shape[1])]
        pd.concat([who, pd.DataFrame(data.annotator_features, columns=columns)], axis=1).to_parquet(
            folder / "annotators.parquet", index=False
        )
    write_array(data.inputs, np.arange(len(data)), folder / "inputs.npy")
    if data.masks is not None and data.masks.num_masks:
        write_masks(data.masks, data.items, folder)
    meta: dict[str, Any] = {"name": data.name, "input": data.inputs.kind, "classes": list(data.classes)}
    if data.licence:
        meta["licence"] = data.licence
    if data.annotations.exchangeable:
        meta["identity"] = "exchangeable"
    (folder / "dataset.yaml").write_text(yaml.safe_dump(meta, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _read_meta(root: Path) -> dict[str, Any]:
    file = root / "dataset.yaml"
    if not file.is_file():
        raise DataError(
            f"{file} is missing. It needs at least:\nname: {root.name}\ninput: image   # or vector\n"
            f"Images in one sub-folder per class become a data folder with: hilmix data import {root}"
        )
    try:
        meta = load_yaml(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(meta, dict):
        raise DataError(f"{file} must hold keys and values such as 'name: mine' and 'input: image'.")
    if unknown := sorted(set(map(str, meta)) - set(_META_KEYS)):
        raise DataError(f"{file}: unknown key(s) {unknown}; allowed are {list(_META_KEYS)}.")
    if meta.get("input") not in ("image", "vector"):
        raise DataError(f"{file}: 'input' is {meta.get('input')!r}; allowed are 'image' and 'vector'.")
    if meta.get("identity", "exchangeable") != "exchangeable":
        raise DataError(f"{file}: 'identity' is {meta['identity']!r}; allowed is 'exchangeable', or leave it out.")
    classes = meta.get("classes")
    if classes is not None:
        names = [str(c) for c in classes] if isinstance(classes, list) else []
        if not names or len(set(names)) < len(names):
            raise DataError(f"{file}: 'classes' must be a list of different names, got {classes!r}.")
    meta.setdefault("name", root.name)
    return meta


def _item_names(items: pd.DataFrame, file: Path) -> tuple[str, ...]:
    if "item" not in items.columns:
        raise DataError(f"{file}: column 'item' is missing; found {list(map(str, items.columns))}.")
    names = items["item"]
    if names.isna().any():
        raise DataError(f"{file}, row {int(np.flatnonzero(names.isna())[0])}: 'item' is empty.")
    if names.duplicated().any():
        raise DataError(f"{file}: item '{names[names.duplicated()].iloc[0]}' occurs more than once.")
    if not len(names):
        raise DataError(f"{file} holds no items.")
    return tuple(names)


def _classes(meta: dict[str, Any], items: pd.DataFrame, votes: pd.DataFrame) -> tuple[str, ...]:
    if meta.get("classes") is not None:
        return tuple(str(c) for c in meta["classes"])
    soft = [str(c).removeprefix("prob_") for c in votes.columns if str(c).startswith("prob_")]
    if soft:
        return tuple(soft)
    seen: set[str] = set()
    for frame, column in ((votes, "label"), (items, "target")):
        if column in frame.columns:
            seen |= set(frame[column].dropna())
    if seen and all(name.isdecimal() and name == str(int(name)) for name in seen):  # '01' is a name
        return tuple(str(k) for k in range(max(map(int, seen)) + 1))
    return tuple(sorted(seen, key=natural_order))


def _targets(items: pd.DataFrame, classes: tuple[str, ...], file: Path) -> np.ndarray[Any, np.dtype[np.int64]]:
    target = np.full(len(items), UNKNOWN, dtype=np.int64)
    if "target" not in items.columns:
        return target
    known = items["target"].notna().to_numpy()
    target[known] = pd.Index(classes).get_indexer(pd.Index(items["target"][known]))
    bad = np.flatnonzero(known & (target == UNKNOWN))
    if len(bad):
        raise DataError(f"{file}, row {bad[0]}: target '{items['target'].iloc[bad[0]]}' is not one of {list(classes)}.")
    return target


def _split(items: pd.DataFrame, file: Path) -> Any:
    if "split" not in items.columns or items["split"].isna().all():
        return None
    bad = np.flatnonzero(~items["split"].isin(SPLITS).to_numpy())
    if len(bad):
        raise DataError(
            f"{file}, row {bad[0]}: split is {_shown(items['split'].iloc[bad[0]])}; allowed are {list(SPLITS)} in "
            "every row, or no split column at all (then a stratified one is drawn)."
        )
    return items["split"].to_numpy(dtype=str)


def _groups(items: pd.DataFrame) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The group of every item, -1 for none, and the names of the groups."""
    if "group" not in items.columns:
        return np.full(len(items), UNKNOWN, dtype=np.int64), ()
    names = tuple(sorted(set(items["group"].dropna()), key=natural_order))
    return pd.Index(names, dtype=object).get_indexer(pd.Index(items["group"], dtype=object)).astype(np.int64), names


def _shown(name: Any) -> str:
    return "empty" if pd.isna(name) else f"'{name}'"


def _inputs(root: Path, kind: InputKind, items: pd.DataFrame, file: Path, image_size: int | None) -> Inputs:
    if "path" in items.columns:
        if kind == "vector":
            raise DataError(f"{file}: column 'path' names images, but dataset.yaml says 'input: vector'.")
        if items["path"].isna().any():
            raise DataError(f"{file}, row {int(np.flatnonzero(items['path'].isna())[0])}: 'path' is empty.")
        return ImageFiles([root / p for p in items["path"]], image_size)
    if not (root / "inputs.npy").is_file():
        raise DataError(f"{file} has no column 'path' and {root / 'inputs.npy'} is missing; one of them is needed.")
    array = read_array(root / "inputs.npy")
    rows = array_rows(items, file, root / "inputs.npy", len(array))
    if not np.array_equal(rows, np.arange(len(array))):
        array = array[rows]
    if image_size is not None and kind == "image" and array.shape[1:3] != (image_size, image_size):
        raise DataError(
            f"image_size is {image_size}, but {root / 'inputs.npy'} holds images of {array.shape[1:3]}; "
            "sizes are only changed for image files."
        )
    return ArrayInputs(array, kind)


def _annotator_features(root: Path, annotators: tuple[str, ...]) -> Any:
    file, frame = read_table(root, "annotators", required=False)
    if frame.empty:
        return None
    if "annotator" not in frame.columns:
        raise DataError(f"{file}: column 'annotator' is missing; found {list(map(str, frame.columns))}.")
    if missing := sorted(set(annotators) - set(frame["annotator"])):
        raise DataError(f"{file}: annotator '{missing[0]}' of the annotations has no row ({len(missing)} missing).")
    numbers = frame.set_index("annotator").loc[list(annotators)]
    try:
        features = numbers.to_numpy(dtype=np.float32)
    except ValueError as error:
        raise DataError(f"{file}: every column but 'annotator' must be numeric: {error}") from error
    if not np.isfinite(features).all():
        raise DataError(f"{file}: annotator features must be finite numbers.")
    return features

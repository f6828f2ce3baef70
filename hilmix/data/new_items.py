"""New items for a trained model: one image, a folder of images, a list of files, an array, or a data folder."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.data.folder.image_layout import is_hidden
from hilmix.data.folder.read import read_folder
from hilmix.data.inputs import ArrayInputs, ImageFiles
from hilmix.data.pictures import BadPicturesError, examine_pictures
from hilmix.errors import DataError

TABLES = (".csv", ".parquet")
_FORMS = (
    "an image, a folder of images, a .txt list with a path per line, a .csv or .parquet table with a column 'path', a "
    ".npy array, or a data folder"
)


class NewItems(NamedTuple):
    """B items that a model has not seen."""

    names: tuple[str, ...]
    """B names, one for each row of the output."""
    x: Any
    """Their inputs, as :meth:`hilmix.Predictor.predict_proba` takes them."""
    votes: Annotations | None = None
    """Votes that the items come with."""


def find_new_items(place: Path) -> NewItems:
    """Return the items at a path, whatever it is.

    Args:
        place: an image; a folder of images, at any depth, named by their paths inside it; a list of paths (``.txt``, a
            path per line; ``.csv`` or ``.parquet``, with a column ``path`` and perhaps ``item``), relative to the
            list's folder; ``.npy``, vectors (B, D) or images (B, H, W, C); or a data folder, with votes or without.

    Raises:
        DataError: if nothing is there, or none of these; naming the first of the image files that cannot be read.
    """
    if not os.path.exists(place):  # False, not an error, for a name that is too long
        raise DataError(f"There is nothing at '{place}'. Give {_FORMS}.")
    if place.is_dir():
        tables = [place / f"items{suffix}" for suffix in TABLES if (place / f"items{suffix}").is_file()]
        return _of_data_folder(place, tables[0]) if tables else _of_images(place)
    if place.suffix == ".txt":
        lines = [line.strip() for line in _read_text(place).splitlines() if line.strip()]
        return _of_paths(place, lines, lines)
    if place.suffix in TABLES:
        return _of_table(place)
    if place.suffix == ".npy":
        return _of_array(place)
    return _of_paths(place, [place.name], [place.name])


def _of_data_folder(folder: Path, items: Path) -> NewItems:
    voted = any((folder / f"annotations{suffix}").is_file() for suffix in TABLES)
    if not (voted and (folder / "dataset.yaml").is_file()):
        return _of_table(items)
    data = read_folder(folder)
    # From the files: in the size of this folder they would be resized twice.
    # The model's own size is what counts, whatever size the folder asks for.
    x = data.inputs.paths if isinstance(data.inputs, ImageFiles) else data.inputs
    return NewItems(data.items, x.array if isinstance(x, ArrayInputs) else x, data.annotations)


def _of_images(folder: Path) -> NewItems:
    # Pillow also registers formats that it can only write, such as PDF.
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    files = [f for f in folder.rglob("*") if f.suffix.lower() in suffixes and f.is_file() and not is_hidden(f, folder)]
    names = sorted(file.relative_to(folder).as_posix() for file in files)
    if not names:
        raise DataError(f"The folder '{folder}' holds no images. Give {_FORMS}.")
    return _of_paths(folder / "list", names, names)


def _of_table(file: Path) -> NewItems:
    try:
        table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, dtype=str)
    except (ValueError, OSError) as error:
        raise DataError(f"Cannot read {file}: {' '.join(str(error).split())}.") from error
    if "path" not in table.columns:
        inputs = file.parent / "inputs.npy"
        if "item" in table.columns and inputs.is_file():  # a data folder of arrays
            return _of_array(inputs)._replace(names=tuple(table["item"].astype(str)))
        raise DataError(f"{file} must have the column 'path', got {list(map(str, table.columns))}.")
    if (empty := table["path"].isna()).any():
        raise DataError(f"{file}: `path` must be a file, got nothing in row {int(empty.argmax()) + 1}.")
    paths = table["path"].astype(str).tolist()
    return _of_paths(file, table["item"].astype(str).tolist() if "item" in table.columns else paths, paths)


def _of_array(file: Path) -> NewItems:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"Cannot read the array {file}: {' '.join(str(error).split())}.") from error
    return NewItems(tuple(map(str, range(len(array)))), array)


def _of_paths(beside: Path, names: list[str], paths: list[str]) -> NewItems:
    files = [beside.parent / path for path in paths]
    if not files:
        raise DataError(f"{beside} lists no files. Give {_FORMS}.")
    # Before any is predicted: the last of a million must not end the command.
    if faults := examine_pictures(files).faults:
        raise BadPicturesError(faults)
    return NewItems(tuple(names), files)


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"Cannot read {file} as a list of files: {error}. Save it as UTF-8.") from error

"""The inputs of a data folder, images or ``inputs.npy``, and the features of its annotators."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.data.folder.arrays import find_not_finite, read_array, read_array_rows
from hilmix.data.folder.tables import read_table
from hilmix.data.inputs import ArrayInputs, ImageFiles, InputKind, Inputs, require_pixels
from hilmix.data.pictures import examine_pictures
from hilmix.errors import DataError
from hilmix.faults import Findings
from hilmix.values import places


def read_inputs(
    root: Path,
    kind: InputKind,
    items: pd.DataFrame,
    file: Path,
    image_size: int | None,
    found: Findings,
    *,
    decode: bool = False,
) -> Inputs | None:
    """Return the N inputs, None where nothing is known of them; with faults, they must not be fetched.

    Args:
        root: the data folder.
        kind: ``image`` or ``vector``.
        items: N rows of the table of items.
        file: its file.
        image_size: side in pixels that image files are resized to.
        found: collects what is wrong.
        decode: whether the pixels of image files are decoded, not only their headers.
    """
    if "path" in items.columns:
        return _read_image_files(root, kind, items, file, image_size, found, decode=decode)
    with found.catch("inputs", root / "inputs.npy"):
        inputs = _read_array_inputs(root, kind, items, file, image_size)
        bad = find_not_finite(inputs.array)
        if len(bad):
            text = f"its input in {root / 'inputs.npy'} holds NaN or infinity, or numbers beyond those of 32 bits"
            found.fault("not-finite", file, found=text, remedy="Replace them or remove the items.", rows=bad)
        elif kind == "image":
            require_pixels(inputs.array)
        return inputs
    return None


def _read_image_files(
    root: Path,
    kind: InputKind,
    items: pd.DataFrame,
    file: Path,
    image_size: int | None,
    found: Findings,
    *,
    decode: bool,
) -> Inputs | None:
    if kind == "vector":
        found.fault("inputs", file, "path", found="column 'path' names images, but dataset.yaml says 'input: vector'")
        return None
    empty = np.flatnonzero(items["path"].isna())
    if len(empty):
        found.fault("empty", file, "path", found="'path' is empty", remedy="Fill it in or remove the row.", rows=empty)
        return None
    paths = [root / p for p in items["path"]]
    seen = examine_pictures(paths, file, decode=decode)
    found.faults += seen.faults
    # With the sizes that the check has found, so that headers are read once.
    return ImageFiles(paths, image_size, sizes=seen.sizes)


def _read_array_inputs(
    root: Path, kind: InputKind, items: pd.DataFrame, file: Path, image_size: int | None
) -> ArrayInputs:
    if not (root / "inputs.npy").is_file():
        raise DataError(f"{file} has no column 'path' and {root / 'inputs.npy'} is missing; one of them is needed.")
    array = read_array(root / "inputs.npy")
    rows = read_array_rows(items, file, root / "inputs.npy", len(array))
    # Indexing would read the whole memory-mapped array, so rows in order are left as they are.
    if not np.array_equal(rows, np.arange(len(array))):
        array = array[rows]
    if image_size is not None and kind == "image" and array.shape[1:3] != (image_size, image_size):
        raise DataError(
            f"`image_size` must be left out where {root / 'inputs.npy'} holds images of {array.shape[1:3]}, got "
            f"{image_size}; only image files are resized."
        )
    return ArrayInputs(array, kind)


def read_annotator_features(root: Path, annotators: tuple[str, ...], found: Findings) -> NDArray[np.float32] | None:
    """Return the (A, F) float32 numbers of the table ``annotators``, None without one.

    Args:
        root: the data folder.
        annotators: A names; their order is that of the rows.
        found: collects what is wrong.
    """
    file, frame = read_table(root, "annotators", found, required=False)
    if frame.empty:
        return None
    if "annotator" not in frame.columns:
        found.fault(
            "missing-column",
            file,
            "annotator",
            found=f"column 'annotator' is missing; found {list(map(str, frame.columns))}",
        )
        return None
    named = frame["annotator"]
    if len(empty := np.flatnonzero(named.isna())):
        found.fault("empty", file, "annotator", rows=empty, found="'annotator' is empty", remedy="Fill it in.")
        return None
    if len(again := np.flatnonzero(named.duplicated())):
        found.fault(
            "repeated-annotator",
            file,
            "annotator",
            rows=again,
            found=f"annotator '{named.iloc[again[0]]}' occurs more than once",
            remedy="Keep one row.",
        )
        return None
    row = places(annotators, list(named))
    missing = [annotators[a] for a in np.flatnonzero(row < 0)]
    if missing:
        found.fault(
            "missing-row",
            file,
            "annotator",
            count=len(missing),
            found=f"annotator '{missing[0]}' of the annotations has no row ({len(missing)} missing)",
        )
        return None
    return _read_features(frame.drop(columns="annotator").iloc[row], file, found)


def _read_features(frame: pd.DataFrame, file: Path, found: Findings) -> NDArray[np.float32] | None:
    try:
        features: NDArray[np.float32] = frame.to_numpy(dtype=np.float32)
    except (ValueError, TypeError) as error:
        found.fault("number", file, found=f"every column but 'annotator' must be numeric: {error}")
        return None
    if not np.isfinite(features).all():
        found.fault("number", file, found="annotator features must be finite numbers")
        return None
    return features

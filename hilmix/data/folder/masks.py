"""The masks of a data folder: pictures drawn in any paint program, or one array. Read and checked here."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilmix.annotations import IntArray
from hilmix.columns import encode_names, natural_order
from hilmix.data.folder.arrays import read_array, read_array_rows
from hilmix.data.folder.tables import read_table
from hilmix.data.inputs import ArrayInputs, ImageFiles, InputKind, Inputs
from hilmix.data.masks import Masks
from hilmix.data.pictures import PictureError, read_picture, read_upright_size
from hilmix.errors import DataError
from hilmix.faults import Findings, group_faults

ANNOTATOR = "someone"
"""Annotator of masks whose folder names none."""
_REMEDY = "Save it as PNG, or remove it."
_MOST_COLOUR = 24
"""Largest difference between the channels of a grey pixel; JPEG shifts colours a little."""


def read_masks(
    root: Path, items: Sequence[str], inputs: Inputs, paths: Sequence[str] | None, *, decode: bool = False
) -> Masks | None:
    """Return the masks of a data folder, None if it has none.

    Args:
        root: the data folder.
        items: N item names.
        inputs: the N inputs.
        paths: N image files of the items, if that is where the inputs come from.
        decode: whether the pixels of mask pictures are decoded, not only their headers.

    Raises:
        FaultyDataError: with all faults found.
        DataError: naming the file and what is wrong with it.
    """
    table, frame = read_table(root, "masks", required=False)
    drawn, stored = (root / "masks").is_dir(), not frame.columns.empty or (root / "masks.npy").is_file()
    if drawn and stored:
        raise DataError(f"{root} holds both pictures in 'masks' and masks.npy or its table; keep one.")
    if drawn:
        return _read_mask_pictures(root / "masks", items, inputs, paths, decode=decode)
    return _read_mask_array(root / "masks.npy", items, inputs, table, frame) if stored else None


class MaskPictures:
    """Masks in picture files, decoded to one channel when fetched, and resized as the inputs are.

    White is irrelevant, black relevant, grey in between. In a picture with a transparent part it does not matter in
    which colour something is painted: what is painted is irrelevant.

    Args:
        paths: M files.
        images: the inputs that they mask; where these are resized, so are the masks.
        read: gives the mask of a file, (H, W) uint8, 255 = irrelevant; default: as above.
    """

    kind: InputKind = "image"

    def __init__(
        self, paths: Sequence[Path], images: Inputs, *, read: Callable[[Path], NDArray[np.uint8]] | None = None
    ) -> None:
        self.paths, self._images, self._read = list(paths), images, read or read_mask

    @property
    def shape(self) -> tuple[int, ...]:
        return (1, *self._images.shape[1:])

    def __len__(self) -> int:
        return len(self.paths)

    def fetch(self, rows: IntArray) -> Tensor:
        if not len(rows):
            return torch.empty(0, *self.shape, dtype=torch.uint8)
        masks = [torch.from_numpy(self._read(self.paths[r]))[None] for r in rows]
        return torch.stack([self._images.fit(m) for m in masks] if isinstance(self._images, ImageFiles) else masks)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Return the mask that a picture shows, (H, W) uint8, 255 = irrelevant; see :class:`MaskPictures`.

    Raises:
        DataError: if the file cannot be read, is coloured and nowhere transparent, or holds only 0 and 1.
    """
    painted = np.array(read_picture(path, what="mask", remedy=_REMEDY, mode="RGBA"))
    alpha = painted[..., 3]
    # Drawn on a transparent layer, where alpha is the mask and the colour of the brush means nothing.
    if (alpha < 255).any():
        return np.ascontiguousarray(alpha)
    colours = painted[..., :3]
    # As integers, since bytes below 0 would wrap around.
    if (colours.max(2).astype(int) - colours.min(2) > _MOST_COLOUR).any():
        raise DataError(
            f"The mask {path} has colours. Draw with white on black, or on a transparent layer, and save that alone."
        )
    grey = np.array(read_picture(path, what="mask", remedy=_REMEDY, mode="L"))
    if grey.max(initial=0) == 1:
        raise DataError(f"The mask {path} holds only 0 and 1, where 255 means irrelevant; multiply it by 255.")
    return grey


def find_mask_items(root: Path, items: Sequence[str], paths: Sequence[str] | None) -> dict[Path, str]:
    """Return the item of every picture in the folder ``masks``; arguments as of :func:`read_masks`.

    Raises:
        DataError: for a picture that belongs to no item, or may belong to several.
    """
    names = _MaskNames(items, paths)
    return {file: items[names.find(file, root / "masks")[0]] for file in _list_pictures(root / "masks")}


def _read_mask_array(file: Path, items: Sequence[str], inputs: Inputs, table: Path, frame: pd.DataFrame) -> Masks:
    if not file.is_file() or frame.columns.empty:
        raise DataError(f"{file} and a table masks.csv or masks.parquet are needed together; one is missing.")
    if "item" not in frame.columns:
        raise DataError(f"{table}: column 'item' is missing; found {list(map(str, frame.columns))}.")
    if "annotator" not in frame.columns:
        frame = frame.assign(annotator=ANNOTATOR)
    for column in ("item", "annotator"):
        if frame[column].isna().any():
            raise DataError(f"{table}, row {int(frame[column].isna().to_numpy().argmax())}: '{column}' is empty.")
    annotators = sorted(set(frame["annotator"]), key=natural_order)
    array = read_array(file)
    _check_range(array, file)
    picture = read_array_rows(frame, table, file, len(array))
    try:
        masks = Masks.build(
            encode_names(frame["item"], items, "item"),
            encode_names(frame["annotator"], annotators, "annotator"),
            ArrayInputs(array, inputs.kind),
            num_items=len(items),
            annotators=annotators,
            picture=picture,
        )
        masks.check_shape(inputs.shape)
    except DataError as error:
        raise DataError(f"{table}: {error}") from error
    return masks


def _check_range(array: NDArray[Any], file: Path) -> None:
    """Refuse numbers outside the range of masks; bytes are read up to the first that is above 1."""
    if array.dtype.kind == "f":
        low, high = (array.min(), array.max()) if array.size else (0.0, 0.0)
        if not (low >= 0 and high <= 1):  # NaN too
            raise DataError(f"{file} must hold numbers from 0 (relevant) to 1 (irrelevant), got {low:g} to {high:g}.")
    elif array.dtype != np.uint8:
        raise DataError(f"{file} must hold uint8 from 0 to 255 or floats from 0 to 1, got {array.dtype}.")
    else:
        highest = 0
        for part in array:
            highest = max(highest, int(part.max(initial=0)))
            if highest > 1:
                return
        if highest == 1:
            raise DataError(f"{file} holds only 0 and 1 as uint8, where 255 means irrelevant; multiply it by 255.")


def _read_mask_pictures(
    folder: Path, items: Sequence[str], inputs: Inputs, paths: Sequence[str] | None, *, decode: bool
) -> Masks | None:
    if inputs.kind != "image":
        raise DataError(f"{folder} holds pictures, but dataset.yaml says 'input: vector'; use masks.npy instead.")
    files = _list_pictures(folder)
    if not files:
        return None
    names, findings = _MaskNames(items, paths), Findings()
    belongs: dict[Path, tuple[int, str]] = {}
    bad: list[tuple[str, str, int]] = []
    for place, file in enumerate(files):
        try:
            belongs[file] = names.find(file, folder)
            _check_size(file, belongs[file][0], inputs)
            if decode:
                read_mask(file)
        except DataError as error:
            bad.append((_fault_kind(error), str(error), place))
    # Rows would count files here, where a reader expects lines of a table.
    findings.faults += [replace(fault, rows=()) for fault in group_faults(bad, folder)]
    with findings.catch("repeated-mask", folder):
        _check_once(belongs)
    findings.raise_if_any(folder)
    annotators = sorted({who for _, who in belongs.values()}, key=natural_order)
    code = {who: place for place, who in enumerate(annotators)}
    return Masks.build(
        [item for item, _ in belongs.values()],
        [code[who] for _, who in belongs.values()],
        MaskPictures(files, inputs),
        num_items=len(items),
        annotators=annotators,
    )


def _list_pictures(folder: Path) -> list[Path]:
    return [f for f in sorted(folder.rglob("*")) if f.is_file() and not _is_hidden(f.relative_to(folder))]


def _fault_kind(error: DataError) -> str:
    """Return the kind of a fault of a mask; images have others, as a mask is dropped more easily than an item."""
    return error.kind.replace("image", "mask") if isinstance(error, PictureError) else "mask"


class _MaskNames:
    """Items by the names that a picture of a mask may bear: that of the image file, or of the item.

    The first of these that fits one item alone: path of the image, its last part, name of the item, its last part.
    """

    def __init__(self, items: Sequence[str], paths: Sequence[str] | None) -> None:
        self._items = items
        self._tables: list[dict[str, set[int]]] = []
        for names in (paths or (), items):
            bare = [_drop_suffix(name) for name in names]
            for keys in (names, [b.as_posix() for b in bare], [b.name for b in bare]):
                # Sets: a name may stand for several items, which is refused only where a mask bears it.
                table: dict[str, set[int]] = {}
                for row, key in enumerate(keys):
                    table.setdefault(key, set()).add(row)
                # The tables stay apart, best first: the name of a file wins over that of another item.
                self._tables.append(table)

    def find(self, file: Path, folder: Path) -> tuple[int, str]:
        """Return item and annotator of ``NAME.png`` or ``ANNOTATOR/NAME.png``, where NAME may be a path too."""
        name = file.relative_to(folder).with_suffix("")
        keys = [(name.as_posix(), ANNOTATOR)]
        if len(name.parts) > 1:
            keys.append((Path(*name.parts[1:]).as_posix(), name.parts[0]))
        unclear: set[int] = set()
        for key, who in keys:
            for table in self._tables:
                rows = table.get(key, set())
                if len(rows) == 1:
                    return next(iter(rows)), who
                unclear = unclear or rows
        if unclear:
            one, other = (self._items[row] for row in sorted(unclear)[:2])
            raise PictureError(
                f"The mask {file} may belong to '{one}' or '{other}'; give it the name of the item.", "mask-name"
            )
        raise PictureError(
            f"The mask {file} belongs to no item; name it after the item's image file or the item.", "mask-name"
        )


def _drop_suffix(name: str) -> Path:
    path = Path(name)
    return path.with_suffix("") if path.name else path


def _check_size(file: Path, item: int, inputs: Inputs) -> None:
    size = read_upright_size(file, what="mask", remedy=_REMEDY)
    if isinstance(inputs, ImageFiles):
        known = read_upright_size(inputs.paths[item]) if inputs.sizes is None else inputs.sizes[item]
        if known is None:  # the image itself cannot be read
            return
        expected, image = known, f"its image {inputs.paths[item]}"
    else:
        expected, image = (inputs.shape[2], inputs.shape[1]), "its image in inputs.npy"
    if size != expected:
        raise PictureError(
            f"The mask {file} has {size[0]} x {size[1]} pixels, {image} {expected[0]} x {expected[1]}.", "mask-size"
        )


def _check_once(belongs: dict[Path, tuple[int, str]]) -> None:
    first: dict[tuple[int, str], Path] = {}
    for file, key in belongs.items():
        if key in first:
            raise DataError(f"The masks {first[key]} and {file} are of one item by one annotator; keep one.")
        first[key] = file


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)

"""Inputs of new items for a trained model: files, pictures and arrays of any size, brought to the model's shape."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from hilmix.columns import IntArray
from hilmix.data.inputs import ArrayInputs, InputKind, Inputs, fit_picture, require_pixels
from hilmix.data.pictures import read_picture
from hilmix.errors import DataError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Mode of Pillow by number of channels."""
_REMEDY = "Replace the file, or leave it out."


class Pictures:
    """Pictures of any size, resized and cropped to one shape as the image files of a data folder are.

    Args:
        sources: N paths, Pillow images, or arrays (H', W') or (H', W', C), uint8 or float in [0, 1].
        shape: (C, H, W) of the model.
    """

    kind: InputKind = "image"

    def __init__(self, sources: Sequence[Any] | NDArray[Any], shape: tuple[int, ...]) -> None:
        self.sources, self._shape = sources, shape

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    def __len__(self) -> int:
        return len(self.sources)

    def fetch(self, rows: IntArray) -> Tensor:
        """Return (B, C, H, W) uint8 or float32.

        Raises:
            DataError: for a file that cannot be read, or an array of another form.
        """
        return torch.stack([self._fit(self.sources[row]) for row in rows])

    def _fit(self, source: Any) -> Tensor:
        channels, *size = self._shape
        if isinstance(source, str | Path):
            pixels = np.array(read_picture(Path(source), remedy=_REMEDY, mode=MODES[channels]))
        elif isinstance(source, Image.Image):
            # Phones store photos as their sensor saw them, with the rotation beside; readers of files turn them, too.
            pixels = np.array(ImageOps.exif_transpose(source).convert(MODES[channels]))
        else:
            pixels = np.asarray(source)
        if pixels.ndim not in (2, 3) or (pixels.shape[2] if pixels.ndim == 3 else 1) != channels:
            raise DataError(f"Images must have {channels} channel(s), last, got an array of shape {pixels.shape}.")
        # A flipped array has negative strides, which torch refuses.
        picture = torch.from_numpy(np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[..., None]))
        return fit_picture(as_pixels(picture.permute(2, 0, 1)), (size[0], size[1])).contiguous()


class _Tensors:
    """Inputs that are the model's already."""

    def __init__(self, values: Tensor, kind: InputKind) -> None:
        self.values, self.kind = values, kind

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape[1:])

    def __len__(self) -> int:
        return len(self.values)

    def fetch(self, rows: IntArray) -> Tensor:
        return self.values[torch.from_numpy(rows)]


def as_pixels(picture: Tensor) -> Tensor:
    """Return uint8 pixels as they are, and floats as float32.

    Raises:
        DataError: as of :func:`~hilmix.data.inputs.require_pixels`.
    """
    if picture.dtype == torch.uint8:
        return picture
    pixels = picture.float() if picture.is_floating_point() else picture
    require_pixels(pixels.cpu().numpy())
    return pixels


def read_new_inputs(x: Any, shape: Sequence[int]) -> Inputs:
    """Return random access to new inputs in the shape that a model reads.

    Args:
        x: for images: a path or a list of paths, of Pillow images, or of arrays of any size; an array (B, H', W') or
            (B, H', W', C), or a tensor (B, C, H', W'), uint8 or float in [0, 1]; a table with a column ``path``. For
            vectors: a table, an array or a tensor (B, D). Or :class:`~hilmix.data.Inputs` of that shape.
        shape: (C, H, W) or (D,) of the model.

    Raises:
        DataError: for inputs of another kind or shape, or vectors that are not finite.
    """
    shape = tuple(shape)
    # By what it can do: a data folder's inputs and a user's own class both need no base class.
    if hasattr(x, "fetch") and tuple(x.shape) == shape:
        inputs: Inputs = x
        return inputs
    return _vectors(x, shape[0]) if len(shape) == 1 else _pictures(x, shape)


def _vectors(x: Any, width: int) -> Inputs:
    values = x.to_numpy() if isinstance(x, pd.DataFrame) else x
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    try:
        array: NDArray[Any] = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"The model reads vectors of {width} numbers, got {type(x).__name__}: {error}.") from error
    if array.ndim != 2 or array.shape[1] != width:
        raise DataError(f"The model reads vectors, an array of shape (B, {width}), got shape {array.shape}.")
    if not np.isfinite(array).all():
        row = int((~np.isfinite(array)).any(1).argmax())
        raise DataError(f"Vectors must be finite, got NaN or infinity in row {row}.")
    return ArrayInputs(array, "vector")


def _pictures(x: Any, shape: tuple[int, ...]) -> Inputs:
    if isinstance(x, pd.DataFrame):
        if "path" not in x.columns:
            raise DataError(f"A table of images must have the column 'path', got {list(map(str, x.columns))}.")
        x = x["path"].tolist()
    if isinstance(x, str | Path | Image.Image):
        x = [x]
    if isinstance(x, Tensor):
        return _of_tensor(x, shape)
    if not hasattr(x, "__len__") or (isinstance(x, np.ndarray) and x.dtype != object and x.ndim not in (3, 4)):
        found = f"shape {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        raise DataError(f"The model reads images: an array (B, H, W, C), or a list of paths or pictures, got {found}.")
    return Pictures(x, shape)


def _of_tensor(x: Tensor, shape: tuple[int, ...]) -> Inputs:
    channels, height, width = shape
    if x.ndim != 4 or x.shape[1] != channels:
        raise DataError(f"A tensor of images must have shape (B, {channels}, H, W), got {tuple(x.shape)}.")
    return _Tensors(fit_picture(as_pixels(x.detach()), (height, width)), "image")

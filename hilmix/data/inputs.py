"""Random access to the inputs of items: arrays in memory or on disk, and image files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hilmix.columns import IntArray
from hilmix.data.pictures import BadPicturesError, Size, examine_pictures, read_pixels
from hilmix.errors import DataError

if TYPE_CHECKING:  # commands about data start without torch, in a quarter of the time
    from torch import Tensor

InputKind = Literal["image", "vector"]
MIXED_SIZE = 128
"""Side in pixels that image files of several sizes are resized to, unless a size is given."""
_MOST_STRETCHED = 16
_AT_ONCE = 1024
"""Images in memory at a time."""


class Inputs(Protocol):
    """Random access to N inputs of one shape."""

    kind: InputKind

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) or (D,)."""

    def __len__(self) -> int:
        """N."""

    def fetch(self, rows: IntArray) -> "Tensor":
        """(B, C, H, W) uint8 or float32, or (B, D) float32, a fresh tensor."""


class ArrayInputs:
    """Inputs that lie in one array, in memory or memory-mapped.

    Args:
        array: (N, H, W) or (N, H, W, C) uint8 or float images with C in {1, 3, 4}, or (N, D) numbers.
        kind: ``image`` or ``vector``.

    Raises:
        DataError: if the shape does not fit the kind.
    """

    def __init__(self, array: NDArray[Any], kind: InputKind) -> None:
        # Four channels at most: more mean that they stand first, (N, C, H, W), and rows would be taken for colours.
        fits = array.ndim == 2 if kind == "vector" else array.ndim == 3 or (array.ndim == 4 and array.shape[3] <= 4)
        fits = fits and min(array.shape[1:]) > 0
        if not fits:
            raise DataError(
                f"inputs of kind '{kind}' must have shape "
                + ("(N, D)" if kind == "vector" else "(N, H, W) or (N, H, W, C) with at most 4 channels last")
                + f", got {array.shape}."
            )
        self.array, self.kind = array, kind

    @property
    def shape(self) -> tuple[int, ...]:
        if self.kind == "vector":
            return (self.array.shape[1],)
        channels = self.array.shape[3] if self.array.ndim == 4 else 1
        return (channels, *self.array.shape[1:3])

    def __len__(self) -> int:
        return len(self.array)

    def fetch(self, rows: IntArray) -> "Tensor":
        import torch

        # Indexing by rows copies, so neither the array nor a read-only memory map is ever written to.
        part = np.ascontiguousarray(self.array[rows])
        if self.kind == "vector":
            return torch.from_numpy(part.astype(np.float32, copy=False))
        part = part[:, None] if part.ndim == 3 else np.moveaxis(part, 3, 1)
        if part.dtype != np.uint8:
            part = part.astype(np.float32)  # torch supports no other byte order than the native one
        return torch.from_numpy(np.ascontiguousarray(part))


def require_pixels(array: NDArray[Any]) -> None:
    """Refuse images that are neither uint8 nor float in [0, 1]: a network that reads 0 to 255 there sees noise.

    Args:
        array: (N, ...) of any type.

    Raises:
        DataError: naming the range found and the remedy.
    """
    if array.dtype == np.uint8:
        return
    if array.dtype.kind != "f":
        raise DataError(f"Images must be uint8, or float in [0, 1], got {array.dtype}.")
    for start in range(0, len(array), _AT_ONCE):
        part = array[start : start + _AT_ONCE]
        if not (part.min(initial=0) >= 0 and part.max(initial=0) <= 1):  # NaN is refused, too
            raise DataError(
                f"Float images must lie in [0, 1], got {part.min():.4g} to {part.max():.4g}. Divide by 255, or give "
                "uint8."
            )


class ImageFiles:
    """Image files, decoded to RGB when fetched, resized to one square size where they differ.

    Args:
        paths: N files.
        size: side in pixels; the shorter side is resized, the centre cropped. By default the common size of all
            files, or 128 where they differ.
        sizes: N widths and heights where they are known already, None for files that must not be fetched.

    Raises:
        BadPicturesError: naming the files whose header cannot be read; with ``size`` or ``sizes`` none is opened.
    """

    kind: InputKind = "image"

    def __init__(
        self, paths: Sequence[Path], size: int | None = None, *, sizes: Sequence[Size | None] | None = None
    ) -> None:
        self.paths = list(paths)
        if sizes is None and size is None:
            sizes, faults, _ = examine_pictures(self.paths)
            if faults:
                raise BadPicturesError(faults)
        self.sizes = None if sizes is None else tuple(sizes)
        found = set() if size is not None or sizes is None else {one for one in sizes if one is not None}
        self._resized = len(found) != 1
        self._width, self._height = (size or MIXED_SIZE,) * 2 if self._resized else found.pop()

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, self._height, self._width)

    def __len__(self) -> int:
        return len(self.paths)

    def fetch(self, rows: IntArray) -> "Tensor":
        import torch

        return torch.stack([self._decode(self.paths[r]) for r in rows])

    def fit(self, picture: "Tensor") -> "Tensor":
        """Return a (C, H', W') picture of a file's own size, resized to the common size as the files are."""
        return fit_picture(picture, (self._height, self._width)) if self._resized else picture

    def _decode(self, path: Path) -> "Tensor":
        import torch

        return self.fit(torch.from_numpy(read_pixels(path)).permute(2, 0, 1)).contiguous()


def fit_picture(picture: "Tensor", size: tuple[int, int]) -> "Tensor":
    """Return the middle of pictures (..., H', W') that are resized until they just cover (H, W).

    Args:
        picture: uint8, or float in [0, 1].
        size: H and W in pixels.
    """
    if tuple(picture.shape[-2:]) == size:
        return picture
    from torchvision.transforms import v2  # here: commands about data start without it, in half the time

    # Before resizing: a banner of 10,000 x 4 pixels would first become 320,000 x 128.
    picture = _crop_long_side(picture)
    (height, width), (below, across) = size, picture.shape[-2:]
    # As v2.Resize(side) rounds the long side of a square's picture: downwards.
    covers = (
        [height, height * across // below] if height * across >= width * below else [width * below // across, width]
    )
    fitted: Tensor = v2.functional.center_crop(v2.functional.resize(picture, covers, antialias=True), [height, width])
    return fitted


def _crop_long_side(picture: "Tensor") -> "Tensor":
    """The middle of a picture whose long side would fill the memory once the short one is enlarged."""
    height, width = picture.shape[-2:]
    longest = _MOST_STRETCHED * min(height, width)
    if max(height, width) <= longest:
        return picture
    from torchvision.transforms import v2

    middle: Tensor = v2.functional.center_crop(picture, [min(height, longest), min(width, longest)])
    return middle

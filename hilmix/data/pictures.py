"""Image files as a viewer shows them, and one clear error for those that cannot be read."""

import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from hilmix.errors import DataError
from hilmix.faults import Fault, group_faults

WIDE_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
ITEM_REMEDY = "Replace the file or remove its item."
UNREADABLE = "missing-image", "unreadable-image", "large-image", "damaged-image", "wide-image"
"""Kinds of faults of one image file, which do without its item."""
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    EOFError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""Exceptions of Pillow's decoders for damaged files."""

Size = tuple[int, int]
"""Width and height."""


class PictureError(DataError):
    """An image file that cannot be used; ``kind`` is one of :data:`UNREADABLE`.

    A worker process of the data loader rebuilds its error from the text alone.
    """

    def __init__(self, text: str, kind: str = "damaged-image") -> None:
        super().__init__(text)
        self.kind = kind


class BadPicturesError(DataError):
    """Image files that cannot be used, as faults."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        number = sum(fault.count for fault in faults)
        super().__init__(faults[0].found + f" ({number - 1:,} more cannot be read.)" * (number > 1))
        self.faults = tuple(faults)


def open_picture(path: Path, *, what: str = "image", remedy: str = ITEM_REMEDY) -> Image.Image:
    """Return the file's header; its pixels are not decoded yet.

    Args:
        path: the file.
        what: what the message calls it.
        remedy: remedy in the message for a file that is no picture.

    Raises:
        PictureError: if the file is not there, no picture, of more than 8 bits per channel, or of more pixels than
            Pillow takes for an attack.
    """
    if not _exists(path):
        raise PictureError(
            f"The {what} {path} does not exist. Put it there, or correct the table that names it.", "missing-image"
        )
    if not path.is_file():  # opening a pipe or a device would never end
        raise PictureError(f"Cannot read the {what} {path}: it is no file. {remedy}", "unreadable-image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes below the limit and odd metadata
            # Reads the header only; Pillow's limit of pixels is checked here, before anything is decoded.
            picture = Image.open(path)
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"The {what} {path} is a decompression bomb or far too large: {error}. {remedy}", "large-image"
        ) from error
    except _DAMAGE as error:
        raise PictureError(
            f"Cannot read the {what} {path}: {_describe_error(error)}. {remedy}", "unreadable-image"
        ) from error
    if picture.format == "EPS" or min(picture.size) < 1:  # EPS is a program, which Pillow would have Ghostscript run
        picture.close()
        found = "EPS is no image of pixels" if picture.format == "EPS" else "it has no pixels"
        raise PictureError(f"Cannot read the {what} {path}: {found}. {remedy}", "unreadable-image")
    if picture.mode in WIDE_MODES:
        picture.close()
        raise PictureError(
            f"The {what} {path} has more than 8 bits per channel (mode {picture.mode}), which would be cut off. "
            "Convert it to 8 bits.",
            "wide-image",
        )
    return picture


def read_picture(path: Path, *, what: str = "image", remedy: str = ITEM_REMEDY, mode: str | None = None) -> Image.Image:
    """Return the decoded picture, upright. Arguments and errors as of :func:`open_picture`.

    Args:
        path: the file.
        what: as of :func:`open_picture`.
        remedy: as of :func:`open_picture`.
        mode: of Pillow, that the picture is converted to; by default it stays in its own.

    Raises:
        PictureError: also if it is damaged.
    """
    try:
        with open_picture(path, what=what, remedy=remedy) as picture, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; what does not decode raises
            picture.load()
            # As the annotators saw it: viewers turn a picture by its EXIF tag, decoders do not.
            upright = ImageOps.exif_transpose(picture)
            return upright if mode is None else upright.convert(mode)
    # A ValueError, which is among the damages below: ours has its message already.
    except PictureError:
        raise
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        raise PictureError(
            f"Cannot decode the {what} {path}: {_describe_error(error)}. {remedy}", "damaged-image"
        ) from error


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """Return the (H, W, 3) colours of an image file.

    Raises:
        PictureError: as :func:`read_picture`.
    """
    return np.array(read_picture(path, mode="RGB"))


def read_upright_size(path: Path, *, what: str = "image", remedy: str = ITEM_REMEDY) -> Size:
    """Return width and height as a viewer shows the picture: phones store it rotated and record the rotation.

    Arguments and errors as of :func:`open_picture`.

    Raises:
        PictureError: also if its EXIF block is damaged.
    """
    try:
        with open_picture(path, what=what, remedy=remedy) as picture, warnings.catch_warnings():
            width, height = picture.size
            warnings.simplefilter("ignore")  # of odd metadata
            # a PNG would be decoded for this, and cameras do not write it
            lying = picture.format != "PNG" and picture.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    except PictureError:
        raise
    except _DAMAGE as error:
        raise PictureError(
            f"Cannot read the {what} {path}: {_describe_error(error)}. {remedy}", "damaged-image"
        ) from error
    return (height, width) if lying else (width, height)


@cache
def image_suffixes() -> frozenset[str]:
    """Return the endings of files that Pillow reads, with their dot; it also registers formats that it only writes."""
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN)


class Pictures(NamedTuple):
    """Sizes and faults of many image files."""

    sizes: list[Size | None]
    """None where a file cannot be read."""
    faults: list[Fault]
    """One for each kind; ``rows`` counts the files from 0, ``found`` is the message about the first."""
    bad: list[int]
    """Rows of the files that cannot be read."""


def examine_pictures(paths: Sequence[Path], file: Path | str = "", *, decode: bool = False) -> Pictures:
    """Return the size of every file, and which ones cannot be used.

    Args:
        paths: N files.
        file: the table that names them, for the faults.
        decode: whether the pixels are decoded too.
    """
    read: Callable[[Path], Size] = _decode_size if decode else read_upright_size
    sizes: list[Size | None] = []
    bad: list[tuple[int, PictureError]] = []
    for row, path in enumerate(paths):
        try:
            sizes.append(read(path))
        except PictureError as error:
            sizes.append(None)
            bad.append((row, error))
    faults = group_faults(((error.kind, str(error), row) for row, error in bad), file, "path")
    return Pictures(sizes, faults, [row for row, _ in bad])


def _decode_size(path: Path) -> Size:
    size = read_upright_size(path)
    read_pixels(path)
    return size


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long
        return False


def _describe_error(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__

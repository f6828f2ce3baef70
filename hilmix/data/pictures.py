"""Image files as a viewer shows them, and one clear error for those that can not be read."""

import struct
from pathlib import Path

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from hilmix.errors import DataError

WIDE_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
ITEM_REMEDY = "Replace the file or remove its item."


def open_picture(path: Path, *, what: str = "image", remedy: str = ITEM_REMEDY) -> Image.Image:
    """Returns the file's header; its pixels are not decoded yet.

    Args:
        path: the file.
        what: what the message calls it.
        remedy: what the message says to do about a file that is no picture.

    Raises:
        DataError: if the file is not there or no picture.
    """
    try:
        return Image.open(path)
    except FileNotFoundError as error:
        raise DataError(
            f"The {what} {path} does not exist. Put it there, or correct the table that names it."
        ) from error
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"Cannot read the {what} {path}: {error}. {remedy}") from error


def read_picture(path: Path, *, what: str = "image", remedy: str = ITEM_REMEDY) -> Image.Image:
    """Returns the decoded picture, upright, in its own mode. Arguments and errors as of :func:`open_picture`.

    Raises:
        DataError: also if it is damaged or has more than 8 bits per channel.
    """
    picture = open_picture(path, what=what, remedy=remedy)
    if picture.mode in WIDE_MODES:
        raise DataError(
            f"The {what} {path} has more than 8 bits per channel (mode {picture.mode}), which would be cut off. "
            "Convert it to 8 bits."
        )
    try:
        picture.load()
        return ImageOps.exif_transpose(picture)
    except (OSError, SyntaxError, struct.error) as error:
        raise DataError(f"Cannot decode the {what} {path}: {error}. {remedy}") from error


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """(width, height) as a viewer shows the picture: phones store it lying and say so."""
    width, height = picture.size
    # a PNG would be decoded for this, and cameras do not write it
    lying = picture.format != "PNG" and picture.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    return (height, width) if lying else (width, height)

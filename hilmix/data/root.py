"""What the root of a data module names: embedded data, or a folder."""

from collections.abc import Callable
from pathlib import Path

from hilmix.data.decoy_sets import decoy_digits, toy_bumps
from hilmix.data.digits import digits
from hilmix.data.folder import read_folder
from hilmix.data.items import AnnotatedData

EMBEDDED: dict[str, Callable[[], AnnotatedData]] = {
    "digits-class": lambda: digits("class"),
    "digits-instance": lambda: digits("instance"),
    "decoy-digits": decoy_digits,
    "toy-bumps": toy_bumps,
}
"""Data that need no folder."""


def load_root(root: str, *, image_size: int | None = None) -> AnnotatedData:
    """Returns the data of a folder, or embedded data where no folder has their name.

    Args:
        root: path of a data folder, or one of :data:`EMBEDDED`.
        image_size: side in pixels that image files are brought to; see :func:`hilmix.data.folder.read_folder`.

    Raises:
        DataError: if a folder can not be read.
    """
    if root in EMBEDDED and not Path(root).exists():
        return EMBEDDED[root]()
    return read_folder(root, image_size=image_size)

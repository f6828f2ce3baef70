"""What the root of a data module names: embedded data, or a folder."""

from pathlib import Path

from hilmix.data.folder.read import read_folder
from hilmix.data.items import AnnotatedData
from hilmix.data.sources import load_source
from hilmix.errors import ConfigError

EMBEDDED = ("digits-class", "digits-instance", "decoy-digits", "toy-bumps")
"""Data that need no folder."""


def load_root(root: str, *, image_size: int | None = None) -> AnnotatedData:
    """Returns the data of a folder, or embedded data where no folder has their name.

    Args:
        root: path of a data folder, or one of :data:`EMBEDDED`.
        image_size: side in pixels that image files are brought to; see :func:`hilmix.data.folder.read.read_folder`.

    Raises:
        ConfigError: if embedded data shall be brought to another size.
        DataError: if a folder cannot be read.
    """
    if not root:
        raise ConfigError(f"`data.root` must be a data folder or one of {list(EMBEDDED)}, got ''.")
    if root not in EMBEDDED or Path(root).exists():
        return read_folder(root, image_size=image_size)
    if image_size is not None:
        raise ConfigError(
            f"data.image_size is {image_size}, but '{root}' is embedded; sizes are changed of files only."
        )
    return load_source(root)

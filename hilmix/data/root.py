"""Load what the root of a data module names: a data folder, embedded data, or a source outside the package."""

from pathlib import Path

from hilmix.data.folder.read import read_folder
from hilmix.data.items import AnnotatedData
from hilmix.data.sources import SOURCES, find_source, load_source
from hilmix.errors import ConfigError, DataError
from hilmix.trusted import is_object_path, require_trust

IN_MEMORY = "in-memory"
"""Root of data that a program gave."""
EMBEDDED = tuple(name for name, source in SOURCES.items() if not source.needs_files)
"""Names of the sources that are made on the fly."""


def load_root(root: str, *, image_size: int | None = None) -> AnnotatedData:
    """Return the data of a folder, or of a source that needs no files where no folder has its name.

    Args:
        root: path of a data folder, one of :data:`EMBEDDED`, or ``package.module:NAME`` of a source elsewhere, in a
            package that is trusted (:func:`hilmix.trusted.trust`): a checkpoint or a config may name it.
        image_size: side in pixels that image files are resized to; see :func:`hilmix.data.folder.read.read_folder`.

    Raises:
        ConfigError: if embedded data are to be resized, or the source is missing or not trusted.
        DataError: if a folder cannot be read, or a source needs files.
    """
    if not root:
        raise ConfigError(f"`data.root` must be a data folder or one of {list(EMBEDDED)}, got ''.")
    if root == IN_MEMORY and not Path(root).exists():
        raise ConfigError(f"`data.root` must be set: the data of this run were in memory, got '{root}'.")
    # A folder wins over embedded data of its name: what lies on disk is what the user made.
    if Path(root).exists() or not (root in EMBEDDED or is_object_path(root)):
        return read_folder(root, image_size=image_size)
    if image_size is not None:
        raise ConfigError(
            f"`data.image_size` must be left out for '{root}', which is no folder of image files, got {image_size}."
        )
    if is_object_path(root):
        _check_source(root)
    return load_source(root)


def _check_source(path: str) -> None:
    """Refuse a source that may not be imported, or that has files to download."""
    require_trust(path.replace(":", "."), start="`data.root`")
    if find_source(path).needs_files:
        raise DataError(
            f"`data.root` must be a data folder or a source that needs no files, got '{path}'. Write it as a folder: "
            f"hilmix data prepare {path}"
        )

"""Output paths of commands: never over anything, and one sentence where the system refuses."""

from pathlib import Path
from typing import Literal

from hilmix.data.folder import write_folder
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError


def require_free(out: Path, *, flag: str, what: Literal["file", "folder"] = "folder") -> Path:
    """Return the path of an output that does not exist yet.

    Args:
        out: file or folder to write.
        flag: the option that names it, for the error.
        what: which of both it is, for the error.

    Raises:
        DataError: if it exists.
    """
    # Before any work: an hour of computing must not end in this refusal.
    if out.exists():
        raise DataError(f"'{out}' exists already. Remove it, or choose another {what} with {flag}.")
    return out


def write_data(data: AnnotatedData, out: Path) -> None:
    """Write a data folder.

    Raises:
        DataError: if the system refuses it.
    """
    try:
        write_folder(data, out)
    except OSError as error:
        raise DataError(f"Cannot write '{out}': {error}.") from error

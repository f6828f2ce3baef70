"""Checkpoint files that carry a digest of themselves, and what they hold.

Several parts of a command ask for the same file; as long as it stays as it is, it is checked once and read once.
"""

import hashlib
import time
import zipfile
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO, NamedTuple

import torch

from hilmix.checks import with_article
from hilmix.errors import RunError
from hilmix.moved import public_path, with_current_paths

SETTINGS = ("hyper_parameters", "datamodule_hyper_parameters")
"""Keys of a Lightning checkpoint that hold the arguments of the module and the data module."""
MODULE = "class_path"
"""Key of a checkpoint that holds the class path of the module that it was saved from."""
MARK = b"hilmix sha256 "
SEAL = len(MARK) + hashlib.sha256().digest_size * 2
"""Bytes of the seal: a comment at the end of the zip archive that ``torch.save`` writes, ignored by all readers."""
_SETTLED = 2 * 10**9
"""Nanoseconds after which a further change shows in a file's time of change, on any file system."""


class _Version(NamedTuple):
    """Properties that distinguish a file from a later one of the same name."""

    device: int
    inode: int
    size: int
    changed: int


def seal(file: BinaryIO) -> None:
    """Appends the digest of everything before it to a zip archive without a comment, open for reading and writing."""
    file.seek(-2, 2)
    file.write(SEAL.to_bytes(2, "little"))  # the length of the comment ends the archive
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any open binary file
    file.seek(0, 2)
    file.write(MARK + digest.encode())


def check_intact(path: Path | str) -> None:
    """Refuses a checkpoint that is truncated or has changed since it was written.

    One without a digest, of an older version or another program, passes if the checksums of its archive hold.

    Raises:
        RunError: naming the file and what is wrong.
    """
    place, version = Path(path).resolve(), _version(path)
    if fault := _fault(place) if version is None else _known_fault(place, version):
        raise RunError(f"{path} cannot be read as a checkpoint: {fault}. The file is damaged; use another checkpoint.")


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Returns what a checkpoint of Lightning holds, as plain values; tensors stay on disk until they are used.

    Former class paths in the settings are replaced by the current ones.

    Raises:
        RunError: if the file holds something else, such as a bare tensor or weights that were saved alone.
    """
    place, version = Path(path).resolve(), _version(path)
    content = _content(place) if version is None else _known_content(place, version)
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise RunError(
            f"{path} is not a checkpoint of a run: it holds {with_article(type(content).__name__)} without a "
            "'state_dict' of weights. Give a file from the folder 'checkpoints' of a run."
        )
    return {key: with_current_paths(value) if key in SETTINGS else value for key, value in content.items()}


def name_module(checkpoint: MutableMapping[str, Any], module: object) -> None:
    """Writes into a checkpoint of which class its module is, by the public path.

    A class of a script, or one inside a function or another class, is at no path from which it could be imported: then
    nothing is written.
    """
    kind = type(module)
    # Neither a script's own class nor one inside a function can be imported by its path later.
    if kind.__module__ != "__main__" and "." not in kind.__qualname__:
        checkpoint[MODULE] = public_path(kind)


def named_module(checkpoint: Mapping[str, Any]) -> Any:
    """Returns the class path of the module that a checkpoint was saved from, None where it names none.

    Args:
        checkpoint: as :func:`read_checkpoint` returns it. The path is what the file holds: follow it by
            :func:`hilmix.trusted.find_class` only.
    """
    if MODULE in checkpoint:
        return checkpoint[MODULE]
    # version 0.1.0 named no class at first; of its two classifiers only the one that alternates has this setting
    settings = checkpoint.get("hyper_parameters") or {}
    return "hilmix.modules.EMClassifier" if {"backbone", "warmup"} <= settings.keys() else None


def forget_content() -> None:
    """Lets go of the file that was read last, whose space on the disk is held otherwise when it is replaced."""
    _known_content.cache_clear()


def _version(path: Path | str) -> _Version | None:
    """None for a file that has just been written: if it changes again at once, nothing might show it."""
    status = Path(path).stat()
    if time.time_ns() - status.st_mtime_ns < _SETTLED:
        return None
    # By the file and not by its name alone: `last.ckpt` is replaced at the end of every epoch.
    return _Version(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _fault(path: Path) -> str:
    """Returns the fault of the file, empty if there is none."""
    with path.open("rb") as file:
        file.seek(0, 2)
        length = file.tell() - SEAL
        file.seek(max(length, 0))
        end = file.read()
        if not end.startswith(MARK):
            return _archive_fault(file)
        same = end[len(MARK) :].decode("ascii", "replace") == _digest(file, length)
        return "" if same else "its content does not match its digest"


@lru_cache(maxsize=4)
def _known_fault(path: Path, version: _Version) -> str:
    return _fault(path)


def _content(path: Path) -> Any:
    try:
        # Mapped, so that settings are read without gigabytes of weights; only archives can be.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_archive(path))
    except UnicodeDecodeError as error:  # a damaged byte inside a name, which torch does not report as damage
        raise UnpicklingError(f"{path} is damaged: {error}") from error


@lru_cache(maxsize=1)
def _known_content(path: Path, version: _Version) -> Any:
    return _content(path)


def _is_archive(path: Path | str) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # its end is there, but damaged: also an answer
        return False


def _digest(file: BinaryIO, length: int) -> str:
    """Of the first ``length`` bytes."""
    file.seek(0)
    digest = hashlib.sha256()
    # A mebibyte at a time: a checkpoint can be larger than the memory.
    while length > 0 and (part := file.read(min(length, 2**20))):
        digest.update(part)
        length -= len(part)
    return digest.hexdigest()


def _archive_fault(file: BinaryIO) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            file.seek(-2, 2)
            if file.read() != b"\0\0":  # the length of the comment, with which an archive of ``torch.save`` ends
                return "its digest is not whole"
            wrong = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        return f"it is not a whole archive ({error})"
    return f"the checksum of its part '{wrong}' does not hold" if wrong else ""

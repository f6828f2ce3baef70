"""Checkpoint files that carry a digest of themselves, and what they hold."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from hilmix.checks import with_article
from hilmix.errors import RunError
from hilmix.moved import with_current_paths

SETTINGS = ("hyper_parameters", "datamodule_hyper_parameters")
"""Where Lightning keeps in a checkpoint what the module and the data module were built from."""
MARK = b"hilmix sha256 "
SEAL = len(MARK) + hashlib.sha256().digest_size * 2
"""Bytes of the seal: a comment at the end of the zip archive that ``torch.save`` writes, ignored by all readers."""


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
    with Path(path).open("rb") as file:
        file.seek(0, 2)
        length = file.tell() - SEAL
        file.seek(max(length, 0))
        end = file.read()
        if end.startswith(MARK) and end[len(MARK) :].decode("ascii", "replace") == _digest(file, length):
            return
        fault = "its content does not match its digest" if end.startswith(MARK) else _archive_fault(file)
    if fault:
        raise RunError(f"{path} can not be read as a checkpoint: {fault}. The file is damaged; use another checkpoint.")


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Returns what a checkpoint of Lightning holds, as plain values; tensors stay on disk until they are used.

    Former class paths in the settings are replaced by the current ones.

    Raises:
        RunError: if the file holds something else, such as a bare tensor or weights that were saved alone.
    """
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_archive(path))
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise RunError(
            f"{path} is not a checkpoint of a run: it holds {with_article(type(content).__name__)} without a "
            "'state_dict' of weights. Give a file from the folder 'checkpoints' of a run."
        )
    return {key: with_current_paths(value) if key in SETTINGS else value for key, value in content.items()}


def _is_archive(path: Path | str) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # its end is there, but damaged: also an answer
        return False


def _digest(file: BinaryIO, length: int) -> str:
    """Of the first ``length`` bytes."""
    file.seek(0)
    digest = hashlib.sha256()
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

"""One server for a study: a lock that the operating system lets go of when the process ends, however it ends."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hilmix.errors import DataError

LOCK = "server.lock"
"""Beside the answers; not the answers file itself, where SQLite has locks of its own."""
_FAR = 1 << 20
"""Of the locked byte: on Windows a locked byte cannot be read, and the process id is at the start."""


@contextmanager
def lock_study(study: Path) -> Iterator[None]:
    """Holds the lock of a study.

    Args:
        study: its folder.

    Raises:
        DataError: if another process serves it, naming that; or if the folder cannot be written.
    """
    try:
        held = os.open(study / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DataError(f"Cannot lock the study '{study}': {error.strerror}.") from error
    try:
        if not _lock(held):
            owner = os.read(held, 100).decode("utf-8", "replace").strip() or "unknown"
            raise DataError(
                f"'{study}' is served already, by process {owner}. Stop that one first, or use its links: two servers "
                "on one study would give out the same trials twice."
            )
        # Only with the lock: until then the file names the process that holds it, and so it was opened without O_TRUNC.
        os.truncate(held, 0)
        os.write(held, f"{os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        # Closing releases the lock. The file stays: if it were removed, a process that has it open and one that makes
        # it anew would each lock a file of their own.
        os.close(held)


def _lock(held: int) -> bool:
    if os.name == "posix":
        import fcntl

        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    import msvcrt

    os.lseek(held, _FAR, os.SEEK_SET)
    try:
        msvcrt.locking(held, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # mypy sees this platform only
    except OSError:
        return False
    finally:
        os.lseek(held, 0, os.SEEK_SET)
    return True

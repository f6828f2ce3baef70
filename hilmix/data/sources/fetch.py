"""Downloads of public files: progress, resume, checksum. A half-finished download never bears the final name."""

import hashlib
import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from hilmix.errors import DataError, UnverifiedError
from hilmix.terminal import terminal

_BLOCK = 1 << 20
_COMMIT = re.compile(
    r"https://(?:github\.com/[^/]+/[^/]+/raw|raw\.githubusercontent\.com/[^/]+/[^/]+)/([0-9a-f]{7,40})/"
)
"""A file of a repository at one commit: its content cannot change."""
_OWN_MACHINE = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")
_TIMEOUT = 30.0  # seconds without a byte


@dataclass(frozen=True)
class RemoteFile:
    """A public file and what is known of it.

    Args:
        url: where it is published.
        path: where it lies under the download folder; also where a user may place it by hand.
        size: bytes, None where the source does not state it.
        checksum: ``md5:<hex>`` or ``sha256:<hex>``, None where none is published; then the code that reads the file
            checks shapes and counts.
        unverified: why the file can be neither compared with a checksum nor fixed to a commit, or not come by https;
            it is then downloaded only with the user's consent.
    """

    url: str
    path: str
    size: int | None = None
    checksum: str | None = None
    unverified: str = ""

    @property
    def verification(self) -> str:
        """Description of the check that the content is the published one; empty where there is none."""
        if not self.url.startswith("https://"):
            return ""
        pinned = _COMMIT.match(self.url)
        return self.checksum or (f"commit {pinned[1]}" if pinned else "")


def fetch(file: RemoteFile, folder: Path, *, allow_unverified: bool = False) -> Path:
    """Return the local copy of a file, downloaded if it is not there yet.

    The bytes go to ``<name>.part``, which a later call resumes; it is renamed when size and checksum are right.
    A file that is already there, placed by hand for example, is checked in the same way.

    Args:
        file: what to download.
        folder: the download folder, created if needed.
        allow_unverified: whether the user consents to a file whose content cannot be verified.

    Raises:
        DataError: naming the URL and the remedy, if consent is missing, the network fails, the connection ends early,
            the content is not what was published, or the disk cannot be written.
    """
    final = folder / file.path
    if final.is_file():
        verify(file, final)
        return final
    if not (file.verification or allow_unverified or file.url.startswith(_OWN_MACHINE)):
        raise UnverifiedError(_describe_unverified(file, final))
    part = final.with_name(final.name + ".part")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        if not (part.is_file() and part.stat().st_size == file.size):
            _download(file, part, final)
        try:
            verify(file, part)
        except DataError:
            part.unlink()  # resuming wrong bytes can never end well
            raise
        part.replace(final)
    except OSError as error:
        raise DataError(f"Cannot write {final}: {error}.") from error
    return final


def verify(file: RemoteFile, path: Path) -> None:
    """Compare a file with its published size and checksum.

    Raises:
        DataError: if they differ.
    """
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise DataError(_describe_mismatch(file, path, f"{size} bytes", f"{file.size} bytes"))
    if file.checksum is not None:
        algorithm, _, expected = file.checksum.partition(":")
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, algorithm).hexdigest()
        if found != expected:
            raise DataError(_describe_mismatch(file, path, f"{algorithm} {found}", expected))


def _describe_unverified(file: RemoteFile, final: Path) -> str:
    reason = file.unverified or "it comes without https, checksum or commit"
    return (
        f"{file.url} cannot be verified ({reason}): what arrives may be another file. Place a copy that you trust at "
        f"{final}, or download it all the same with `allow_unverified=True`."
    )


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect from https to https only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.type == "https" and urllib.parse.urlsplit(newurl).scheme != "https":
            raise urllib.error.URLError(f"it redirects to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _describe_mismatch(file: RemoteFile, path: Path, found: str, expected: str) -> str:
    return (
        f"{path} is not the published {file.url}: it has {found}, expected {expected}. "
        "Delete it if it is still there, and run the same command again."
    )


def _download(file: RemoteFile, part: Path, final: Path) -> None:
    """Append to ``part`` what is missing of it; starts over where the server cannot resume."""
    have = part.stat().st_size if part.is_file() else 0
    # Some hosts refuse the name that urllib gives itself.
    request = urllib.request.Request(file.url, headers={"User-Agent": "Mozilla/5.0 (compatible; hilmix)"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.build_opener(_SecureRedirects).open(request, timeout=_TIMEOUT)
    except (OSError, http.client.HTTPException) as error:
        if have and isinstance(error, urllib.error.HTTPError) and error.code == 416:
            part.unlink()  # longer than the file: not a beginning of it
            return _download(file, part, final)
        reason = getattr(error, "reason", error)
        raise DataError(
            f"Cannot download {file.url}: {reason}. Connect to the network and run the same command again; or place "
            f"the file at {final} by hand; or set HILMIX_DATA to a folder that holds a mirror of the data."
        ) from error
    with response:
        at = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        # A server may ignore the range and send the whole file, or another part of it.
        resumed = response.status == 206 and at is not None and int(at[1]) == have
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length) + (have if resumed else 0)
        with part.open("ab" if resumed else "wb") as stream, _create_progress() as progress:
            task = progress.add_task(Path(file.path).name, total=total or file.size, completed=stream.tell())
            while block := _read(response, file):
                stream.write(block)
                progress.advance(task, len(block))
            done = stream.tell()
    if total is not None and done != total:
        raise DataError(_describe_interruption(file, f"after {done} of {total} bytes"))


def _read(response: http.client.HTTPResponse, file: RemoteFile) -> bytes:
    try:
        # read1 returns what has come, so that a broken download keeps it; read would lose up to a whole block.
        return response.read1(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise DataError(_describe_interruption(file, f"({error})")) from error


def _describe_interruption(file: RemoteFile, how: str) -> str:
    return f"The download of {file.url} was interrupted {how}. Run the same command again to resume it."


def _create_progress() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=terminal(stderr=True),
        transient=True,
    )

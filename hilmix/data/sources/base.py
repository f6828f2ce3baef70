"""Parts of a public data set: resources, each read from a download or from a mirror, and how to build it."""

import os
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from hilmix.data.items import AnnotatedData
from hilmix.data.sources.fetch import RemoteFile, fetch
from hilmix.errors import DataError

T = TypeVar("T")
Option = Literal["seed", "annotators", "labels_per_item"]
MIRROR_VARIABLE = "HILMIX_DATA"
UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    RuntimeError,
    zlib.error,
    pickle.UnpicklingError,
    tarfile.TarError,
    zipfile.BadZipFile,
)
"""Exceptions of the libraries that read sources, for damaged files."""


@dataclass(frozen=True)
class Resource(Generic[T]):
    """Files that data sets are built from, such as "the CIFAR-10 images".

    Args:
        files: the canonical downloads.
        read: turns the downloaded files, in order, into the content.
        mirror: the files of the compact mirror that hold the same content, relative to ``HILMIX_DATA``; empty if the
            mirror does not have it.
        read_mirror: turns them into the content.
    """

    files: tuple[RemoteFile, ...]
    read: Callable[[list[Path]], T]
    mirror: tuple[str, ...] = ()
    read_mirror: Callable[[list[Path]], T] | None = None


class Access:
    """Access to resources: first in the download folder, then in the mirror, then on the internet.

    Args:
        downloads: folder of the canonical files, fetched or placed by hand.
        mirror: root of the compact mirror; by default the environment variable ``HILMIX_DATA``.
        allow_unverified: whether the user consents to downloads whose content cannot be verified.
    """

    def __init__(self, downloads: Path, mirror: Path | None = None, *, allow_unverified: bool = False) -> None:
        variable = os.environ.get(MIRROR_VARIABLE)
        self.downloads, self.allow_unverified = downloads, allow_unverified
        self.mirror = mirror if mirror is not None else Path(variable) if variable else None

    # Files alone, without their checksums: those of a gigabyte take longer than most commands that ask.
    def is_downloaded(self, resource: Resource[Any]) -> bool:
        """Returns whether all canonical files are there already."""
        return all((self.downloads / file.path).is_file() for file in resource.files)

    def is_mirrored(self, resource: Resource[Any]) -> bool:
        """Returns whether the mirror exists and holds the resource."""
        if self.mirror is None or not resource.mirror:
            return False
        return all((self.mirror / path).is_file() for path in resource.mirror)

    def from_mirror(self, resource: Resource[Any]) -> bool:
        """Returns whether :meth:`read` takes the mirror."""
        # The published files win: the mirror holds the same content, but only they can be checked by their sums.
        return self.is_mirrored(resource) and not self.is_downloaded(resource)

    def missing_files(self, resource: Resource[Any]) -> list[RemoteFile]:
        """Returns what :meth:`read` downloads: nothing if the mirror has the content."""
        if self.is_mirrored(resource):
            return []
        return [file for file in resource.files if not (self.downloads / file.path).is_file()]

    def origin(self, resource: Resource[Any]) -> str:
        """Describes the origin that :meth:`read` takes the resource from."""
        if self.is_downloaded(resource):
            return f"files in {self.downloads}"
        if self.is_mirrored(resource):
            return f"mirror {self.mirror}"
        return "download from " + ", ".join(file.url for file in resource.files)

    def placed(self, folder: str, parts: Sequence[str]) -> Path:
        """Return a folder under the download folder that the user has filled by hand.

        Args:
            folder: its name.
            parts: files and folders that it must hold.

        Raises:
            DataError: naming the first part that is missing.
        """
        root = self.downloads / folder
        if missing := [root / part for part in parts if not (root / part).exists()]:
            raise DataError(
                f"'{missing[0]}' is missing. hilmix cannot download these data; docs/data_folder.md lists what "
                f"belongs into '{root}'. The download folder, here '{self.downloads}', may be another one."
            )
        return root

    def _fetched(self, resource: Resource[Any]) -> list[Path]:
        return [fetch(file, self.downloads, allow_unverified=self.allow_unverified) for file in resource.files]

    def read(self, resource: Resource[T]) -> T:
        """Return the content of a resource, downloading it if need be.

        Raises:
            DataError: if it cannot be had, naming URL and remedy, or does not hold what it should.
        """
        if self.from_mirror(resource) and self.mirror is not None and resource.read_mirror is not None:
            paths, read = [self.mirror / path for path in resource.mirror], resource.read_mirror
        else:
            paths, read = self._fetched(resource), resource.read
        try:
            return read(paths)
        # A ValueError, which damaged files raise, too: ours has its message already.
        except DataError:
            raise
        except UNREADABLE as error:
            names = ", ".join(map(str, paths))
            raise DataError(
                f"Cannot read {names}: {type(error).__name__}: {error}. Delete the file and run the command again."
            ) from error


@dataclass(frozen=True)
class Options:
    """Options of a source with simulated annotators.

    Args:
        seed: seed of annotators, labels and split.
        annotators: number of annotators.
        labels_per_item: labels per item, or the lowest and highest number.
    """

    seed: int = 0
    annotators: int = 20
    labels_per_item: int | tuple[int, int] = (2, 3)


@dataclass(frozen=True)
class Profile:
    """A data set in one line of ``docs/sources.md``, in the words of a table's cells.

    Args:
        items: number of items, and how many of them have labels.
        annotators: number of annotators, and whether they are people.
        labels: labels per item that has any.
        noise: share of single labels that differ from the true class, and of what.
        use: what the data are good for.
    """

    items: str
    annotators: str
    labels: str
    noise: str
    use: str


@dataclass(frozen=True)
class Source:
    """A data set that ``hilmix data`` knows.

    Args:
        name: short name, also the name of the prepared data.
        summary: one line.
        licence: as the authors state it.
        citation: whom to cite.
        build: function that builds the data.
        resources: what it needs; empty for embedded data.
        options: fields of :class:`Options` that it supports.
        defaults: their values where none is given.
        folder: folder under the download folder that the user fills by hand, where nothing can be downloaded.
        note: limits to know before trusting results on it.
        profile: its line in the table of all sources; hilmix's own have one.
    """

    name: str
    summary: str
    licence: str
    citation: str
    build: Callable[[Access, Options], AnnotatedData]
    resources: tuple[Resource[Any], ...] = ()
    options: tuple[Option, ...] = ()
    defaults: Options = Options()
    folder: str = ""
    note: str = ""
    profile: Profile | None = None

    @property
    def needs_files(self) -> bool:
        """True if files must be downloaded, or placed by hand, before the data can be made."""
        return bool(self.resources or self.folder)


def require_published(what: str, found: object, expected: object) -> None:
    """Refuse content that differs from what the authors published.

    Raises:
        DataError: if ``found`` is not ``expected``.
    """
    if found != expected:
        raise DataError(f"{what}: found {found}, expected {expected}. The file is not the published one.")

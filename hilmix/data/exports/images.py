"""Images of items, found by relative path, file name, or name without extension, whichever is one-to-one."""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from hilmix.data.folder.image_layout import is_hidden
from hilmix.data.pictures import image_suffixes
from hilmix.errors import DataError
from hilmix.values import quoted

_SHOWN = 3


class Match(NamedTuple):
    """Images of items."""

    file: NDArray[np.int64]
    """(N,) int64 place of an item's image in ``files``, -1 without one."""
    files: tuple[Path, ...]
    way: str
    """``relative path``, ``file name`` or ``name without extension``."""

    @property
    def surplus(self) -> tuple[Path, ...]:
        """Images that no item names."""
        used = set(self.file.tolist())
        return tuple(file for place, file in enumerate(self.files) if place not in used)


def match_images(cells: Sequence[str], folder: Path) -> Match:
    """Return the image of each item.

    Args:
        cells: N texts that name an image: paths, also those of another machine, URLs, file names, or names without
            extension.
        folder: of the images, at any depth; hidden files are skipped.

    Raises:
        DataError: if no way of matching finds an image for any item, or each that does finds several for one item, or
            one for several items.
    """
    files = list_images(folder)
    paths = [file.relative_to(folder).as_posix() for file in files]
    wanted = [_path_of(cell) for cell in cells]
    unclear, best = "", None
    for way, (of_file, of_cell) in _WAYS.items():
        place, doubt = _match_once([of_file(path) for path in paths], [of_cell(cell) for cell in wanted])
        # A way with any ambiguity is dropped as a whole: half of the items by name and half by path would be a guess.
        if doubt:
            unclear = unclear or f"by {way}, {doubt}"
        elif (place >= 0).any() and (best is None or (place >= 0).sum() > (best.file >= 0).sum()):
            best = Match(place, tuple(files), way)
    if best is None:
        raise DataError(
            f"No image in '{folder}' can be matched with the items one to one"
            + (f": {unclear}." if unclear else f": of {len(files):,} images, none is called {quoted(cells[:_SHOWN])}.")
        )
    return best


def list_images(folder: Path) -> list[Path]:
    """Return the image files of a folder, at any depth, sorted.

    Raises:
        DataError: if there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder at '{folder}'. Give the folder of the images.")
    suffixes = image_suffixes()
    files = [f for f in sorted(folder.rglob("*")) if f.suffix.lower() in suffixes and not is_hidden(f, folder)]
    if not files:
        raise DataError(f"'{folder}' holds no image.")
    return files


def _path_of(cell: str) -> str:
    """The path that a cell names: of a URL its path, or the one in its query as Label Studio writes local files."""
    url = urlsplit(cell.replace("\\", "/"))
    if url.query.startswith("d="):  # /data/local-files/?d=photos/1.jpg
        return unquote(url.query[2:])
    return unquote(url.path) if url.scheme and url.netloc else cell.replace("\\", "/")


def _match_once(names: list[str], cells: list[list[str]]) -> tuple[NDArray[np.int64], str]:
    """(N,) places of the files that cells name, -1 for none; and what is not one-to-one, empty if all is."""
    # Lists, not a plain dictionary, whose last file of a name would win unseen.
    of_name: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        of_name.setdefault(name, []).append(row)
    found = [next((of_name[key] for key in keys if key in of_name), []) for keys in cells]
    several = next((row for row, rows in enumerate(found) if len(rows) > 1), None)
    place = np.array([rows[0] if rows else -1 for rows in found], dtype=np.int64)
    if several is not None:
        return place, f"'{cells[several][0]}' may be any of {len(found[several])} images"
    taken = place[place >= 0]
    values, count = np.unique(taken, return_counts=True)
    if (count > 1).any():
        return place, f"{count.max()} items name the image '{names[values[count.argmax()]]}'"
    return place, ""


def _tails(path: str) -> list[str]:
    """The path and what is left of it without its first folders: the cell may begin above the folder of images."""
    parts = PurePosixPath(path.lstrip("/")).parts
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _bare(path: str) -> str:
    """The name without the extension of an image; other dots belong to it."""
    name = PurePosixPath(_name(path))
    return name.stem if name.suffix.lower() in image_suffixes() else name.name


_WAYS: dict[str, tuple[Callable[[str], str], Callable[[str], list[str]]]] = {
    "relative path": (str, _tails),
    "file name": (_name, lambda cell: [_name(cell)]),
    "name without extension": (_bare, lambda cell: [_bare(cell)]),
}

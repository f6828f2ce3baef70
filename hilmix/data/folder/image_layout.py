"""Read the layout of a folder of images: classes, or the splits train, val and test with classes below."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from hilmix.columns import natural_order
from hilmix.errors import DataError
from hilmix.faults import Findings

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""Names that common tools give to folders of splits, in small letters, and the splits they mean."""
# Parts of snake, kebab and camel case.
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+")
_HIDDEN = (".", "__MACOSX")
"""Beginnings of hidden files and folders; macOS adds the latter to archives."""


class Part(NamedTuple):
    """A folder whose images, at any depth, are of one class."""

    folder: Path
    name: str
    """Of the class."""
    split: str | None


def read_layout(root: Path, found: Findings) -> list[Part]:
    """Return the folders of images.

    ``CLASS/...`` is a class; ``SPLIT/CLASS/...``, where all folders have the name of a split, and ``CLASS/SPLIT/...``,
    where all folders of all classes have, are splits too. So are folders such as ``train_images`` and ``test_images``
    if they hold folders alone.

    Args:
        root: the folder.
        found: collects notes about what was understood.

    Raises:
        DataError: if there are fewer than two classes, or the folders may mean one thing or the other.
    """
    if not os.path.isdir(root):  # False, not an error, for a name that is too long
        raise DataError(f"There is no folder at '{root}'. Give a folder of images with one sub-folder per class.")
    top = list_visible_folders(root)
    named = [one for one in top if _match_split(one)]
    with_classes = [one for one in named if list_visible_folders(one)]
    if (named and len(named) == len(top) and with_classes) or _are_splits(top):
        return _check_layout(root, _read_splits_first(root, top, found))
    if with_classes and (len(named) > 1 or not _has_files(with_classes[0])):
        split, other = with_classes[0].name, next(one.name for one in top if one not in named)
        raise DataError(
            f"'{root}' may hold splits or classes: '{split}' has the name of a split and folders of its own, '{other}' "
            f"has no such name. Rename '{split}' if it is a class, or move '{other}' elsewhere."
        )
    if len(named) > 1:
        raise DataError(
            f"'{root}' has the folders {_list_names(named)}, which name splits, and no class folders in "
            f"'{named[0].name}'. Sort the images into SPLIT/CLASS/..., or rename the folders if they are classes."
        )
    return _check_layout(root, _read_classes_first(top, found))


def list_visible_folders(root: Path) -> list[Path]:
    """Return the sub-folders that are not hidden, numbers by value."""
    found = [one for one in root.iterdir() if one.is_dir() and not one.name.startswith(_HIDDEN)]
    return sorted(found, key=lambda one: natural_order(one.name))


def _read_splits_first(root: Path, named: list[Path], found: Findings) -> list[Part]:
    seen: dict[str, Path] = {}
    for folder in named:
        split = _match_split(folder) or _find_split_word(folder)
        assert split is not None
        if split in seen:
            raise DataError(
                f"'{root}' has two folders of the split '{split}', '{seen[split].name}' and '{folder.name}'. Keep one."
            )
        seen[split] = folder
        if not list_visible_folders(folder):
            raise DataError(
                f"'{folder}' has no class folders, as '{_find_fullest(named).name}' has. Sort its images into classes, "
                "or move it elsewhere; images without a class need a table (docs/data_folder.md)."
            )
    parts = [
        Part(one, one.name.strip(), split) for split, folder in seen.items() for one in list_visible_folders(folder)
    ]
    # A split without another one to compare with is no split: everything would be for training, or nothing.
    if len(seen) == 1:
        found.note("layout", root, found=f"'{named[0].name}' is the only split, so that none is stored; one is drawn")
        return [part._replace(split=None) for part in parts]
    meaning = ", ".join(f"'{folder.name}' as {split}" for split, folder in seen.items())
    found.note("layout", root, found=f"read {meaning}, and the folders in them as classes")
    return parts


def _read_classes_first(top: list[Path], found: Findings) -> list[Part]:
    """Classes, with splits below where all of their folders are named so."""
    below = [(one, list_visible_folders(one)) for one in top]
    inner = [sub for _, folders in below for sub in folders]
    if not inner or not any(_match_split(sub) for sub in inner):
        return [Part(one, one.name.strip(), None) for one in top]
    for one, folders in below:
        others = [sub for sub in folders if not _match_split(sub)]
        if others or not folders or _has_files(one):
            raise DataError(
                f"Some class folders hold splits ('{next(s for s in inner if _match_split(s))}'), and '{one}' holds "
                "other images too. Sort all images into SPLIT/CLASS/..., or rename the folders if they mean no splits."
            )
    found.note("layout", top[0].parent, found="read the folders as classes, and the folders in them as splits")
    return [Part(sub, one.name.strip(), _match_split(sub)) for one, folders in below for sub in folders]


def _check_layout(root: Path, parts: list[Part]) -> list[Part]:
    names = dict.fromkeys(part.name for part in parts)
    for part in parts:
        require_utf8(part.folder)
    if len(names) < 2:
        inside = [one for one in list_visible_folders(root) if len(list_visible_folders(one)) > 1]
        hint = f" Or give '{inside[0]}', if its folders are the classes." if inside else ""
        raise DataError(
            f"'{root}' has {len(names)} sub-folder(s) that are classes; expected one per class, at least two, with its "
            f"images in it.{hint}"
        )
    if len({(part.name, part.split) for part in parts}) < len(parts):
        raise DataError(f"'{root}' has two folders of one class, but for blanks in their names. Join them.")
    return parts


def require_utf8(path: Path) -> None:
    """Raises:
    DataError: for a name that no table can hold.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"The name of '{path}' is not UTF-8; rename it.") from error


def _match_split(folder: Path) -> str | None:
    return SPLIT_NAMES.get(folder.name.lower())


def _find_split_word(folder: Path) -> str | None:
    """The split that one of the words of a name means, as in ``train_images`` or ``images-val2017``."""
    words = (word.lower() for word in _WORD.findall(folder.name))
    found = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    # Both words, as in `train_val`, name neither split.
    return found.pop() if len(found) == 1 else None


def _are_splits(top: list[Path]) -> bool:
    """Returns whether all folders have a split in their names, each another, and hold folders alone."""
    splits = {_find_split_word(one) for one in top}
    alone = all(list_visible_folders(one) and not _has_files(one) for one in top)
    return len(top) > 1 and None not in splits and len(splits) == len(top) and alone


def is_hidden(path: Path, root: Path) -> bool:
    """Returns whether a file or one of its folders below ``root`` is hidden."""
    return any(part.startswith(_HIDDEN) for part in path.relative_to(root).parts)


def _has_files(folder: Path) -> bool:
    return any(one.is_file() and not is_hidden(one, folder) for one in folder.iterdir())


def _find_fullest(folders: list[Path]) -> Path:
    return max(folders, key=lambda one: len(list_visible_folders(one)))


def _list_names(folders: list[Path]) -> str:
    return ", ".join(f"'{one.name}'" for one in folders)

"""A copy of a data folder without the items whose image cannot be read."""

import csv
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hilmix.data.folder.masks import find_mask_items
from hilmix.data.folder.read import FolderContents, examine_folder, read_folder
from hilmix.data.folder.tables import read_table, strip_header
from hilmix.data.inputs import ImageFiles
from hilmix.data.pictures import UNREADABLE
from hilmix.errors import DataError
from hilmix.faults import FaultyDataError

_TABLES = ("items", "annotations", "masks", "annotators")
Rows = NDArray[np.bool_]
"""(rows of a table,) whether a row is kept."""


class CleanedCopy(NamedTuple):
    """Items, annotations and masks that a copy leaves out."""

    items: tuple[str, ...]
    paths: tuple[Path, ...]
    """Image file of each of them, which cannot be read."""
    annotations: int
    masks: int


def copy_readable(root: Path, out: Path) -> CleanedCopy:
    """Write a copy of a data folder without the items whose image cannot be read, their annotations and masks.

    Tables, ``dataset.yaml``, arrays, masks and the images that items name are copied; the original is only read. An
    image outside the folder stays where it is, and is named by its whole path. The copy bears its name when it is
    complete and has been read without a fault.

    Args:
        root: the folder.
        out: the folder to write; must not exist, nor lie inside ``root``.

    Raises:
        FaultyDataError: if anything else is wrong with the folder; unreadable images alone can be left out.
        DataError: if ``out`` cannot be written or no item would be left.
    """
    _check_place(root, out)
    examined = examine_folder(root, decode=True)
    # Only faults that leaving an item out can mend; the rest would be copied along, and look examined.
    others = [fault for fault in examined.found.faults if fault.kind not in UNREADABLE]
    if others:
        raise FaultyDataError(root, others, examined.found.notes)
    bad = _find_unreadable(examined)
    if bad.all():
        raise DataError(f"{root}: no image can be read, so that nothing is left to copy. Correct 'path' in its items.")
    # Beside the copy: on one file system the rename is atomic.
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    # May be left by a process of the same number that was killed.
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        cleaned = _write(root, partial, examined, bad)
        _verify(partial, examined, bad)
        partial.rename(out)
    except (OSError, csv.Error) as error:
        raise DataError(f"Cannot write '{out}': {error}. Choose another folder.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return cleaned


def _verify(copy: Path, examined: FolderContents, bad: Rows) -> None:
    """Read the copy, to notice a name of an item or mask that means another one now."""
    assert examined.items is not None
    expected = tuple(item for item, left_out in zip(examined.items, bad, strict=True) if not left_out)
    if read_folder(copy).items != expected:
        raise DataError(
            f"{copy} would not hold the items that can be read; report this, with the tables of the folder."
        )


def _check_place(root: Path, out: Path) -> None:
    here, there = root.resolve(), out.resolve()
    if here == there or here in there.parents:
        raise DataError(
            f"'{out}' is '{root}' or lies inside it, and the original is not touched. Choose another folder."
        )
    # lexists() also sees a link that leads nowhere.
    if os.path.lexists(out):
        raise DataError(f"'{out}' exists already. Remove it, or choose another folder.")


def _find_unreadable(examined: FolderContents) -> Rows:
    """(N,) the items whose image cannot be read."""
    assert examined.items is not None, "without names there would be other faults"
    if not isinstance(examined.inputs, ImageFiles) or examined.inputs.sizes is None:
        return np.zeros(len(examined.items), dtype=bool)
    return np.array([size is None for size in examined.inputs.sizes])


def _write(root: Path, out: Path, examined: FolderContents, bad: Rows) -> CleanedCopy:
    assert examined.items is not None
    names = np.asarray(examined.items, dtype=object)
    paths = np.asarray(examined.inputs.paths if isinstance(examined.inputs, ImageFiles) else (), dtype=object)
    gone = set(names[bad])
    dropped = {stem: _copy_table(root, stem, out, gone) for stem in _TABLES}
    for name in ("dataset.yaml", "inputs.npy", "masks.npy"):
        if (root / name).is_file():
            shutil.copyfile(root / name, out / name)
    # A set: a file that several items name is copied once.
    for path in set(paths[~bad] if len(paths) else ()):
        if _is_inside(path, root):
            _copy_file(path, root, out)
    items = read_table(root, "items")[1]
    owners = find_mask_items(root, examined.items, list(items["path"]) if "path" in items else None)
    kept = {file: item for file, item in owners.items() if item not in gone}
    for file in kept:
        _copy_file(file, root, out)
    return CleanedCopy(
        tuple(names[bad]),
        tuple(paths[bad] if len(paths) else ()),
        dropped["annotations"],
        dropped["masks"] + len(owners) - len(kept),
    )


def _copy_table(root: Path, stem: str, out: Path, gone: set[str]) -> int:
    """Copy the rows of a table that are not about these items, cell by cell; returns how many it leaves out."""
    file, frame = read_table(root, stem, required=False)
    if not file.is_file():
        return 0
    drop = set(frame.index[frame["item"].isin(gone)]) if "item" in frame else set()
    if file.suffix == ".parquet":
        _copy_parquet(file, out / file.name, drop, root)
    else:
        _copy_csv(file, out / file.name, drop, root)
    return len(drop)


def _copy_parquet(file: Path, target: Path, drop: set[int], root: Path) -> None:
    table = pq.ParquetFile(file).read()
    table = table.take(pa.array([row for row in range(len(table)) if row not in drop], pa.int64()))
    headers = list(map(strip_header, table.column_names))
    if "path" in headers:
        place = headers.index("path")
        cells = [cell if cell is None else _make_absolute(str(cell), root) for cell in table.column(place).to_pylist()]
        table = table.set_column(place, "path", pa.array(cells, pa.string()))
    pq.write_table(table, target)


def _copy_csv(file: Path, target: Path, drop: set[int], root: Path) -> None:
    with file.open(encoding="utf-8", newline="") as source, target.open("w", encoding="utf-8", newline="") as copy:
        # Rows are counted as pandas counts them, which skips blank lines.
        # Cell by cell and not by pandas, which would write 007 as 7 and change what the copy is to keep.
        lines = (line for line in csv.reader(source) if any(cell.strip() for cell in line) or len(line) > 1)
        writer, header = csv.writer(copy, lineterminator="\r\n"), next(lines)
        # Excel writes a byte order mark before the first header.
        headers = [strip_header(name.removeprefix("\ufeff")) for name in header]
        place = headers.index("path") if "path" in headers else None
        writer.writerow(header)
        for row, line in enumerate(lines):
            if row not in drop:
                writer.writerow([_make_absolute(c, root) if i == place else c for i, c in enumerate(line)])


def _make_absolute(path: str, root: Path) -> str:
    """The path of an image for a folder elsewhere: relative if the image lies in the folder, else the whole path."""
    found = root / path.strip()
    if not path.strip() or (_is_inside(found, root) and not Path(path.strip()).is_absolute()):
        return path
    return os.path.relpath(found, os.path.abspath(root)) if _is_inside(found, root) else os.path.abspath(found)


def _is_inside(path: Path, root: Path) -> bool:
    """Returns whether a path leads into the folder as it is written, through any links."""
    return Path(os.path.abspath(root)) in Path(os.path.abspath(path)).parents


def _copy_file(file: Path, root: Path, out: Path) -> None:
    target = out / os.path.relpath(os.path.abspath(file), os.path.abspath(root))
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)

"""Annotated data from exports of other tools and from tables in memory, as ``hilmix data import`` reads them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hilmix.data.exports.build import add_images
from hilmix.data.exports.columns import Columns
from hilmix.data.exports.export import Export, ExportSettings
from hilmix.data.exports.read import read_exports
from hilmix.data.exports.tables import read_votes_table
from hilmix.data.folder.class_folders import read_class_folders
from hilmix.data.items import AnnotatedData
from hilmix.errors import ConfigError
from hilmix.faults import Findings


def from_export(
    source: Path | str | Sequence[Path | str],
    images: Path | str | None = None,
    *,
    image_size: int | None = None,
    **settings: Any,
) -> AnnotatedData:
    """Return an export of votes with the images of its items; ``docs/data_import.md`` lists the layouts.

    Args:
        source: the export, or several of one layout.
        images: folder of the images; without one, items name their image relative to the export.
        image_size: as for :class:`~hilmix.data.inputs.ImageFiles`.
        **settings: ``item``, ``annotator``, ``label``, ``target``, ``split``, names of columns; ``separator``,
            ``wide``, ``several``, ``missing`` and ``duplicates``, as of
            :class:`~hilmix.data.exports.export.ExportSettings`.

    Raises:
        ConfigError: for an unknown setting.
        DataError: for votes or images that cannot be used, with all faults of the votes.
    """
    sources = [Path(one) for one in ([source] if isinstance(source, str | Path) else source)]
    found, chosen = Findings(), read_settings(settings)
    folder = sources[0] if images is None and sources[0].is_dir() else images
    return _finish(read_exports(sources, chosen, found), folder, chosen, found, image_size)


def from_frame(
    frame: pd.DataFrame,
    images: Path | str,
    *,
    name: str = "votes",
    image_size: int | None = None,
    **settings: Any,
) -> AnnotatedData:
    """Return a table of votes in memory, long or wide, with the images of its items.

    Args:
        frame: one row per vote, or with ``wide=True`` one column per annotator.
        images: folder of the images.
        name: of the data.
        image_size: as of :func:`from_export`, as the other settings and the errors.
        **settings: see :func:`from_export`.
    """
    found, chosen = Findings(), read_settings(settings)
    return _finish(read_votes_table(frame, Path(name), chosen, found), images, chosen, found, image_size)


def from_class_folders(root: Path | str, *, image_size: int | None = None) -> AnnotatedData:
    """Return images in ``CLASS/...`` or ``SPLIT/CLASS/...``, whose class is their target and their one label.

    Args:
        root: the folder.
        image_size: as for :class:`~hilmix.data.inputs.ImageFiles`.

    Raises:
        DataError: for folders that mean no classes, or images that cannot be used.
    """
    return read_class_folders(Path(root), image_size=image_size).data


def read_settings(settings: dict[str, Any]) -> ExportSettings:
    """Return the settings of an export by name.

    Raises:
        ConfigError: for a name that is no setting.
    """
    columns = {name: value for name, value in settings.items() if name in Columns._fields}
    others = {name: value for name, value in settings.items() if name not in columns}
    known = [name for name in ExportSettings._fields if name != "columns"]
    if wrong := [name for name in others if name not in known]:
        raise ConfigError(f"`{wrong[0]}` must be one of {', '.join((*Columns._fields, *known))}.")
    return ExportSettings(Columns(**columns), **others)


def _finish(
    export: Export, images: Path | str | None, settings: ExportSettings, found: Findings, image_size: int | None
) -> AnnotatedData:
    found.raise_if_any(export.file)
    return add_images(export, None if images is None else Path(images), settings, found, image_size=image_size)

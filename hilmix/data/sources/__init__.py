"""Public data sets by name. ``hilmix data list`` shows them; one file each, which registers itself by lying here."""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from hilmix.data.items import AnnotatedData
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile
from hilmix.errors import DataError
from hilmix.moved import former_names
from hilmix.trusted import import_object, is_object_path

__all__ = [
    "SOURCES",
    "Access",
    "Options",
    "Profile",
    "RemoteFile",
    "Resource",
    "Source",
    "find_source",
    "load_source",
    "require_published",
]


def collect_sources(modules: list[ModuleType]) -> dict[str, Source]:
    """Return the sources that stand in modules, by name; those that need no files first, then by name.

    Args:
        modules: in which every :class:`Source` among the values of a module counts.

    Raises:
        ValueError: if two sources have one name.
    """
    found: dict[str, Source] = {}
    for module in modules:
        for source in vars(module).values():
            # One source may be imported into several modules; another of its name is a mistake.
            if isinstance(source, Source) and found.setdefault(source.name, source) is not source:
                raise ValueError(f"`name` of a source must be unique, got '{source.name}' again in {module.__name__}.")
    return dict(sorted(found.items(), key=lambda entry: (entry[1].needs_files, entry[0])))


def _import_all() -> list[ModuleType]:
    return [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]


SOURCES: dict[str, Source] = collect_sources(_import_all())
"""The public data sets, by name."""


def find_source(name: str) -> Source:
    """Return a public data set by its name, or a source of another package.

    Args:
        name: see :data:`SOURCES`, or ``package.module:NAME``, a :class:`Source` in a module that is imported.

    Raises:
        ConfigError: if there is no source at such a path.
        DataError: listing the names, if there is none.

    Example:
        >>> find_source("hilmix.data.sources.mnist:MNIST").name
        'mnist'
    """
    if is_object_path(name):
        return import_object(name, Source)
    if name not in SOURCES:
        raise DataError(
            f"`name` of a data set must be one of {', '.join(SOURCES)}, or package.module:NAME of your own, "
            f"got '{name}'."
        )
    return SOURCES[name]


def load_source(
    name: str,
    *,
    downloads: Path = Path("data/downloads"),
    options: Options | None = None,
    allow_unverified: bool = False,
) -> AnnotatedData:
    """Return a data set in memory, downloading what is missing.

    Args:
        name: as of :func:`find_source`.
        downloads: folder of the canonical files.
        options: seed and the like, for the sources that support them; by default the source's own.
        allow_unverified: whether to download files whose content cannot be verified.

    Raises:
        DataError: for an unknown name, or if the data cannot be obtained.

    Example:
        >>> len(load_source("digits-class"))
        1797
    """
    source = find_source(name)
    return source.build(Access(downloads, allow_unverified=allow_unverified), options or source.defaults)


if not TYPE_CHECKING:  # a type checker that sees __getattr__ would accept any name
    __getattr__ = former_names(__name__, {"expect": "require_published"})

"""Classes that a file may name: the one place that imports what a checkpoint, a saved policy or a specification names.

Importing a module runs it. A class path is therefore followed only into hilmix, into a package that the user named with
:func:`trust`, or to a class that the user's own program or config has imported already.
"""

import argparse
import importlib
import importlib.util
import re
import sys
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from hilmix.checks import with_article
from hilmix.errors import ConfigError, UntrustedError
from hilmix.moved import current_path

T = TypeVar("T")

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_INSTANTIATOR = "lightning.pytorch.cli.instantiate_module"
"""Key that LightningCLI adds to the checkpoints of modules that save their own arguments."""
_packages: set[str] = {"hilmix"}


def trust(*packages: str) -> None:
    """Lets files name classes of these packages, for the rest of the process.

    Args:
        packages: full names, such as ``mine`` or ``mine.parts``; their modules belong to them, ``mine_too`` does not.

    Raises:
        ConfigError: for what is no name of a package.

    Example:
        >>> trust("mine")
    """
    for name in packages:
        if not (isinstance(name, str) and _DOTTED.fullmatch(name)):
            raise ConfigError(f"trust must be the name of a package, such as 'mine' or 'mine.parts', got {name!r}.")
    _packages.update(packages)


def find_class(class_path: object, base: type[T]) -> type[T]:
    """Returns the class of that path.

    Args:
        class_path: ``package.module.Class``, also one that hilmix wrote before the class moved.
        base: the class that it must be, or be derived from.

    Raises:
        ConfigError: if the path is none, its package is neither hilmix nor trusted and the class is not imported
            already, there is no such class, or it is no subclass of ``base``.
    """
    require_trust(class_path, start=f"No {base.__name__} at '{class_path}'")
    module, _, name = current_path(str(class_path)).rpartition(".")
    try:
        found = (
            # A module that is merely loaded is not imported from: only what it holds already may be named.
            getattr(importlib.import_module(module), name) if _is_trusted(module) else vars(sys.modules[module])[name]
        )
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"No {base.__name__} at '{class_path}': {error}. Import the package that defines it."
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigError(f"'{class_path}' is not {with_article(base.__name__)}.")
    return found


def is_object_path(name: str) -> bool:
    """Return whether a name has the form ``package.module:NAME``, of an object outside hilmix's own tables.

    Example:
        >>> is_object_path("mine.sources:BIRDS"), is_object_path("mnist")
        (True, False)
    """
    module, _, inner = name.partition(":")
    return bool(_DOTTED.fullmatch(module)) and inner.isidentifier()


def import_object(path: str, kind: type[T]) -> T:
    """Return the object that the user named as ``package.module:NAME``; runs its module.

    Args:
        path: typed by the user or written in code. A path out of a file needs :func:`require_trust` first.
        kind: the class that it must be an instance of.

    Raises:
        ConfigError: if the path is none, there is no such object, or it is of another class.
    """
    if not is_object_path(path):
        raise ConfigError(f"{kind.__name__} must be named like 'package.module:NAME', got '{path}'.")
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"No {kind.__name__} at '{path}': {error}. Add its folder to PYTHONPATH.") from error
    if not isinstance(found, kind):
        raise ConfigError(f"'{path}' must be {with_article(kind.__name__)}, got {with_article(type(found).__name__)}.")
    return found


def require_trust(class_path: object, *, start: str) -> None:
    """Refuses a class path that must not be followed; imports nothing.

    Args:
        class_path: ``package.module.Class``.
        start: of the message: the file that names it, or what it should be.

    Raises:
        ConfigError: naming the path and the remedy.
    """
    if not (isinstance(class_path, str) and "." in class_path and _DOTTED.fullmatch(class_path)):
        raise ConfigError(f"{start}: class_path must be like 'package.module.Class', got {class_path!r}.")
    module, _, name = class_path.rpartition(".")
    loaded = sys.modules.get(module)
    # vars, not getattr: a module with a __getattr__ of its own may import more
    if _is_trusted(module) or (loaded is not None and name in vars(loaded)):
        return
    package = class_path.partition(".")[0]
    raise UntrustedError(
        f"{start}: class_path '{class_path}' is not imported: it belongs neither to hilmix nor to a trusted package. "
        f"If you know who wrote '{package}', call hilmix.trust('{package}').",
        package,
    )


def check_class_paths(value: object, *, where: str, named: Collection[object] = ()) -> None:
    """Refuses hyperparameters that would make Lightning or jsonargparse import what must not be imported.

    Every ``class_path`` in them counts, at any depth. Where Lightning rebuilds the object by jsonargparse
    (``_instantiator``), a plain string can name a class or a function, too.

    Args:
        value: lists, maps and plain values, as read from a checkpoint.
        where: the file, for the message.
        named: values that the user's own config or options give; a class among them is the user's own.

    Raises:
        ConfigError: naming the path and the remedy.
    """
    rebuilt = isinstance(value, dict) and value.get("_instantiator") is not None
    for key, entry in leaves(value):
        # Lightning notes its own function in every checkpoint of this kind.
        names_class = key in ("class_path", "_class_path", "_instantiator") and entry not in (None, _INSTANTIATOR)
        if entry not in named and (names_class or (rebuilt and _may_be_imported(entry))):
            require_trust(entry, start=where)


class Trust(argparse.Action):
    """The option ``--trust PACKAGE``, which may be repeated."""

    def __call__(self, parser: Any, namespace: Any, values: str | Sequence[Any] | None, option: Any = None) -> None:
        try:
            trust(str(values))
        except ConfigError as error:
            parser.error(str(error))


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Adds ``--trust`` to a command that reads files which can name classes."""
    about = "also import classes of this package that a file names"
    parser.add_argument("--trust", action=Trust, metavar="PACKAGE", default=argparse.SUPPRESS, help=about)


def _is_trusted(module: str) -> bool:
    # With the dot: trust in `mine` is none in `mine_too`.
    return any(module == name or module.startswith(f"{name}.") for name in _packages)


def _may_be_imported(entry: object) -> bool:
    if not (isinstance(entry, str) and "." in entry and _DOTTED.fullmatch(entry)):
        return False
    if entry == _INSTANTIATOR:
        return False
    spec = importlib.util.find_spec(entry.partition(".")[0])  # of a top-level name: imports nothing
    return spec is not None and spec.loader is not None and spec.has_location


def leaves(value: object, key: object = None) -> list[tuple[object, object]]:
    """Returns (key, value) of everything that is no list or map; the entries of a list have the list's key."""
    if isinstance(value, dict):
        return [leaf for name, entry in value.items() for leaf in leaves(entry, name)]
    if isinstance(value, (list, tuple)):
        return [leaf for entry in value for leaf in leaves(entry, key)]
    return [(key, value)]

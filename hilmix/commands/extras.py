"""Modules of commands, some of which need packages that are not installed with hilmix itself."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Literal

from hilmix.errors import ConfigError

EXTRA = ("fastapi", "httpx", "markdown_it", "pydantic", "starlette", "uvicorn")
"""Packages that ``hilmix[elicit]`` and ``hilmix[serve]`` install, by the names they are imported by."""


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without looking for garbage, then and later: nearly all that imports create stays to the end.

    Half a million objects, among which the collector would look for cycles some twenty times in the start of a command.
    """
    enabled, before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:  # not in each call of one process, whose own garbage would be kept
            gc.freeze()
        if enabled:
            gc.enable()


def import_command(name: str) -> ModuleType:
    """Return a module of ``hilmix.commands``, which has ``add_arguments(parser)`` and ``run(args, console)``.

    Raises:
        ConfigError: if it needs an extra that is not installed.
    """
    with quick_imports():
        return import_extra(f"hilmix.commands.{name}", extra="serve" if name == "serve" else "elicit")


def import_extra(module: str, *, extra: Literal["elicit", "serve"] = "elicit") -> ModuleType:
    """Return a module that may need packages of an extra.

    Args:
        module: its full dotted name.
        extra: that installs them.

    Raises:
        ConfigError: if the extra is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        # A missing module of our own is a mistake of ours, which advice to install something would hide.
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise ConfigError(f"hilmix {extra} needs further packages: pip install 'hilmix[{extra}]'") from error

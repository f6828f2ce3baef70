"""The methods by name: the config files of ``configs/method/``, what they consist of and a line about each."""

from pathlib import Path
from typing import Any, NamedTuple

from hilmix.checks import near_names
from hilmix.errors import ConfigError
from hilmix.lightning_cli.config_files import configs_folder
from hilmix.yaml_files import load_yaml

__all__ = ["Method", "find_method", "list_methods"]


class Method(NamedTuple):
    """A method: a model and what it learns from."""

    name: str
    about: str
    """First sentence of its config file."""
    settings: dict[str, Any]
    """``model`` and ``data``, each a class path and its arguments."""


def list_methods() -> list[Method]:
    """Returns all packaged methods, by name."""
    return [_read(file) for file in _files()]


def find_method(name: str) -> Method:
    """Returns a method by name.

    Raises:
        ConfigError: if there is none of that name, with those near it.

    Example:
        >>> find_method("mv").name
        'mv'
    """
    names = [file.stem for file in _files()]
    if name not in names:
        near = ", ".join(near_names(str(name), names))
        raise ConfigError(f"`method` must be one of {', '.join(names)}, got {name!r}.{f' Near: {near}.' * bool(near)}")
    return _read(_folder() / f"{name}.yaml")


def _folder() -> Path:
    return configs_folder() / "method"


def _files() -> list[Path]:
    return sorted(_folder().glob("*.yaml"), key=lambda file: file.stem)


def _read(file: Path) -> Method:
    text = file.read_text(encoding="utf-8")
    comment = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
    sentence = " ".join(comment).partition(". ")[0]
    return Method(file.stem, f"{sentence.rstrip('.')}.", load_yaml(text))

"""Read ``dataset.yaml``, the metadata of a data folder. Scalars are read as written: ``010`` and ``yes`` are text."""

from collections import Counter
from pathlib import Path
from typing import Any, get_args

import yaml

from hilmix.annotations.repeats import Duplicates
from hilmix.faults import Findings
from hilmix.values import places, short
from hilmix.yaml_files import load_yaml

_CHOICES = {
    "input": ("image", "vector"),
    "identity": ("exchangeable",),
    "duplicates": get_args(Duplicates),
}
_LISTS = ("classes", "missing")
_KEYS = ("name", *_LISTS, "licence", *_CHOICES)


class _Null(str):
    """Text of a scalar that YAML reads as null: in a list it may be a name."""

    __slots__ = ()


class _TextLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML ships no types
    """Builds lists, maps and text only."""

    def scalar(self, node: yaml.ScalarNode) -> str:
        return str(node.value)

    def null(self, node: yaml.ScalarNode) -> str:
        return _Null(node.value)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        # Counted on the nodes: once the mapping is built, the repeated keys are gone.
        number = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if again := sorted(key for key, times in number.items() if times > 1):  # PyYAML would keep the last
            raise yaml.MarkedYAMLError(f"the key(s) {again} occur more than once", node.start_mark)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


# YAML 1.1 makes True of `yes` and 8 of `010`, which are names here.
for _kind in ("bool", "int", "float", "timestamp", "value", "merge"):
    _TextLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _TextLoader.scalar)
_TextLoader.add_constructor("tag:yaml.org,2002:null", _TextLoader.null)


def read_meta(root: Path, found: Findings) -> dict[str, Any]:
    """Return the keys of ``dataset.yaml``: text, and tuples of names for ``classes`` and ``missing``.

    A key that is faulty, or has no value, is left out; ``name`` is then that of the folder.

    Args:
        root: the data folder.
        found: collects what is wrong.
    """
    file = root / "dataset.yaml"
    stated = _load(file, found)
    for key in sorted(set(map(str, stated)) - set(_KEYS)):
        found.fault("unknown-key", file, key, found=f"unknown key '{key}'", expected=f"keys of {list(_KEYS)}")
    meta = {
        key: _read_value(key, stated[key], file, found)
        for key in _KEYS
        if not isinstance(stated.get(key, _Null()), _Null)
    }
    meta = {key: value for key, value in meta.items() if value is not None}
    if stated and isinstance(stated.get("input", _Null()), _Null):
        found.fault("key", file, "input", found="'input' is missing", expected="'image' or 'vector'")
    missing = meta.get("missing", ())
    if both := [name for name, p in zip(missing, places(missing, meta.get("classes", ())), strict=True) if p >= 0]:
        found.fault("key", file, "missing", found=f"{both} is listed under 'classes' too", remedy="Choose one.")
    return {"name": root.resolve().name} | meta


def _read_value(key: str, value: Any, file: Path, found: Findings) -> Any:
    if key in _LISTS:
        return _read_names(key, value, file, found)
    if not isinstance(value, str):
        found.fault("key", file, key, found=f"'{key}' is {short(repr(value))}", expected="a text, not a list or map")
    elif key in _CHOICES and value not in _CHOICES[key]:
        found.fault(
            "key",
            file,
            key,
            found=f"'{key}' is {value!r}",
            expected=" or ".join(f"'{choice}'" for choice in _CHOICES[key]),
        )
    else:
        return str(value)
    return None


def _read_names(key: str, value: Any, file: Path, found: Findings) -> tuple[str, ...] | None:
    """The names of a list; under ``missing`` one name may stand alone, and an empty one means empty cells."""
    listed = [value] if key == "missing" and isinstance(value, str) else value
    if key == "missing" and listed == []:
        return ()
    names = [str(name).strip() for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    if names and len(names) == len(listed) == len(set(names)) and (all(names) or key == "missing"):
        return tuple(names)
    found.fault(
        "key",
        file,
        key,
        found=f"'{key}' is {short(repr(value))}",
        expected="a list of different names, such as [cat, dog]",
    )
    return None


def _load(file: Path, found: Findings) -> dict[Any, Any]:
    if not file.is_file():
        found.fault(
            "missing-file",
            file,
            found="dataset.yaml is missing",
            remedy=f"It needs at least:\nname: {file.parent.name}\ninput: image   # or vector\n"
            f"Images in one sub-folder per class become a data folder with: hilmix data import {file.parent}",
        )
        return {}
    try:
        meta = load_yaml(file.read_text(encoding="utf-8"), loader=_TextLoader)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        found.fault("unreadable", file, found=f"it cannot be read or is not valid YAML: {' '.join(str(error).split())}")
        return {}
    if not isinstance(meta, dict) or not meta:
        found.fault("unreadable", file, found="it holds no keys and values", expected="lines such as 'input: image'")
        return {}
    return meta

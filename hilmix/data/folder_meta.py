"""``dataset.yaml``: what a data folder says about itself."""

from pathlib import Path
from typing import Any

import yaml

from hilmix.data.faults import Findings
from hilmix.yaml_files import load_yaml

_KEYS = ("name", "classes", "licence", "input", "identity")


def read_meta(root: Path, found: Findings) -> dict[str, Any]:
    """Returns the keys of ``dataset.yaml``, with the folder's name where it states none.

    A key that is faulty is left out.

    Args:
        root: the data folder.
        found: collects what is wrong.
    """
    file = root / "dataset.yaml"
    meta = _load(file, found)
    if unknown := sorted(set(map(str, meta)) - set(_KEYS)):
        found.fault("unknown-key", file, unknown[0], found=f"unknown key(s) {unknown}", expected=f"{list(_KEYS)}")
    if meta.get("input") not in ("image", "vector") and meta != {}:
        found.fault("key", file, "input", found=f"'input' is {meta.get('input')!r}", expected="'image' or 'vector'")
        meta.pop("input", None)
    if meta.get("identity", "exchangeable") != "exchangeable":
        found.fault(
            "key",
            file,
            "identity",
            found=f"'identity' is {meta.pop('identity')!r}",
            expected="'exchangeable', or leave it out",
        )
    classes = meta.get("classes")
    if classes is not None:
        names = [str(c) for c in classes] if isinstance(classes, list) else []
        if not names or len(set(names)) < len(names):
            found.fault(
                "key", file, "classes", found=f"got {meta.pop('classes')!r}", expected="a list of different names"
            )
    return {"name": root.name} | meta


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
        meta = load_yaml(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        found.fault("unreadable", file, found=f"it is not valid YAML: {' '.join(str(error).split())}")
        return {}
    if not isinstance(meta, dict) or not meta:
        found.fault(
            "unreadable",
            file,
            found="it holds no keys and values",
            expected="lines such as 'name: mine' and 'input: image'",
        )
        return {}
    return meta

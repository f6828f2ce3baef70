"""Short fingerprints of data, by which a checkpoint knows again what it was trained on."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.data.items import AnnotatedData
from hilmix.errors import RunError

_SAME = ("classes", "annotators", "items", "split", "votes", "masks", "groups")
"""What must not change while a run goes on."""


def identity(data: AnnotatedData, split: NDArray[np.str_]) -> dict[str, Any]:
    """Returns what tells data apart, plain values, at little cost.

    Args:
        data: all items.
        split: (N,) split of each.
    """
    return {
        "classes": list(data.classes),
        "items": _of_names(data.items),
        "split": _of_names(split),
        "masks": None if data.masks is None else _of_columns(data.masks.item, data.masks.annotator, data.masks.picture),
        "groups": [*data.groups, _of_columns(data.group)],
    }


def of_votes(votes: Annotations, known: Sequence[bool] | NDArray[np.bool_]) -> dict[str, Any]:
    """Returns the same of what training learns from.

    Args:
        votes: of the training items.
        known: (A,) whether the annotator has one; one without keeps a place but no name.
    """
    return {
        "annotators": [name if k else "" for name, k in zip(votes.annotators, known, strict=True)],
        "votes": _of_columns(votes.item, votes.annotator, votes.label, votes.probs),
    }


def refuse_other_data(saved: dict[str, Any], now: dict[str, Any], name: str) -> None:
    """Makes sure that a checkpoint suits the data.

    Args:
        saved: identity and votes in the checkpoint.
        now: identity of the data at hand; with votes if training goes on, which needs the very same.
        name: of these data.

    Raises:
        RunError: with the remedy.
    """
    if "votes" not in now and saved["items"] == now["items"] and saved["split"] != now["split"]:
        raise RunError(
            "The checkpoint was trained on another split of the same items, so test items may have been trained "
            "on. Give the same data.val_fraction, data.test_fraction and data.split_seed as in training."
        )
    if "votes" in now and (changed := [name for name in _SAME if now[name] != saved[name]]):
        raise RunError(
            f"The checkpoint was trained on other data: {', '.join(changed)} of '{name}' differ. Resume with the data "
            "it was trained on, or start a fresh run in another --run_dir."
        )


def _of_columns(*columns: NDArray | None) -> str:
    return hashlib.sha256(b"".join(c.tobytes() for c in columns if c is not None)).hexdigest()


def _of_names(names: Iterable[object]) -> str:
    return hashlib.sha256("\n".join(map(str, names)).encode()).hexdigest()

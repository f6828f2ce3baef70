"""Short fingerprints of data, by which a checkpoint knows again what it was trained on."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import Annotations, IntArray
from hilmix.data.inputs import ImageFiles, Inputs
from hilmix.data.items import AnnotatedData
from hilmix.errors import RunError

_SAME = ("classes", "annotators", "items", "split", "votes", "masks", "groups")
"""Properties of the data that must not change while a run lasts."""
_CONTENTS = ("inputs", "targets", "mask pictures", "annotator metadata", "confidence")
"""The same, of which checkpoints of older versions keep nothing."""
_UNORDERED = " in any order"
"""Ends the keys of digests that the order of an item's rows does not change; older checkpoints keep only the others."""
MOST_BYTES = 2**28
"""Of inputs that are read for a digest, about a second's work; of larger ones evenly spaced rows are."""


def fingerprint_items(data: AnnotatedData, split: NDArray[np.str_]) -> dict[str, Any]:
    """Return the names, split, masks and groups of data as plain values, at little cost.

    Args:
        data: all items.
        split: (N,) split of each.
    """
    masks = data.masks
    return {
        # Names, not a digest: an evaluation on other data matches classes by them.
        "classes": list(data.classes),
        # A digest: the names of a million items would outweigh the model in its checkpoint.
        "items": _digest_names(data.items),
        "split": _digest_names(split),
        "masks": None if masks is None else _digest_columns(masks.item, masks.annotator, masks.picture),
        "groups": [*data.groups, _digest_columns(data.group)],
    }


def digest_content(data: AnnotatedData, *, ordered: bool = False) -> str:
    """Return a digest of the items' names, votes, targets, and of up to 64 inputs: the same wherever the data lie.

    Args:
        data: all items.
        ordered: whether the order of an item's annotations counts, as in the files of older versions.
    """
    votes = data.annotations
    columns: list[NDArray[Any] | None] = [votes.item, votes.annotator, votes.label, votes.probs]
    if not ordered:
        columns = _reorder(_sort_by_content(votes), *columns)
    # Evenly spaced over all: cheap, and items that are added or removed change which ones these are.
    some = np.unique(np.linspace(0, len(data) - 1, 64).astype(np.int64))
    digest = _digest_columns(*columns, data.target, data.inputs.fetch(some).numpy())
    return _digest_names([_digest_names(data.items), *votes.annotators, *votes.classes, digest])


def fingerprint_annotations(votes: Annotations, known: Sequence[bool] | NDArray[np.bool_]) -> dict[str, Any]:
    """Return digests of the annotations that training learns from.

    The order of rows in the table does not matter, but where an annotator labels an item several times: of these the
    last or the first counts, whichever ``duplicates`` says (with ``keep`` all count, in any order).

    Args:
        votes: of the training items.
        known: (A,) whether the annotator has one; one without keeps a place but no name.
    """
    columns = (votes.item, votes.annotator, votes.label, votes.probs)
    return {
        "annotators": [name if k else "" for name, k in zip(votes.annotators, known, strict=True)],
        "votes": _digest_columns(*columns),
        f"votes{_UNORDERED}": _digest_columns(*_reorder(_sort_by_content(votes), *columns)),
    }


def fingerprint_contents(data: AnnotatedData, votes: Annotations) -> dict[str, str | None]:
    """Return digests of what training reads of the items, beside their names and votes.

    Args:
        data: all items.
        votes: of the training items.
    """
    features, confidence = data.annotator_features, votes.confidence
    return {
        "inputs": digest_inputs(data.inputs),
        "targets": _digest_columns(data.target),
        "mask pictures": None if data.masks is None else digest_inputs(data.masks.pictures),
        "annotator metadata": None if features is None else _digest_columns(features),
        "confidence": None if confidence is None else _digest_columns(confidence),
        f"confidence{_UNORDERED}": None
        if confidence is None
        else _digest_columns(*_reorder(_sort_by_content(votes), confidence)),
    }


def digest_inputs(inputs: Inputs, *, most: int = MOST_BYTES) -> str:
    """Return a digest of inputs: of all their bytes, or of evenly spaced rows where they are large.

    Of image files the bytes of the files count, with the sizes in bytes of all of them.

    Args:
        inputs: N inputs.
        most: bytes to read at most, about.
    """
    # First, so that the same bytes in another shape differ.
    digest = hashlib.sha256(repr((len(inputs), inputs.shape)).encode())
    if isinstance(inputs, ImageFiles):
        sizes = np.array([path.stat().st_size if path.is_file() else -1 for path in inputs.paths], dtype=np.int64)
        digest.update(sizes.tobytes())
        for row in _space_rows(len(sizes), int(sizes.sum()), most):
            if sizes[row] >= 0:
                # The bytes, not the pixels: decoders differ between versions in the last bit.
                digest.update(inputs.paths[row].read_bytes())
        return digest.hexdigest()
    size = inputs.fetch(np.arange(1)).nbytes if len(inputs) else 0
    rows = _space_rows(len(inputs), size * len(inputs), most)
    # 16 MiB at a time.
    for part in np.array_split(rows, max(1, len(rows) * size // 2**24)):
        digest.update(inputs.fetch(part).numpy().tobytes())
    return digest.hexdigest()


def _space_rows(number: int, size: int, most: int) -> IntArray:
    """Rows of ``number`` that weigh ``size`` bytes together: all, or so many as weigh ``most``, evenly spaced."""
    share = number if size <= most else max(1, number * most // size)
    return np.unique(np.linspace(0, number - 1, share).astype(np.int64)) if number else np.arange(0)


def require_same_data(saved: dict[str, Any], now: dict[str, Any], name: str) -> None:
    """Refuse data that a checkpoint was not trained on.

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
    same = [*_SAME, *(name for name in _CONTENTS if name in saved)]
    keys = {name: name + _UNORDERED * (name + _UNORDERED in saved) for name in same}
    if "votes" in now and (changed := [name for name, key in keys.items() if now[key] != saved[key]]):
        raise RunError(
            f"The checkpoint was trained on other data: {', '.join(changed)} of '{name}' differ. Resume with the data "
            "it was trained on, or start a fresh run in another run_dir."
        )


def _sort_by_content(votes: Annotations) -> IntArray:
    """(L,) rows sorted by what they hold, so that the order in which a table lists them is lost."""
    keys: list[NDArray[Any]] = [votes.label, votes.annotator, votes.item]
    if votes.probs is not None:
        row = np.ascontiguousarray(votes.probs)
        # Each row as one value of raw bytes, so that unique() compares whole rows.
        content = row.view(np.dtype((np.void, row.itemsize * row.shape[1]))).ravel()
        keys.insert(0, np.unique(content, return_inverse=True)[1])
    if votes.confidence is not None:
        keys.insert(0, votes.confidence)
    # lexsort sorts by its last key first: item, annotator, label, then probabilities and confidence.
    return np.lexsort(keys)


def _reorder(order: IntArray, *columns: NDArray[Any] | None) -> list[NDArray[Any] | None]:
    return [None if column is None else column[order] for column in columns]


def _digest_columns(*columns: NDArray[Any] | None) -> str:
    return hashlib.sha256(b"".join(c.tobytes() for c in columns if c is not None)).hexdigest()


def _digest_names(names: Iterable[object]) -> str:
    return hashlib.sha256("\n".join(map(str, names)).encode()).hexdigest()

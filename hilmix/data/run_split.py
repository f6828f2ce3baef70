"""The split that a run drew: kept by item name, so that later commands use it, whatever is added to the data."""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hilmix.data.items import AnnotatedData
from hilmix.errors import RunError
from hilmix.names import printable

log = logging.getLogger(__name__)
_NAMES = np.array(["train", "val", "test", "unused"])


def save_split(data: AnnotatedData, split: NDArray[np.str_], settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a drawn split as plain values for a checkpoint, or None where the whole split was given.

    Args:
        data: all items.
        split: (N,) of ``train``, ``val``, ``test``, ``unused``, as the run uses it.
        settings: plain values that the draw depended on.

    Returns:
        ``settings``, ``items`` (N,) int64 digests of the names, ``split`` (N,) uint8.
    """
    if data.split is not None and np.array_equal(data.split, split):
        return None
    codes = (split[:, None] == _NAMES).argmax(1).astype(np.uint8)
    return {
        "settings": dict(settings),
        "items": torch.from_numpy(digest_items(data.items)),
        "split": torch.tensor(codes),
    }


def restore_split(
    data: AnnotatedData, split: NDArray[np.str_], saved: dict[str, Any] | None, settings: Mapping[str, Any]
) -> NDArray[np.str_]:
    """Return the split of the data, with the items of a run in the parts that the run drew.

    Items that the run did not have keep their given split, or are ``unused`` where none is given.

    Args:
        data: all items.
        split: (N,) that a fresh draw gives.
        saved: what :func:`save_split` returned in training.
        settings: those of the fresh draw.

    Raises:
        RunError: if other settings, or the split in the data, contradict the run's.
    """
    if saved is None:
        return split
    run_items, run_split = saved["items"].numpy(), _NAMES[saved["split"].numpy()]
    # Digests instead of names, sorted once: a checkpoint keeps 8 bytes per item, and a search takes N log N.
    order = np.argsort(run_items)
    digests = digest_items(data.items)
    # A digest above all others has a place behind the last; by `hit` it is none of them.
    place = order[np.searchsorted(run_items, digests, sorter=order).clip(max=len(order) - 1)]
    hit = run_items[place] == digests
    merged = np.where(hit, run_split[place], split if data.split is not None else "unused")
    if not hit.any() or np.array_equal(merged, split):
        return split
    if saved["settings"] != dict(settings):
        raise RunError(
            "The checkpoint was trained on another split of the same items, so test items may have been trained "
            f"on. Its settings were {_words(saved['settings'])}; give these, or leave them out on the command line."
        )
    # Other moves are let through: an item that goes between training and validation spoils no test.
    if data.split is not None and ((data.split == "test") != (merged == "test"))[hit].any():
        raise RunError(
            f"The checkpoint was trained on another split of the same items than the column 'split' of '{data.name}' "
            "gives, so test items may have been trained on. Remove the column, or fill in the run's (split.csv)."
        )
    if (new := int((~hit).sum())) and data.split is None:
        log.warning(
            "%d item(s) of '%s' are not in the split that the run drew, and are in none.", new, printable(data.name)
        )
    return merged


def _words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"data.{name} = {'null' if value is None else value}" for name, value in settings.items())


def digest_items(names: Iterable[str]) -> NDArray[np.int64]:
    """Return (N,) int64 digests of names.

    8 bytes distinguish a billion pairs of names but for a chance of 1e-10.
    """
    joined = b"".join(hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in names)
    # Little-endian on every machine, as checkpoints travel.
    return np.frombuffer(joined, dtype="<i8").astype(np.int64)

"""The pictures of a study: rendered as the display renderer does, written without loss, checked by their pixels."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilmix.data.inputs import Inputs
from hilmix.data.items import AnnotatedData
from hilmix.data.pictures import PictureError, read_picture
from hilmix.errors import DataError
from hilmix.human.elicit.design.manifest import IMAGES, Manifest
from hilmix.human.elicit.design.pairs import IntArray
from hilmix.human.study import render_mix

# Bounds the memory of mixes in float64.
_AT_ONCE = 256


class Mix(NamedTuple):
    """Content of one picture: rows of the data, and the weight of the first."""

    first: int
    second: int
    weight: float


class Picture(NamedTuple):
    """A file that was written."""

    name: str
    sha256: str


def write_images(data: AnnotatedData, mixes: Iterable[Mix], folder: Path, *, seed: int) -> dict[Mix, Picture]:
    """Writes each mix once, as PNG of the size of the data, under a name that only the seed can predict.

    Args:
        data: images, (N, C, H, W) uint8 with 1 or 3 channels.
        mixes: what to show; the same one may come several times.
        folder: exists.
        seed: key of the names.
    """
    # Sorted: the same files in the same order, whatever the order of the stimuli.
    wanted, written = sorted(set(mixes)), {}
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        first, second = (_pixels(data.inputs, np.array([mix[at] for mix in part])) for at in (0, 1))
        for mix, shown in zip(part, render_mix(first, second, [mix.weight for mix in part]), strict=True):
            written[mix] = Picture(_name(mix, seed), _sha256(shown))
            Image.fromarray(shown[..., 0] if shown.shape[2] == 1 else shown).save(folder / written[mix].name)
    return written


def check_images(study: Manifest, folder: Path | str) -> None:
    """Refuses a study whose pictures are not those of its manifest.

    Raises:
        DataError: naming the first file that is missing or has other pixels.
    """
    checked = set()
    pictures = [(f"stimulus {shown.id}", shown.images, shown.sha256) for shown in study.stimuli]
    pictures += [(f"the example of {task}", (one.image,), (one.sha256,)) for task, one in study.examples.items()]
    for what, names, hashes in pictures:
        for name, expected in zip(names, hashes, strict=True):
            file = Path(folder) / IMAGES / name
            # Repeats and tasks share pictures; each is read once.
            if (name, expected) in checked:
                continue
            try:
                found = _sha256(np.asarray(read_picture(file, what="picture", remedy="")))
            except PictureError as error:
                raise DataError(f"Cannot read {file}, which {what} shows: {error}. Restore it.") from error
            if found != expected:
                raise DataError(f"{file}: its pixels are not those of {what} in the manifest. Restore it.")
            checked.add((name, expected))


def hash_data(data: AnnotatedData, rows: IntArray) -> str:
    """Returns the hash over names and pixels, (H, W, C) uint8, of some items, in the order of the data."""
    total, used = hashlib.sha256(), np.unique(rows)
    for start in range(0, len(used), _AT_ONCE):
        part = used[start : start + _AT_ONCE]
        for row, pixels in zip(part, _pixels(data.inputs, part), strict=True):
            # \0 marks where the name ends and the pixels begin.
            total.update(data.items[row].encode() + b"\0" + pixels.tobytes())
    return total.hexdigest()


def _pixels(inputs: Inputs, rows: IntArray) -> NDArray[np.uint8]:
    """(B, H, W, C) uint8."""
    return np.moveaxis(inputs.fetch(rows).numpy(), 1, 3)


def _name(mix: Mix, seed: int) -> str:
    # Keyed: from a plain hash participants could find weights by trying all.
    text = f"{mix.first} {mix.second} {mix.weight!r}"
    key = hashlib.sha256(str(seed).encode()).digest()
    return hashlib.blake2b(text.encode(), key=key, digest_size=8).hexdigest() + ".png"


def _sha256(pixels: NDArray[np.uint8]) -> str:
    # The hash is over pixels row by row; moveaxis leaves another order in memory.
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()

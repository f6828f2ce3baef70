"""Archives of pictures: unpacked once beside the download, so that pictures are read one at a time."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilmix.data.inputs import Inputs

_AT_ONCE = 256  # pictures in memory at a time


def unpack(archive: Path) -> Path:
    """Return the folder ``ARCHIVE.unpacked`` with the members of a tar or zip archive, which is written if missing.

    It bears its name only when it is complete. Members outside the folder are refused or left out.
    """
    folder = archive.with_name(f"{archive.name}.unpacked")
    if not folder.is_dir():
        # Unpacked beside and renamed: a folder that is there is whole, also after a process that was killed.
        partial = archive.with_name(f"{archive.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        if archive.suffix == ".zip":
            shutil.unpack_archive(archive, partial)
        else:
            shutil.unpack_archive(archive, partial, filter="data")  # refuses links and devices, which a zip has not
        partial.rename(folder)
    return folder


def shrink_pictures(inputs: Inputs, side: int = 16) -> NDArray[np.float32]:
    """Return (N, 3 * side * side) float32 means over blocks of pixels, from 0 to 255: what simulated annotators see.

    Args:
        inputs: N square images (3, H, H) with H a multiple of ``side``.
        side: number of blocks along a side.
    """
    block = inputs.shape[-1] // side
    parts = []
    for start in range(0, len(inputs), _AT_ONCE):
        pixels = inputs.fetch(np.arange(start, min(start + _AT_ONCE, len(inputs)))).float()
        parts.append(pixels.reshape(len(pixels), 3, side, block, side, block).mean((3, 5)).flatten(1).numpy())
    return np.concatenate(parts)

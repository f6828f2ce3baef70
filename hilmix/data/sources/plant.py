"""Sugar beet leaves, healthy or diseased, with masks of the background, in the folders of the XIL release."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilmix.data.explained import build_explained_data
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.pictures import read_pixels
from hilmix.data.simulation.decoys import Bytes
from hilmix.data.sources.base import UNREADABLE, Access, Options, Profile, Source, require_published
from hilmix.data.sources.pickles import ArrayUnpickler
from hilmix.errors import DataError

FOLDER = "plant"
CLASSES = ("healthy", "diseased")
SIDE = 224
_SPLITS, _IMAGES, _MASKS = "rgb_dataset_splits", "rgb_data", "mask/preprocessed_masks.pyu"
_HEALTHY = (1, 2, 3)
"""Numbers of the plants that were not inoculated; all others are diseased, on whichever day."""


def read_leaf_masks(path: Path) -> dict[str, NDArray[np.bool_]]:
    """The published pickle: sample to (H, W) bool, true on the leaf.

    Raises:
        DataError: if it is no such pickle.
    """
    try:
        with path.open("rb") as stream:
            content = ArrayUnpickler(stream).load()
        masks = {str(key): np.asarray(mask, dtype=bool) for key, mask in dict(content).items()}
    except UNREADABLE as error:
        raise DataError(f"Cannot read {path}: {type(error).__name__}: {error}.") from error
    return masks


def is_diseased(sample: str) -> bool:
    """Returns whether a sample such as ``1_Z12_5_0_1`` (day 1, plant 12) is of an inoculated plant.

    Raises:
        DataError: if it is not called so.
    """
    plant = sample.split("_")[1] if sample.count("_") >= 1 else ""
    if not (plant.startswith("Z") and plant[1:].isdecimal()):
        raise DataError(f"The sample '{sample}' is not called like '1_Z12_5_0_1': day, plant, and more.")
    return int(plant[1:]) not in _HEALTHY


def brighten(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(224, 224, 3) of any image, twice as bright."""
    resized = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.int64)
    return np.minimum(255, 2 * resized).astype(np.uint8)


def _read_background(leaf: NDArray[np.bool_]) -> NDArray[np.uint8]:
    whole = Image.fromarray(np.where(leaf, 0, 255).astype(np.uint8))
    return np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.NEAREST))


def _read_samples(file: Path) -> list[str]:
    return [line.strip() for line in file.read_text().splitlines() if line.strip()]


def _read(root: Path, samples: list[str], leaves: dict[str, NDArray[np.bool_]]) -> tuple[Bytes, Bytes]:
    images = np.empty((len(samples), SIDE, SIDE, 3), dtype=np.uint8)
    masks = np.empty((len(samples), SIDE, SIDE), dtype=np.uint8)
    for i, sample in enumerate(samples):
        # Samples begin with the day, by which the folders are called.
        pixels = read_pixels(root / _IMAGES / sample[0] / f"{sample}.JPEG")
        require_published(f"Mask of '{sample}'", leaves[sample].shape, pixels.shape[:2])
        images[i], masks[i] = brighten(pixels), _read_background(leaves[sample])
    return images, masks


def _replace_background(images: Bytes, masks: Bytes, train: NDArray[np.bool_]) -> None:
    """Fill the background of all but the training images with the mean colour of these, in place."""
    fill = np.mean([images[i].mean((0, 1)) for i in np.flatnonzero(train)], axis=0).astype(np.uint8)
    for i in np.flatnonzero(~train):
        images[i][masks[i] > 0] = fill


def _build(access: Access, options: Options) -> AnnotatedData:
    root = access.placed(FOLDER, (f"{_SPLITS}/train_0.txt", f"{_SPLITS}/test_0.txt", _IMAGES, _MASKS))
    given, test = (_read_samples(root / _SPLITS / f"{name}_0.txt") for name in ("train", "test"))
    order = np.random.default_rng(42).permutation(len(given))
    samples = given + test
    split = np.array(["train"] * len(given) + ["test"] * len(test))
    split[order[int(0.9 * len(given)) :]] = "val"
    leaves = read_leaf_masks(root / _MASKS)
    if missing := [s for s in samples if s not in leaves]:
        raise DataError(f"{root / _MASKS} has no mask of '{missing[0]}' ({len(missing)} are missing).")
    images, masks = _read(root, samples, leaves)
    _replace_background(images, masks, split == "train")
    return build_explained_data(
        SOURCE.name,
        ArrayInputs(images, "image"),
        np.array([is_diseased(s) for s in samples]).astype(np.int64),
        split,
        items=tuple(samples),
        classes=CLASSES,
        licence=SOURCE.licence,
        pictures=ArrayInputs(masks, "image"),
        painter="segmentation",
    )


SOURCE = Source(
    name="plant",
    summary="sugar beet leaves, healthy or diseased; the background must not matter",
    licence="none stated",
    citation="P. Schramowski, W. Stammer, S. Teso et al., Making deep neural networks right for the right scientific "
    "reasons by interacting with their explanations, Nature Machine Intelligence 2020",
    build=_build,
    folder=FOLDER,
    profile=Profile(
        "as placed by hand",
        "the truth alone",
        "1",
        "0 %",
        "masks of the background; groups",
    ),
    note="Ask the authors for the images. First of the five published splits, a tenth of training for validation, as "
    "in the robust_mlx release; there and in test the background is the mean colour of the training images, which the "
    "release brightens once more. Groups are classes. hilmix was not tested with the original files.",
)

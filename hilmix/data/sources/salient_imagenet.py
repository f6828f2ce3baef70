"""Salient ImageNet: ImageNet images with soft masks of what workers called spurious, in its published folders."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from hilmix.data.explained import build_explained_data, draw_split
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.pictures import read_picture
from hilmix.data.sources.base import Access, Options, Profile, Source, require_published
from hilmix.errors import DataError

FOLDER = "salient-imagenet"
SIDE, SHORTER = 224, 256
_MAPS, _IMAGES, _ANSWERS = "salient_imagenet_dataset", "imagenet/train", "discover_spurious_features.csv"
_CLASSES = (
    (306, "n02174001", "rhinoceros beetle"),
    (142, "n02033041", "dowitcher"),
    (270, "n02114548", "white wolf"),
    (319, "n02268443", "dragonfly"),
    (366, "n02480855", "gorilla"),
    (389, "n02514041", "snoek"),
)
"""Number, WordNet id and name of the classes that Heo et al. train on, in their order."""
_NEEDED = 3
"""Of five workers, how many must call a feature background or a separate object."""


def find_spurious_features(answers: Path) -> dict[int, list[int]]:
    """Return the features that are spurious for each class, from the published answers of the workers.

    Raises:
        DataError: if the table lacks a column.
    """
    table = pd.read_csv(answers)
    columns = ["Input.class_index", "Input.feature_index", "Answer.main"]
    if missing := [c for c in columns if c not in table.columns]:
        raise DataError(f"{answers} lacks the column(s) {missing}.")
    # "separate_object" too: the authors count a feature as spurious unless it is part of the main object.
    aside = table["Answer.main"].isin(["background", "separate_object"])
    votes = aside.groupby([table[columns[0]], table[columns[1]]], sort=False).sum()
    found: dict[int, list[int]] = {}
    for number, feature in votes[votes >= _NEEDED].index:
        found.setdefault(int(number), []).append(int(feature))
    return found


def find_images(folder: Path, features: list[int]) -> dict[str, list[int]]:
    """Return the images of a class that show a spurious feature, in order, and which ones.

    Raises:
        DataError: if the published table does not know a feature.
    """
    file = folder / "image_names_map.csv"
    if not file.is_file():
        raise DataError(f"'{file}' is missing; it comes with the masks of Salient ImageNet.")
    table = pd.read_csv(file)
    shown: dict[str, list[int]] = {}
    for feature in features:
        if str(feature) not in table.columns:
            raise DataError(f"{file} has no column '{feature}', which workers called spurious.")
        # The columns have different lengths, so that the shorter ones end in empty cells.
        for name in table[str(feature)].dropna().unique():
            shown.setdefault(str(name), []).append(feature)
    return dict(sorted(shown.items()))


def crop_centre(path: Path) -> NDArray[np.uint8]:
    """(224, 224, 3): the shorter side resized to 256 pixels, the centre cropped."""
    picture = read_picture(path, mode="RGB")
    scale = SHORTER / min(picture.size)
    size = (max(SHORTER, round(scale * picture.width)), max(SHORTER, round(scale * picture.height)))
    # max() above, as rounding may end a pixel below the side that is cropped.
    resized = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = (resized.width - SIDE) // 2, (resized.height - SIDE) // 2
    return np.asarray(resized.crop((left, top, left + SIDE, top + SIDE)))


def _read_mask(folder: Path, name: str, features: list[int]) -> NDArray[np.uint8]:
    """(224, 224): the largest of the maps of the image's spurious features."""
    maps = []
    for feature in features:
        path = folder / f"feature_{feature}" / f"{name}.JPEG"
        maps.append(np.asarray(read_picture(path, what="mask", mode="L")))
        require_published(f"{path}: size", maps[-1].shape, (SIDE, SIDE))
    largest: NDArray[np.uint8] = np.max(maps, axis=0)
    return largest


def _build(access: Access, options: Options) -> AnnotatedData:
    root = access.placed(FOLDER, (_MAPS, _IMAGES, _ANSWERS))
    spurious = find_spurious_features(root / _ANSWERS)
    names: list[str] = []
    images, masks, label = [], [], []
    for k, (number, wordnet, _) in enumerate(_CLASSES):
        for name, features in find_images(root / _MAPS / wordnet, spurious.get(number, [])).items():
            names.append(name)
            images.append(crop_centre(root / _IMAGES / wordnet / f"{name}.JPEG"))
            masks.append(_read_mask(root / _MAPS / wordnet, name, features))
            label.append(k)
    if not names:
        raise DataError(f"{root / _ANSWERS} calls no feature of the six classes spurious.")
    return build_explained_data(
        SOURCE.name,
        ArrayInputs(np.stack(images), "image"),
        np.array(label),
        draw_split(len(names), 0.6, 0.15),
        items=tuple(names),
        classes=tuple(name for *_, name in _CLASSES),
        licence=SOURCE.licence,
        pictures=ArrayInputs(np.stack(masks), "image"),
        painter="workers",
    )


SOURCE = Source(
    name="salient-imagenet",
    summary="six ImageNet classes, with soft masks of what workers called spurious",
    licence="research only, no commercial use (University of Maryland; images: ImageNet's own terms)",
    citation="S. Singla, S. Feizi, Salient ImageNet: How to discover spurious features in Deep Learning?, ICLR 2022",
    build=_build,
    folder=FOLDER,
    profile=Profile(
        "as placed by hand",
        "the truth alone",
        "1",
        "0 %",
        "soft masks by people; groups",
    ),
    note="The six classes of Heo et al. 2023; groups are classes. Image and mask are cropped alike: the releases "
    "squeeze the one and enlarge the other. hilmix was not tested with the original files.",
)

"""dopanim: animals that look alike, with soft labels, times and questionnaires of 20 annotators."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.data.inputs import ImageFiles
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.archives import unpack
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.dopanim_questions import encode_questionnaire
from hilmix.data.sources.fetch import RemoteFile

SIDE = 224
_SPLITS = {"train": "train", "valid": "val", "test": "test"}
SIZES = {"train": 10_484, "val": 750, "test": 4_500}
NUM_CLASSES, NUM_ANNOTATORS = 15, 20


class Animals(NamedTuple):
    """N pictures, and L answers to some of them."""

    items: tuple[str, ...]
    paths: list[Path]
    target: NDArray[np.int64]
    split: NDArray[np.str_]
    classes: tuple[str, ...]
    annotators: tuple[str, ...]
    item: NDArray[np.int64]
    """(L,)."""
    annotator: NDArray[np.int64]
    """(L,)."""
    probs: NDArray[np.float64]
    """(L, K) likelihoods, divided by their sum."""
    seconds: NDArray[np.float64]
    """(L,)."""
    metadata: NDArray[np.float32]
    """(A, F), see :func:`~hilmix.data.sources.dopanim_questions.encode_questionnaire`."""


def read_animals(paths: list[Path]) -> Animals:
    """From the record's archive: three tables as JSON, and an archive of pictures for each split.

    Of several answers of an annotator to a picture the last counts, as in the authors' code. Where all likelihoods are
    zero, the classes are equally likely.
    """
    root = unpack(paths[0])
    tasks = _read_json(root / "task_data.json")
    folders = {split: unpack(root / f"{split}.zip") / split for split in _SPLITS}
    items = tuple(tasks)
    names, target = np.unique([task["taxon_name"] for task in tasks.values()], return_inverse=True)
    answers = pd.DataFrame.from_records(
        [
            (str(answer["observation_id"]), answer["annotator_id"], answer["annotation_time"], answer["likelihoods"])
            for answer in _read_json(root / "annotation_data.json").values()
        ],
        columns=["item", "annotator", "seconds", "likelihoods"],
    ).drop_duplicates(["item", "annotator"], keep="last")
    questionnaires = _read_json(root / "annotator_metadata.json")
    annotators = tuple(sorted(questionnaires))
    return Animals(
        items,
        [folders[task["split"]] / task["taxon_name"] / f"{item}.jpeg" for item, task in tasks.items()],
        target,
        np.array([_SPLITS[task["split"]] for task in tasks.values()]),
        tuple(names.tolist()),
        annotators,
        _look_up(answers["item"], items, "task_data.json"),
        _look_up(answers["annotator"], annotators, "annotator_metadata.json"),
        _normalise(pd.DataFrame(answers["likelihoods"].tolist())[names.tolist()].to_numpy(dtype=np.float64)),
        answers["seconds"].to_numpy(dtype=np.float64),
        np.stack([encode_questionnaire(questionnaires[name]) for name in annotators]),
    )


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _look_up(values: "pd.Series[str]", known: tuple[str, ...], file: str) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = pd.Index(known).get_indexer(values)
    if (codes < 0).any():
        raise ValueError(f"'{values.iloc[(codes < 0).argmax()]}' of annotation_data.json is missing in {file}")
    return codes


def _normalise(likelihoods: NDArray[np.float64]) -> NDArray[np.float64]:
    total = likelihoods.sum(1, keepdims=True)
    # An answer with no likelihood at all was given nevertheless: without it its time would be lost, too.
    shares: NDArray[np.float64] = np.where(total > 0, likelihoods, 1.0)
    shares /= shares.sum(1, keepdims=True)
    return shares


ANIMALS = Resource(
    (
        RemoteFile(
            "https://zenodo.org/api/records/11479590/files-archive",
            "dopanim/11479590.zip",
            unverified="Zenodo packs it when it is asked for, without size or checksum",
        ),
    ),
    read_animals,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    found = access.read(ANIMALS)
    sizes = {split: int((found.split == split).sum()) for split in SIZES}
    require_published(
        "dopanim: pictures of each split, classes, annotators",
        (sizes, len(found.classes), len(found.annotators)),
        (SIZES, NUM_CLASSES, NUM_ANNOTATORS),
    )
    return AnnotatedData(
        name=SOURCE.name,
        items=found.items,
        inputs=ImageFiles(found.paths, SIDE),
        annotations=Annotations.build(
            found.item,
            found.annotator,
            num_items=len(found.items),
            classes=found.classes,
            annotators=found.annotators,
            probs=found.probs,
            seconds=found.seconds,
        ),
        target=found.target,
        split=found.split,
        licence=SOURCE.licence,
        annotator_features=found.metadata,
    )


SOURCE = Source(
    name="dopanim",
    summary="15,734 pictures of 15 look-alike animals at 224 px, 5 soft labels each for training by 20 annotators",
    licence="see https://doi.org/10.5281/zenodo.11479590; pictures: Creative Commons, as each photographer chose",
    citation="M. Herde, D. Huseljic, L. Rauch, B. Sick, dopanim: A Dataset of Doppelganger Animals with Noisy "
    "Annotations from Multiple Humans, NeurIPS 2024",
    build=_build,
    resources=(ANIMALS,),
    profile=Profile(
        "15,734 (10,484 with labels)",
        "20",
        "about 5",
        "32.7 % (published)",
        "soft labels, times and metadata of people; pictures that look alike",
    ),
    note="The variant called full, with soft labels, annotation times and questionnaires. Validation and test carry "
    "truth and no labels. No checksum is published; the numbers of pictures, classes and annotators are checked. The "
    "archives are unpacked in the download folder. hilmix was not tested with the original files.",
)

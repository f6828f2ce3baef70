"""Letter recognition: 16 numbers of each of 20,000 letters, with simulated annotators of the annot-mix study."""

import string
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile
from hilmix.data.sources.published_splits import STUDY, draw_published_split, simulate_published_annotators

CLASSES = tuple(string.ascii_uppercase)


class Letters(NamedTuple):
    """N letters in the order of the file."""

    inputs: NDArray[np.float32]
    """(N, 16) whole numbers from 0 to 15."""
    target: NDArray[np.int64]


def read_letters(paths: list[Path]) -> Letters:
    """From lines such as ``T,2,8,3,...``: the class, then 16 numbers."""
    rows = [line.split(",") for line in paths[0].read_text(encoding="ascii").splitlines() if line]
    target = np.array([CLASSES.index(row[0]) for row in rows])
    return Letters(np.array([row[1:] for row in rows], dtype=np.float32), target)


def _read_mirrored(paths: list[Path]) -> Letters:
    with np.load(paths[0]) as archive:
        return Letters(archive["inputs"].astype(np.float32), archive["target"].astype(np.int64))


LETTERS = Resource(
    (
        RemoteFile(
            "https://archive.ics.uci.edu/ml/machine-learning-databases/letter-recognition/letter-recognition.data",
            "letter/letter-recognition.data",
            712_565,
            "sha256:2b89f3602cf768d3c8355267d2f13f2417809e101fc2b5ceee10db19a60de6e2",
        ),
    ),
    read_letters,
    ("letter/letter.npz",),
    _read_mirrored,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    inputs, target = access.read(LETTERS)
    require_published("Letter recognition: shape of the inputs", inputs.shape, (20_000, 16))
    split = draw_published_split(target, test=0.2, val=500)
    return AnnotatedData(
        name=SOURCE.name,
        items=tuple(f"letter-{i:05d}" for i in range(len(target))),
        inputs=ArrayInputs(inputs, "vector"),
        annotations=simulate_published_annotators(
            inputs, target, split, classes=CLASSES, options=options, hidden=(256, 128), max_epochs=20
        ),
        target=target,
        split=split,
        licence=SOURCE.licence,
    )


SOURCE = Source(
    name="letter",
    summary="20,000 capital letters as 16 numbers, 20 simulated annotators, 2 to 4 labels each",
    licence="CC BY 4.0",
    citation="P. W. Frey, D. J. Slate, Letter Recognition Using Holland-style Adaptive Classifiers, Machine Learning "
    f"1991; {STUDY}",
    build=_build,
    resources=(LETTERS,),
    options=("seed", "annotators", "labels_per_item"),
    defaults=Options(labels_per_item=(2, 4)),
    profile=Profile(
        "20,000",
        "20, simulated",
        "2 to 4; test items 20",
        "46.7 % (seed 0; in the study 51.9 %)",
        "fast experiments with many classes; the one printed row of the study that can be checked",
    ),
    note="Annotators are the networks of the annot-mix study, trained on biased bootstraps; every annotator labels the "
    "4,000 test items. The study drew its own annotators and read the letters in another order, so that its split "
    "holds other items.",
)

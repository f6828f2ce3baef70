"""TREC questions by the kind of answer that they ask for, with simulated annotators of the annot-mix study."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile
from hilmix.data.sources.published_splits import STUDY, draw_published_split, simulate_published_annotators
from hilmix.data.sources.text_features import DIMENSIONS, compute_dense_features

CODES = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
CLASSES = ("abbreviation", "description", "entity", "human", "location", "number")


class Questions(NamedTuple):
    """N training questions, then M test questions."""

    train: list[str]
    test: list[str]
    target: NDArray[np.int64]
    """(N + M,) coarse classes."""


def _parse(path: Path) -> tuple[list[str], list[int]]:
    """Questions and coarse classes of lines such as ``LOC:city What county is Modesto , California in ?``."""
    lines = [line.split(" ", 1) for line in path.read_text(encoding="latin-1").split("\n") if line]
    return [line[1] for line in lines], [CODES.index(line[0].split(":")[0]) for line in lines]


def read_questions(paths: list[Path]) -> Questions:
    """From ``train_5500.label`` and ``TREC_10.label``."""
    (train, known), (test, asked) = (_parse(path) for path in paths)
    return Questions(train, test, np.array(known + asked))


def _read_mirrored(paths: list[Path]) -> Questions:
    with np.load(paths[0]) as archive:
        target = np.concatenate([archive["target"], archive["test_target"]]).astype(np.int64)
        return Questions(archive["text"].tolist(), archive["test_text"].tolist(), target)


_ROOT = "https://cogcomp.seas.upenn.edu/Data/QA/QC"
QUESTIONS = Resource(
    (
        RemoteFile(
            f"{_ROOT}/train_5500.label",
            "trec/train_5500.label",
            335_858,
            "sha256:9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3",
        ),
        RemoteFile(
            f"{_ROOT}/TREC_10.label",
            "trec/TREC_10.label",
            23_354,
            "sha256:033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
        ),
    ),
    read_questions,
    ("trec/trec.npz",),
    _read_mirrored,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    train, test, target = access.read(QUESTIONS)
    require_published("TREC: train and test questions", (len(train), len(test)), (5_452, 500))
    known = draw_published_split(target[: len(train)], test=0, val=500)
    split = np.concatenate([known, np.full(len(test), "test")])
    features = compute_dense_features(train, test)
    return AnnotatedData(
        name=SOURCE.name,
        items=(*(f"train-{i:04d}" for i in range(len(train))), *(f"test-{i:03d}" for i in range(len(test)))),
        inputs=ArrayInputs(features, "vector"),
        annotations=simulate_published_annotators(
            features, target, split, classes=CLASSES, options=options, hidden=(128,), dropout=0.5, max_epochs=20
        ),
        target=target,
        split=split,
        licence=SOURCE.licence,
    )


SOURCE = Source(
    name="trec",
    summary="5,952 questions in 6 classes, 20 simulated annotators, 2 to 4 labels each",
    licence="none stated",
    citation=f"X. Li, D. Roth, Learning Question Classifiers, COLING 2002; {STUDY}",
    build=_build,
    resources=(QUESTIONS,),
    options=("seed", "annotators", "labels_per_item"),
    defaults=Options(labels_per_item=(2, 4)),
    profile=Profile(
        "5,952",
        "20, simulated",
        "2 to 4; test items 20",
        "51.4 % (seed 0; in the study 36.9 %, other annotators)",
        "text; few classes, one of them rare",
    ),
    note=f"Inputs, also of the annotators, are {DIMENSIONS:,} dimensions of a TF-IDF; the study had features of BERT, "
    "so that results are not comparable with its own. Every annotator labels the 500 test questions. The mirror's text "
    "lacks some punctuation.",
)

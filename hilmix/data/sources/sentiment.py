"""Sentiment polarity: sentences of film reviews, labelled by a crowd, as dense TF-IDF features."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile
from hilmix.data.sources.text_features import DIMENSIONS, compute_dense_features

LICENCE = "none stated"
CITATION = (
    "F. Rodrigues, F. Pereira, B. Ribeiro, Learning from multiple annotators: distinguishing good from random "
    "labelers, Pattern Recognition Letters 2013; B. Pang, L. Lee, Seeing stars, ACL 2005 (sentences)"
)
CLASSES = ("negative", "positive")


class Sentences(NamedTuple):
    """N training sentences with votes, then M test sentences without; truth of both."""

    train: list[str]
    test: list[str]
    target: NDArray[np.int64]
    """(N + M,) 1 = positive."""
    votes: NDArray[np.int64]
    """(L, 3) rows of item, annotator, label."""


def read_texts(paths: list[Path]) -> Sentences:
    """From the crowd's answers, an (N, A) matrix with -1 for "did not label", and texts and truth of both parts."""
    answers = np.loadtxt(paths[0], dtype=np.int64, ndmin=2)
    train, test = (path.read_text(encoding="utf-8").removesuffix("\n").split("\n") for path in paths[1:3])
    target = np.concatenate([np.loadtxt(path, dtype=np.int64, ndmin=1) for path in paths[3:5]])
    item, annotator = np.nonzero(answers >= 0)
    return Sentences(train, test, target, np.column_stack([item, annotator, answers[item, annotator]]))


def _read_mirrored(paths: list[Path]) -> Sentences:
    with np.load(paths[0]) as archive:
        votes = np.column_stack([archive[key].astype(np.int64) for key in ("item", "annotator", "label")])
        target = np.concatenate([archive["truth"], archive["test_truth"]]).astype(np.int64)
        return Sentences(archive["text"].tolist(), archive["test_text"].tolist(), target, votes)


_ROOT = "https://github.com/fmenat/PyLearningCrowds/raw/3e0bce1b9ad1a49a07ef18c29a6e7722a152b344/data/Sentiment"
_FILES = (
    "answers.txt",
    "Sentiment_text_train.txt",
    "Sentiment_text_test.txt",
    "Sentiment_Z_train.txt",
    "Sentiment_Z_test.txt",
)
SENTENCES = Resource(
    tuple(RemoteFile(f"{_ROOT}/{name}", f"sentiment/{name}") for name in _FILES),
    read_texts,
    ("crowds/sentiment_polarity_text.npz",),
    _read_mirrored,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    train, test, target, votes = access.read(SENTENCES)
    item, annotator, label = votes.T
    number = int(annotator.max()) + 1
    require_published(
        "Sentiment polarity: train and test sentences, truths, annotators, answers",
        (len(train), len(test), len(target), number, len(item)),
        (4_999, 3_999, 8_998, 203, 27_746),
    )
    sizes = {"train": len(train), "test": len(test)}
    return AnnotatedData(
        name=SOURCE.name,
        items=tuple(f"{split}-{i:04d}" for split, n in sizes.items() for i in range(n)),
        inputs=ArrayInputs(compute_dense_features(train, test), "vector"),
        annotations=Annotations.build(
            item, annotator, label, num_items=len(target), classes=CLASSES, annotators=number
        ),
        target=target,
        split=np.repeat(list(sizes), list(sizes.values())),
        licence=LICENCE,
    )


SOURCE = Source(
    name="sentiment-polarity",
    summary="4,999 sentences of film reviews with 4 to 10 labels each by 203 annotators, 3,999 test sentences",
    licence=LICENCE,
    citation=CITATION,
    build=_build,
    resources=(SENTENCES,),
    profile=Profile(
        "8,998 (4,999 with labels)",
        "203",
        "4 to 10, mean 5.6",
        "21.1 %",
        "text; many annotators with few labels each",
    ),
    note=f"Inputs are {DIMENSIONS:,} dimensions of a TF-IDF of words and word pairs; test sentences carry truth and "
    "no votes. No licence is stated with the texts. No checksum is published; the numbers of sentences, annotators and "
    "answers are checked.",
)

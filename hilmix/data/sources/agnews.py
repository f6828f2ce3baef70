"""AG News: short news in four topics, with simulated annotators of the annot-mix study."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile
from hilmix.data.sources.published_splits import STUDY, draw_published_split, simulate_published_annotators
from hilmix.data.sources.text_features import compute_dense_features

CLASSES = ("world", "sports", "business", "science and technology")
DIMENSIONS = 300
_FEWEST = 20
"""Of 120,000 news, how many must hold a word or pair; half a million rarer ones would take gigabytes."""
SIZES, VAL = (120_000, 7_600), 2_000


class News(NamedTuple):
    """N training news, then M test news: title and description as one text."""

    train: list[str]
    test: list[str]
    target: NDArray[np.int64]
    """(N + M,)."""


def read_news(paths: list[Path]) -> News:
    """From ``train.csv`` and ``test.csv``: class from 1, title, description; no header."""
    train, test = (
        pd.read_csv(
            path, header=None, names=["label", "title", "text"], dtype={"title": str, "text": str}, na_filter=False
        )
        for path in paths
    )
    target = pd.concat([train["label"], test["label"]]).to_numpy(dtype=np.int64) - 1
    return News(_join(train), _join(test), target)


def _join(table: pd.DataFrame) -> list[str]:
    texts: list[str] = (table["title"] + " " + table["text"]).tolist()
    return texts


_ROOT = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv"
NEWS = Resource(
    (
        RemoteFile(
            f"{_ROOT}/train.csv",
            "agnews/train.csv",
            29_470_338,
            "sha256:76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e",
        ),
        RemoteFile(
            f"{_ROOT}/test.csv",
            "agnews/test.csv",
            1_857_427,
            "sha256:521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
        ),
    ),
    read_news,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    train, test, target = access.read(NEWS)
    require_published("AG News: train and test news", (len(train), len(test)), SIZES)
    known = draw_published_split(target[: len(train)], test=0, val=VAL)
    split = np.concatenate([known, np.full(len(test), "test")])
    features = compute_dense_features(train, test, DIMENSIONS, fewest=_FEWEST)
    return AnnotatedData(
        name=SOURCE.name,
        items=(*(f"train-{i:06d}" for i in range(len(train))), *(f"test-{i:04d}" for i in range(len(test)))),
        inputs=ArrayInputs(features, "vector"),
        annotations=simulate_published_annotators(
            features,
            target,
            split,
            classes=CLASSES,
            options=options,
            hidden=(128,),
            dropout=0.5,
            max_epochs=10,
            ratio_a=(0.0, 0.5),
            ratio_b=(0.0, 2.0),
        ),
        target=target,
        split=split,
        licence=SOURCE.licence,
    )


SOURCE = Source(
    name="agnews",
    summary="127,600 short news in 4 topics, 20 simulated annotators, one label each",
    licence="research and other non-commercial use",
    citation="X. Zhang, J. Zhao, Y. LeCun, Character-level Convolutional Networks for Text Classification, NIPS 2015; "
    f"A. Gulli, AG's corpus of news articles; {STUDY}",
    build=_build,
    resources=(NEWS,),
    options=("seed", "annotators", "labels_per_item"),
    defaults=Options(labels_per_item=1),
    profile=Profile(
        "127,600",
        "20, simulated",
        "1; test items 20",
        "not measured (in the study 56.8 %)",
        "much text, one label each",
    ),
    note=f"Inputs, also of the annotators, are {DIMENSIONS} dimensions of a TF-IDF; the study had features of BERT. "
    "Every annotator labels the 7,600 test news. hilmix was not tested with the original files.",
)

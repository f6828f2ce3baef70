"""Music genres: 124 numbers of each of 1,000 songs, 700 of them labelled by a crowd."""

import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.data.sources.base import Access, Options, Profile, Resource, Source, require_published
from hilmix.data.sources.fetch import RemoteFile

CLASSES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
_FOLDER = "music_genre_classification"
VAL = 100


class Songs(NamedTuple):
    """N songs with labels of people, then M without; the truth of both."""

    train: list[str]
    test: list[str]
    inputs: NDArray[np.float32]
    """(N + M, 124)."""
    target: NDArray[np.int64]
    votes: NDArray[np.int64]
    """(L, 3) rows of item, annotator, label."""
    annotators: list[str]
    """A names, in the order of their first answer."""


def read_songs(paths: list[Path]) -> Songs:
    """From the published archive: ``music_genre_gold.csv``, ``music_genre_test.csv`` and ``music_genre_mturk.csv``.

    Each has a column ``id``, the features and ``class``; the answers have ``annotator`` between id and features.
    """
    with tarfile.open(paths[0], "r:gz") as tar:
        gold, test, answers = (_table(tar, name) for name in ("gold", "test", "mturk"))
    songs = pd.concat([gold, test], ignore_index=True)
    annotator, names = pd.factorize(answers["annotator"])
    item = pd.Index(gold["id"]).get_indexer(answers["id"])
    if (item < 0).any():
        raise ValueError(f"'{answers['id'][(item < 0).argmax()]}' was answered, but is no song of music_genre_gold.csv")
    return Songs(
        gold["id"].astype(str).tolist(),
        test["id"].astype(str).tolist(),
        songs.drop(columns=["id", "class"]).to_numpy(dtype=np.float32),
        _codes(songs["class"]),
        np.column_stack([item, annotator, _codes(answers["class"])]),
        [str(name) for name in names],
    )


def _table(tar: tarfile.TarFile, name: str) -> pd.DataFrame:
    file = f"{_FOLDER}/music_genre_{name}.csv"
    # By its end, as an archive may put `./` before all names.
    stream = tar.extractfile(next((member for member in tar.getnames() if member.endswith(file)), file))
    if stream is None:
        raise KeyError(file)
    return pd.read_csv(io.BytesIO(stream.read()))


def _codes(names: "pd.Series[str]") -> NDArray[np.int64]:
    codes: NDArray[np.int64] = np.array([CLASSES.index(name) for name in names], dtype=np.int64)
    return codes


SONGS = Resource(
    (
        RemoteFile(
            "http://fprodrigues.com/mturk-datasets.tar.gz",
            "mturk-datasets.tar.gz",
            unverified="its author publishes it by http, without size or checksum",
        ),
    ),
    read_songs,
)


def _build(access: Access, options: Options) -> AnnotatedData:
    songs = access.read(SONGS)
    require_published(
        "Music genre: songs with and without answers, features, annotators, answers",
        (len(songs.train), len(songs.test), songs.inputs.shape[1], len(songs.annotators), len(songs.votes)),
        (700, 300, 124, 44, 2_945),
    )
    item, annotator, label = songs.votes.T
    return AnnotatedData(
        name=SOURCE.name,
        items=(*(f"train-{name}" for name in songs.train), *(f"test-{name}" for name in songs.test)),
        inputs=ArrayInputs(songs.inputs, "vector"),
        annotations=Annotations.build(
            item, annotator, label, num_items=len(songs.target), classes=CLASSES, annotators=songs.annotators
        ),
        target=songs.target,
        split=_split(songs),
        licence=SOURCE.licence,
    )


def _split(songs: Songs) -> NDArray[np.str_]:
    """Songs without answers are parted as in the annot-mix study: stratified, seed 0."""
    from sklearn.model_selection import train_test_split  # here: every command imports this module

    split, rest = np.repeat(["train", "test"], [len(songs.train), len(songs.test)]), len(songs.train)
    rows = np.arange(len(songs.test))
    val, _ = train_test_split(rows, train_size=VAL, random_state=0, stratify=songs.target[rest:])
    split[rest + val] = "val"
    return split


SOURCE = Source(
    name="music-genre",
    summary="700 songs as 124 numbers, in 10 genres, 1 to 7 labels each by 44 annotators; 300 songs without",
    licence="none stated",
    citation="F. Rodrigues, F. Pereira, B. Ribeiro, Learning from multiple annotators: distinguishing good from random "
    "labelers, Pattern Recognition Letters 2013; G. Tzanetakis, P. Cook, Musical genre classification of audio "
    "signals, 2002 (songs)",
    build=_build,
    resources=(SONGS,),
    profile=Profile(
        "1,000 (700 with labels)",
        "44",
        "1 to 7, mean 4.2",
        "44.0 %",
        "few items, noisy people; a printed row of the study",
    ),
    note="The 300 songs without answers are parted into 100 to validate and 200 to test, as in the annot-mix study. "
    "No size or checksum is published; the numbers of songs, features, annotators and answers are checked. hilmix was "
    "not tested with the original file.",
)

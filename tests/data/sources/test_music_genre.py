"""Music genres: the published archive with made-up songs."""

import io
import tarfile

import numpy as np
import pandas as pd
import pytest

from hilmix.data.sources import Options
from hilmix.data.sources.base import Access
from hilmix.data.sources.music_genre import CLASSES, SOURCE, read_songs
from hilmix.errors import DataError


def table(names, classes, rng, **columns):
    features = {f"feature{i}": rng.integers(0, 9, len(names)) for i in range(124)}
    return pd.DataFrame({"id": names, **columns, **features, "class": classes})


def archive(path, gold, test, answers, prefix=""):
    with tarfile.open(path, "w:gz") as tar:
        for name, frame in (("gold", gold), ("test", test), ("mturk", answers)):
            content = frame.to_csv(index=False).encode()
            info = tarfile.TarInfo(f"{prefix}music_genre_classification/music_genre_{name}.csv")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("prefix", ["", "./"])
def test_songs_answers_and_annotators(tmp_path, rng, prefix):
    gold, test = table(["a.wav", "b.wav"], ["rock", "blues"], rng), table(["c.wav"], ["pop"], rng)
    answers = table(["b.wav", "a.wav", "b.wav"], ["jazz", "rock", "blues"], rng, annotator=[7, 3, 3])
    songs = read_songs([archive(tmp_path / "m.tar.gz", gold, test, answers, prefix)])
    assert (songs.train, songs.test) == (["a.wav", "b.wav"], ["c.wav"])
    assert [CLASSES[k] for k in songs.target] == ["rock", "blues", "pop"]
    assert [(i, songs.annotators[a], CLASSES[k]) for i, a, k in songs.votes] == [
        (1, "7", "jazz"),
        (0, "3", "rock"),
        (1, "3", "blues"),
    ]
    np.testing.assert_allclose(songs.inputs[2], test.iloc[0, 1:-1].to_numpy(dtype=float), rtol=1e-6)


def test_it_is_built_from_an_archive_of_the_published_size(tmp_path, rng):
    classes = np.array(CLASSES)
    gold = table([f"s{i}" for i in range(700)], classes[np.arange(700) % 10], rng)
    test = table([f"t{i}" for i in range(300)], classes[np.arange(300) % 10], rng)
    item, annotator = np.arange(2_945) % 700, np.arange(2_945) % 44
    answers = table(gold["id"][item].tolist(), classes[rng.integers(0, 10, 2_945)], rng, annotator=annotator)
    archive(tmp_path / "mturk-datasets.tar.gz", gold, test, answers)
    data = SOURCE.build(Access(tmp_path), Options())
    assert dict(zip(*np.unique(data.split, return_counts=True), strict=True)) == {"train": 700, "val": 100, "test": 200}
    assert np.bincount(data.target[data.split == "val"]).tolist() == [10] * 10
    assert data.annotations.num_pairs == 2_945
    assert data.annotations.labels_per_item[700:].sum() == 0


def test_an_answer_to_an_unknown_song_is_refused(tmp_path, rng):
    gold, answers = table(["a"], ["rock"], rng), table(["z"], ["rock"], rng, annotator=[1])
    archive(tmp_path / "mturk-datasets.tar.gz", gold, gold, answers)
    with pytest.raises(DataError, match=r"'z'.*music_genre_gold"):
        SOURCE.build(Access(tmp_path), Options())

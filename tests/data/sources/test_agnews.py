"""AG News: the two tables in small."""

import numpy as np
import pytest

from hilmix.data.sources import Options, agnews
from hilmix.data.sources.base import Access
from hilmix.errors import DataError

WORDS = ("war treaty", "goal match", "shares profit", "robot moon")


def write(folder, train, test):
    for name, number in (("train", train), ("test", test)):
        lines = [
            f'"{i % 4 + 1}","{WORDS[i % 4]} {i % 7}","It reads ""{WORDS[i % 4]}"", NA, again\\n"' for i in range(number)
        ]
        (folder / "agnews").mkdir(exist_ok=True)
        (folder / "agnews" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_title_and_description_are_one_text(tmp_path):
    folder = write(tmp_path, 5, 1) / "agnews"
    (folder / "test.csv").write_text('"3","NA","null"\n')  # words, not missing values
    train, test, target = agnews.read_news([folder / "train.csv", folder / "test.csv"])
    assert train[1] == 'goal match 1 It reads "goal match", NA, again\\n'
    assert test == ["NA null"]
    assert target.tolist() == [0, 1, 2, 3, 0, 2]


def test_it_is_built_with_one_label_each(tmp_path, monkeypatch):
    monkeypatch.setattr(agnews, "SIZES", (400, 40))
    monkeypatch.setattr(agnews, "VAL", 40)
    monkeypatch.setattr(agnews, "DIMENSIONS", 3)
    monkeypatch.setattr("hilmix.data.sources.base.fetch", lambda file, folder, **consent: folder / file.path)
    data = agnews.SOURCE.build(Access(write(tmp_path, 400, 40)), agnews.SOURCE.defaults)
    assert data.inputs.shape == (3,)
    assert data.annotations.labels_per_item.tolist() == [1] * 400 + [20] * 40
    assert np.unique(data.split, return_counts=True)[1].tolist() == [40, 360, 40]


def test_other_numbers_of_news_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("hilmix.data.sources.base.fetch", lambda file, folder, **consent: folder / file.path)
    with pytest.raises(DataError, match=r"AG News.*\(8, 4\).*\(120000, 7600\)"):
        agnews.SOURCE.build(Access(write(tmp_path, 8, 4)), Options())

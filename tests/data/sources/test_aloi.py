"""ALOI: LIBSVM's text with made-up pictures."""

import bz2

import numpy as np
import pytest

from hilmix.data.sources import aloi
from hilmix.data.sources.base import Access
from hilmix.errors import DataError


def write(folder, number):
    rng = np.random.default_rng(0)
    (folder / "aloi").mkdir()
    lines = [f"{10 * (i % 5)} {i % 5 + 1}:{rng.random():.3f} 128:2.5" for i in range(number)]
    (folder / "aloi" / "aloi.bz2").write_bytes(bz2.compress("\n".join(lines).encode()))
    return Access(folder)


def test_columns_count_from_one(tmp_path):
    inputs, target = write(tmp_path, 7).read(aloi.OBJECTS)
    assert inputs.shape == (7, 128)
    assert target.tolist() == [0, 10, 20, 30, 40, 0, 10]
    assert (inputs[:, 127] == 2.5).all()
    assert inputs[1, 1] > 0
    assert np.count_nonzero(inputs) == 14


def test_it_is_built_with_one_label_each(tmp_path, monkeypatch):
    monkeypatch.setattr(aloi, "SHAPE", (500, 128))
    monkeypatch.setattr(aloi, "NUM_CLASSES", 5)
    monkeypatch.setattr(aloi, "VAL", 50)
    data = aloi.SOURCE.build(write(tmp_path, 500), aloi.SOURCE.defaults)
    assert data.classes == ("object 0", "object 10", "object 20", "object 30", "object 40")
    assert dict(zip(*np.unique(data.split, return_counts=True), strict=True)) == {"train": 350, "val": 50, "test": 100}
    assert set(data.annotations.labels_per_item[data.split != "test"]) == {1}


def test_other_numbers_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"ALOI.*\(7, 128\), 5.*108000"):
        aloi.SOURCE.build(write(tmp_path, 7), aloi.SOURCE.defaults)

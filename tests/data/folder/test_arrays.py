"""Arrays of a data folder, written in parts and addressed by a table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilmix.data.folder.arrays import read_array, read_array_rows
from hilmix.data.folder.write import write_array
from hilmix.data.inputs import ArrayInputs
from hilmix.errors import DataError


@pytest.mark.parametrize("shape", [(2500, 3, 2), (2500, 3, 2, 3), (2500, 4)])
def test_some_rows_are_written_and_read_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    array, rows = rng.random(shape).astype(np.float32), rng.integers(0, 2500, 2100)
    write_array(ArrayInputs(array, "vector" if len(shape) == 2 else "image"), rows, tmp_path / "x.npy")
    wanted = array[..., None] if len(shape) == 3 else array  # one channel, written out
    np.testing.assert_array_equal(read_array(tmp_path / "x.npy"), wanted[rows])


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"Cannot read .*x\.npy"):
        read_array(tmp_path / "x.npy")


def test_text_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array(["a"]))
    with pytest.raises(DataError, match=r"x\.npy.*got <U1"):
        read_array(tmp_path / "x.npy")


def test_rows_of_a_table() -> None:
    def rows(*values: float, length: int = 3) -> list[int]:
        return read_array_rows(pd.DataFrame({"row": values}), Path("t.csv"), Path("x.npy"), length).tolist()

    assert rows(2, 0, 2) == [2, 0, 2]
    assert read_array_rows(pd.DataFrame({"item": ["a", "b"]}), Path("t.csv"), Path("x.npy"), 2).tolist() == [0, 1]
    for bad in (0.5, np.nan):
        with pytest.raises(DataError, match=r"t\.csv, row 1: 'row'.*x\.npy.*got"):
            rows(0, bad)
    for bad in (-1, 3):
        with pytest.raises(DataError, match=r"t\.csv: its lines need rows .*, x\.npy has 3 rows"):
            rows(0, bad)

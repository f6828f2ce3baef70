"""Atomic writers: the new file or the former one, never a half."""

import json
from pathlib import Path

import pandas as pd
import pytest

from hilmix.errors import RunError
from hilmix.files import write_atomically, write_json, write_table


def write_half(path: Path) -> None:
    with write_atomically(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "notes.txt"
    with write_atomically(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
        assert partial.parent == path.parent
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_inside_the_block_keeps_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("former")
    with pytest.raises(ZeroDivisionError):
        write_half(path)
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_tables_and_json_read_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    for suffix, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        write_table(table, tmp_path / f"table.{suffix}")
        pd.testing.assert_frame_equal(read(tmp_path / f"table.{suffix}"), table)
    write_json({"a": 1, "b": None}, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1, "b": None}


def test_an_unwritable_folder_is_one_error(tmp_path):
    (tmp_path / "taken").write_text("a file where the run folder should be")
    with pytest.raises(RunError, match=r"Cannot write .*taken.*annotators\.csv: .*writable folder"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "taken" / "annotators.csv")


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch, name):
    def full(self, path=None, **kwargs):
        if path is not None:  # CSV is made as text first
            path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(RunError, match="No space left on device"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / name)
    assert not list(tmp_path.iterdir())

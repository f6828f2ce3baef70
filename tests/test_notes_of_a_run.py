"""What ``data check`` notes about a folder, every command that reads it says too: the same lines, once."""

from pathlib import Path

import pandas as pd
import pytest
from lightning.pytorch.utilities import rank_zero_only

from hilmix.cli import main
from hilmix.data.folder import read_folder
from tests.helpers import QUIET, fit, write_vectors

pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with annotators that differ only in case, a target ``NA`` and a repeated row."""
    folder = write_vectors(tmp_path_factory.mktemp("data") / "toy", annotators=("anna", "Anna", "c"))
    items = pd.read_parquet(folder / "items.parquet")
    items.loc[3, "target"] = "NA"
    items.to_parquet(folder / "items.parquet", index=False)
    votes = pd.read_parquet(folder / "annotations.parquet")
    pd.concat([votes, votes.iloc[[0]]]).to_parquet(folder / "annotations.parquet", index=False)
    return folder


@pytest.fixture(scope="module")
def lines(data: Path) -> list[str]:
    notes = read_folder(data).notes
    assert {note.kind for note in notes} == {"similar-names", "missing-text", "repeats"}
    return [f"{note.title} {note.sentence()}" for note in notes]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert fit(data, folder) == 0
    return folder


@pytest.mark.parametrize("command", ["data check", "fit", "resume", "validate", "test", "predict"])
def test_each_note_is_printed_once(command: str, data: Path, lines: list[str], run: Path, tmp_path: Path, capsys):
    capsys.readouterr()
    if command == "data check":
        assert main(["data", "check", str(data)]) == 0
    elif command == "fit":
        assert fit(data, tmp_path / "run") == 0
    elif command == "resume":
        assert fit(data, run, "--ckpt_path", "last") == 0
    else:
        assert main([command, "--run_dir", str(run), "--ckpt_path", "last", *QUIET]) == 0
    shown = capsys.readouterr()
    printed = (shown.out + shown.err).splitlines()
    for line in lines:
        assert printed.count(line) == 1, line


def test_other_ranks_print_none(data: Path, lines: list[str], tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    assert fit(data, tmp_path / "run", "--trainer.fast_dev_run", "1") == 0
    shown = capsys.readouterr()
    assert not set(lines) & {*shown.out.splitlines(), *shown.err.splitlines()}

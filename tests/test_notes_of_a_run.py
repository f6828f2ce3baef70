"""What ``data check`` notes about a folder, every command that reads it says too: the same lines, once."""

import json
from pathlib import Path

import pandas as pd
import pytest
from lightning.pytorch.utilities import rank_zero_only

from hilmix.cli import main
from hilmix.data.folder import read_folder
from hilmix.faults import Fault
from tests.helpers import QUICK, QUIET, fit, write_vectors

pytestmark = pytest.mark.usefixtures("no_figures")


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


def test_what_cannot_be_learnt_is_printed_where_training_starts(tmp_path: Path, capsys) -> None:
    """An annotator without training labels and a class without annotations; an evaluation learns nothing."""
    folder = write_vectors(tmp_path / "toy")
    votes = pd.read_parquet(folder / "annotations.parquet")
    train = {f"i{i}" for i in range(30)}
    votes = votes[~((votes["annotator"] == "c") & votes["item"].isin(train))]
    votes.to_parquet(folder / "annotations.parquet", index=False)
    (folder / "dataset.yaml").write_text("name: toy\ninput: vector\nclasses: [x, y, z, rare]\n")
    assert main(["data", "check", str(folder), "--json"]) == 0
    notes = [Fault(**{**one, "rows": ()}) for one in json.loads(capsys.readouterr().out)["notes"]]
    assert [(one.kind, one.found.rpartition(": ")[2]) for one in notes] == [
        ("silent-annotators", "c"),
        ("unused-classes", "rare"),
    ]
    lines = [f"warning: {note.sentence()}" for note in notes]
    for i, command in enumerate(
        (
            ["data", "check", str(folder)],
            ["fit", "--data.root", str(folder), "--run_dir", str(tmp_path / "run"), *QUICK],
            ["test", "--run_dir", str(tmp_path / "run"), "--ckpt_path", "last", *QUIET],
        )
    ):
        assert main(command) == 0
        printed = capsys.readouterr().out.splitlines()
        assert [printed.count(line) for line in lines] == [int(i < 2)] * 2

"""The files that the settings of a command start from."""

from pathlib import Path

import pytest

import hilmix.lightning_cli.run
from hilmix import configs_folder
from hilmix.cli import main


def test_they_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, read, load = (configs_folder() / "base.yaml").read_text(), [], hilmix.lightning_cli.run.load_checked
    monkeypatch.setattr(hilmix.lightning_cli.run, "load_checked", lambda text: [read.append(text), load(text)][1])
    assert main(["fit", "--run_dir", str(tmp_path / "run"), "--data.root", str(tmp_path / "missing")]) == 2
    assert read.count(base) == 1

"""docs/data_folder.md: its examples run and its tables are complete."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hilmix.cli import main
from hilmix.data.sources import SOURCES
from tests.data.folder.test_bad_files import write

PAGE = (Path(__file__).parents[3] / "docs" / "data_folder.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_shell_example_makes_a_valid_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("sh")
    commands = [line for line in example.splitlines() if not line.startswith("hilmix")]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # `python` is this one
    subprocess.run(["sh", "-e", "-c", "\n".join(commands)], check=True, env=os.environ | {"PATH": path})
    assert main(["data", "check", "mine"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "colours" in out
    assert "items 10" in out
    assert "annotations 24" in out


def test_the_commands_that_clean_a_folder_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine", {"bad.png": b""})
    commands = re.findall(r"^    hilmix data (check mine.*)$", PAGE, flags=re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert main(["data", *command.split()]) == 0
    assert json.loads(capsys.readouterr().out.split("mine-clean\n", 1)[1])["data"]["items"] == 2


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "data_folder.md", "exec"), {})


def test_every_source_is_listed_with_its_licence():
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| .* \| (.*) \|$", PAGE, flags=re.MULTILINE))
    rows = {name: licence for name, licence in rows.items() if name in SOURCES}
    assert set(rows) == set(SOURCES)
    for name, licence in rows.items():
        assert SOURCES[name].licence.startswith(licence.split(" (")[0])

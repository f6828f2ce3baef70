"""docs/elicit.md: its commands and code run, and its tables are complete."""

import re
import shlex
from pathlib import Path

import pytest

from hilmix.cli import main
from hilmix.data.folder import write_folder
from hilmix.elicit.manifest import TASKS, Manifest, Settings
from tests.elicit.study_data import pictures

PAGE = (Path(__file__).parents[2] / "docs" / "elicit.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_studies_of_the_page_are_built(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(pictures(), "data/mine")
    (tmp_path / "consent.md").write_text(blocks("markdown")[0])
    (tmp_path / "infer.md").write_text("Look.")
    commands = [line for block in blocks("sh") for line in block.splitlines() if "elicit build" in line]
    assert len(commands) == 2
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0
    for code in blocks("python"):
        exec(compile(code, "elicit.md", "exec"), {})


@pytest.mark.parametrize("name", [*TASKS, *Manifest.model_fields, *Settings.model_fields])
def test_tasks_fields_and_settings_are_told(name):
    assert f"`{name}`" in PAGE

"""docs/elicit.md: its commands and code run, and its tables are complete."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from hilmix.cli import main
from hilmix.data.folder import write_folder
from hilmix.elicit.behaviour import NAMES
from hilmix.elicit.export import FORMATS
from hilmix.elicit.manifest import TASKS, Manifest, Settings
from tests.elicit.study_data import pictures

PAGE = (Path(__file__).parents[2] / "docs" / "elicit.md").read_text()
QUICK = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.log_every_n_steps=1"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_commands_and_the_code_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(pictures(), "data/mine")
    (tmp_path / "consent.md").write_text(blocks("markdown")[0])
    (tmp_path / "infer.md").write_text("Look.")
    commands = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    assert [command[1:3] for command in commands].count(["elicit", "build"]) == 3
    for program, *arguments in commands:
        if program == "cp":
            shutil.copytree(*arguments[1:])
        elif program == "hilmix":
            assert main(arguments + (QUICK if arguments[0] == "fit" else [])) == 0
    for code in blocks("python"):
        exec(compile(code, "elicit.md", "exec"), {})


@pytest.mark.parametrize("name", [*TASKS, *Manifest.model_fields, *Settings.model_fields, *NAMES, *FORMATS])
def test_tasks_fields_settings_behaviours_and_formats_are_told(name):
    assert f"`{name}`" in PAGE

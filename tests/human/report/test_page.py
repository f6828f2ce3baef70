"""docs/human_mixup.md: its examples run, its lists are complete."""

import re
from pathlib import Path

import pytest

from hilmix.cli import main
from hilmix.commands.hmix_policies import NAMES
from hilmix.data.folder import write_folder
from hilmix.human.report import summarize_studies
from hilmix.human.report.figures import FIGURES
from hilmix.human.study import write_released
from hilmix.human.study.layout import CLASSES, LAYOUTS, NUM_ITEMS
from tests.commands.human import images, plan_study
from tests.human.report import simulated

PAGE = (Path(__file__).parents[3] / "docs" / "human_mixup.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Folders named as on the page, with an invented study of invented images."""
    monkeypatch.chdir(tmp_path)
    study = plan_study(CLASSES, NUM_ITEMS)
    write_released(study, "data/h_mix")
    write_folder(images(study), "data/cifar10h-counts")


@pytest.mark.parametrize("code", EXAMPLES)
def test_examples_run(code, folders, capsys):
    exec(compile(code, "human_mixup.md", "exec"), {})
    assert re.search(r"generating_weight|logistic_k|True\n17", capsys.readouterr().out)


def test_commands_run(folders):
    commands = re.findall(r"^    hilmix (hmix (?:fit|mixes) .*)$", PAGE, flags=re.MULTILINE)
    assert len(commands) == 7
    for command in commands:
        assert main(command.split()) == 0, command
    policies = re.findall(r"^\| ([\w, ]+) \| .* \| [\d, -]+ % \|$", PAGE, flags=re.MULTILINE)
    assert {name for row in policies for name in row.split(", ")} == set(NAMES)


def test_every_table_figure_and_file_is_described():
    studies = {s.task: s for s in (simulated.infer(), simulated.construct(), simulated.categorical())}
    tables = set(summarize_studies(studies).tables)
    described = re.findall(
        r"^\| `(\w+)` \| (?=.*\|$)", PAGE.split("## Tables and figures of the summary")[1], flags=re.MULTILINE
    )
    assert set(described) == tables
    assert set(re.findall(r"^\| `(\w+\.png)`", PAGE, flags=re.MULTILINE)) == set(FIGURES)
    assert all(layout.file in PAGE for layout in LAYOUTS.values())

"""docs/human_mixup.md: its examples run, its lists are complete."""

import re
from pathlib import Path

import pytest

from hilmix.data.hmix import write_released
from hilmix.data.hmix.layout import CLASSES, LAYOUTS, NUM_ITEMS
from hilmix.report.hmix import summarize_studies
from hilmix.report.hmix.figures import FIGURES
from tests.data.hmix.synthetic import invent
from tests.report.hmix import simulated

PAGE = (Path(__file__).parents[3] / "docs" / "human_mixup.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("code", EXAMPLES)
def test_examples_run(code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_released(invent("infer", 0, classes=CLASSES, num_items=NUM_ITEMS), "data/h_mix")
    exec(compile(code, "human_mixup.md", "exec"), {})
    assert re.search("generating_weight|logistic_k", capsys.readouterr().out)


def test_every_table_figure_and_file_is_told():
    studies = {s.task: s for s in (simulated.infer(), simulated.construct(), simulated.categorical())}
    tables = set(summarize_studies(studies).tables)
    told = re.findall(r"^\| `(\w+)` \| (?=.*\|$)", PAGE.split("## What the summary says")[1], flags=re.MULTILINE)
    assert set(told) == tables
    assert set(re.findall(r"^\| `(\w+\.png)`", PAGE, flags=re.MULTILINE)) == set(FIGURES)
    assert all(layout.file in PAGE for layout in LAYOUTS.values())

"""The folder for other hosts: complete, silent about weights, and asking nothing from anywhere."""

import json
import re
import shutil
import subprocess

import pytest

from hilmix.human.elicit.design.manifest import TASKS, hash_manifest, read_manifest
from hilmix.human.elicit.export import Export, export
from hilmix.human.elicit.jspsych.experiment import PAGES
from tests.human.elicit.studies import make_tasks


@pytest.fixture
def written(tmp_path):
    folder = make_tasks(tmp_path / "s", list(TASKS))
    export(Export(folder, tmp_path / "out", "jspsych"))
    return folder, tmp_path / "out"


def test_the_timeline_is_the_study_without_what_people_are_to_judge(written):
    folder, out = written
    manifest, timeline = read_manifest(folder), json.loads((out / "timeline.json").read_text())
    assert timeline["manifest"] == hash_manifest(folder)
    assert "<strong>this</strong>" in timeline["consent"]
    assert "<script" not in json.dumps(timeline)
    for batch, source in zip(timeline["batches"], manifest.batches, strict=True):
        assert (batch["id"], batch["task"]) == (source.id, source.task)
        for trial, original in zip(batch["trials"], source.trials, strict=True):
            shown = manifest.stimuli[original.stimulus]
            midpoint = source.task in ("construct", "select")
            assert trial == {
                "id": original.id,
                "kind": original.kind,
                "images": list(shown.images),
                "weights": list(shown.weights) if midpoint else None,
                "start": original.start,
                "labels": [1, 3] if midpoint or source.task == "infer" else None,
            }
            assert all((out / "images" / name).is_file() for name in shown.images)


def test_nothing_comes_from_elsewhere_and_the_readme_says_what_goes_beside(written):
    _, out = written
    assert {file.name for file in out.iterdir()} == {file.name for file in PAGES.iterdir()} | {
        "timeline.json",
        "images",
    }
    for name in ("index.html", "experiment.js", "experiment.css"):
        assert "//" not in re.sub(r"^\s*//.*$|\s// .*$", "", (out / name).read_text(), flags=re.MULTILINE)
    needed = set(re.findall(r'(?:src|href)="([^"]+)"', (out / "index.html").read_text())) - {"data:,"}
    readme = (out / "README.md").read_text()
    for name in needed - {file.name for file in out.iterdir()}:
        assert f"| `{name}` |" in readme
    assert len(needed) == 4


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node to parse JavaScript")
def test_the_script_parses():
    subprocess.run(["node", "--check", str(PAGES / "experiment.js")], check=True)

"""A source in one file outside the package: prepared, checked, and trained on, without an edit of hilmix."""

import json
import sys

import numpy as np
import pytest

from hilmix import trusted
from hilmix.cli import main as command
from hilmix.data import AnnotatedDataModule, read_folder
from hilmix.data.root import load_root
from hilmix.data.sources import find_source, load_source
from hilmix.errors import ConfigError, DataError

pytestmark = pytest.mark.usefixtures("no_figures")

FILE = """
import numpy as np

from hilmix.annotations import Annotations
from hilmix.data import AnnotatedData, ArrayInputs
from hilmix.data.sources import Source


def build(access, options):
    generator = np.random.default_rng(options.seed)
    target = np.arange(60) % 2
    points = generator.normal(size=(60, 2)) + 4 * target[:, None]
    item, annotator = np.repeat(np.arange(60), 3), np.tile(np.arange(3), 60)
    label = np.where(generator.random(180) < 0.2, 1 - target[item], target[item])
    votes = Annotations.build(item, annotator, label, num_items=60, classes=["left", "right"], annotators=3)
    names = tuple(f"point {i}" for i in range(60))
    return AnnotatedData("two-clouds", names, ArrayInputs(points, "vector"), votes, target)


CLOUDS = Source(
    name="two-clouds", summary="60 points", licence="CC0", citation="none", build=build, options=("seed",)
)
PLACED = Source(name="placed", summary="60 points", licence="CC0", citation="none", build=build, folder="placed")
NUMBER = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    """``clouds.py`` in the working folder, which Python finds; forgotten afterwards."""
    (tmp_path / "clouds.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(trusted, "_packages", {"hilmix"})
    yield tmp_path
    sys.modules.pop("clouds", None)


def test_it_is_prepared_and_checked(capsys):
    assert command(["data", "show", "clouds:CLOUDS"]) == 0
    assert command(["data", "prepare", "clouds:CLOUDS", "--seed", "3"]) == 0
    assert "CC0" in capsys.readouterr().out
    written, made = read_folder("data/two-clouds"), load_source("clouds:CLOUDS")
    assert (written.items, written.classes) == (made.items, made.classes)
    assert not np.array_equal(written.annotations.label, made.annotations.label)  # another seed
    assert command(["data", "check", "data/two-clouds", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["items"] == 60


def test_it_is_trained_on_for_an_epoch(module):
    options = ["--data.root", "clouds:CLOUDS", "--trust", "clouds", "--run_dir", "run", "--trainer.max_epochs", "1"]
    network = ["--model.backbone", "hilmix.backbones.MLP", "--trainer.accelerator", "cpu"]
    assert command(["fit", *options, *network]) == 0
    assert (module / "run" / "checkpoints" / "last.ckpt").is_file()
    assert json.loads((module / "run" / "data.json").read_text())["root"] == "clouds:CLOUDS"


def test_a_file_may_not_import_it_unless_its_package_is_trusted():
    with pytest.raises(ConfigError, match=r"`data\.root`.*clouds\.CLOUDS.*trust\('clouds'\)"):
        AnnotatedDataModule("clouds:CLOUDS").setup("fit")
    assert "clouds" not in sys.modules
    trusted.trust("clouds")
    assert len(load_root("clouds:CLOUDS")) == 60


def test_the_root_of_a_data_module_needs_no_files():
    trusted.trust("clouds")
    with pytest.raises(DataError, match=r"clouds:PLACED.*prepare"):
        load_root("clouds:PLACED")
    with pytest.raises(ConfigError, match=r"data\.image_size.*clouds:CLOUDS.*64"):
        load_root("clouds:CLOUDS", image_size=64)


@pytest.mark.parametrize(
    ("name", "found"),
    [("clouds:GONE", "GONE"), ("gone:CLOUDS", "gone"), ("clouds:NUMBER", "int"), ("clouds:Source", "type")],
)
def test_what_is_no_source_is_refused(name, found):
    with pytest.raises(ConfigError, match=rf"Source.*{name}.*{found}|{name}.*Source.*{found}"):
        find_source(name)

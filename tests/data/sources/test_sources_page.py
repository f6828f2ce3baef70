"""docs/sources.md: its table is that of the sources, its example runs."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hilmix.annotations import Annotations
from hilmix.backbones import TimmBackbone
from hilmix.data import AnnotatedData, ArrayInputs, read_folder, write_folder
from hilmix.data.sources import SOURCES, find_source
from tests.helpers import write_vectors

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "sources.md").read_text()


@pytest.fixture(scope="module")
def make_sources() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sources", DOCS / "make_sources.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_that_of_the_sources(make_sources):
    assert make_sources.fill(PAGE) == PAGE, "run `python docs/make_sources.py`"
    named = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE, flags=re.MULTILINE)
    assert named == list(SOURCES)
    for line in re.findall(r"^\| `.*$", PAGE, flags=re.MULTILINE):
        assert line.count("|") == 9, line


@pytest.mark.parametrize(
    ("name", "download"),
    [("digits-class", "none"), ("isic", "by hand"), ("letter", "0.7 MB"), ("dtd", "625 MB"), ("aloi", "size unknown")],
)
def test_downloads_are_described(make_sources, name, download):
    described = make_sources.describe_download(find_source(name))
    assert described.startswith(download)
    unverified = any(not file.verification for r in find_source(name).resources for file in r.files)
    assert ("cannot be verified" in described) == unverified


def test_the_example_freezes_a_network_of_timm(tmp_path, monkeypatch):
    """A ViT with random weights at the size of DINOv2's patches stands for the pretrained one."""
    code, _ = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict = {}
    exec(compile(code, "sources.md", "exec"), names)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    votes = Annotations.build([0], [0], [1], num_items=6, classes=["a", "b"], annotators=["ann"])
    data = AnnotatedData("toy", tuple("abcdef"), ArrayInputs(pixels, "image"), votes)
    write_folder(data, tmp_path / "toy")
    out = names["freeze"](tmp_path / "toy", TimmBackbone("test_resnet"), tmp_path / "frozen", tmp_path / "cache")
    assert read_folder(out).inputs.shape == (TimmBackbone("test_resnet").build((3, 40, 40)).num_features,)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_example_puts_features_of_a_file_into_a_folder(tmp_path):
    _, code = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict = {}
    exec(compile(code, "sources.md", "exec"), names)
    folder = write_vectors(tmp_path / "toy")
    features = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    out = names["use_features"](folder, features, tmp_path / "bert", labels_per_item=(2, 4), max_epochs=1)
    data = read_folder(out)
    np.testing.assert_array_equal(data.inputs.fetch(np.arange(60)).numpy(), features)
    assert set(data.annotations.labels_per_item[data.split == "test"]) == {20}
    assert set(data.annotations.labels_per_item[data.split != "test"]) <= {2, 3, 4}

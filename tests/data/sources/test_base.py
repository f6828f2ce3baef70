"""Where a resource is taken from, and the registry of sources."""

import importlib
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hilmix.data import sources
from hilmix.data.sources import SOURCES, Options, collect_sources, find_source, load_source
from hilmix.data.sources.base import Access, Resource, require_published
from hilmix.data.sources.fetch import RemoteFile
from hilmix.errors import DataError

NOWHERE = "http://127.0.0.1:9"  # nothing listens on the discard port


@pytest.fixture
def resource():
    return Resource(
        (RemoteFile(f"{NOWHERE}/a.txt", "x/a.txt"),),
        lambda paths: "original " + paths[0].read_text(),
        ("m/a.npz",),
        lambda paths: "mirror " + paths[0].read_text(),
    )


def place(path, text="here"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_files_placed_by_hand_come_first_then_the_mirror(resource, tmp_path, monkeypatch):
    monkeypatch.setenv("HILMIX_DATA", str(tmp_path / "mirror"))
    access = Access(tmp_path / "downloads")
    assert access.origin(resource) == f"download from {NOWHERE}/a.txt"
    place(tmp_path / "mirror" / "m" / "a.npz")
    assert access.origin(resource) == f"mirror {tmp_path / 'mirror'}"
    assert access.read(resource) == "mirror here"
    place(tmp_path / "downloads" / "x" / "a.txt")
    assert access.origin(resource) == f"files in {tmp_path / 'downloads'}"
    assert access.read(resource) == "original here"


@pytest.mark.parametrize("variable", [None, "", "/nowhere/at/all"])
def test_neither_there_is_refused_with_the_remedy(resource, tmp_path, monkeypatch, variable):
    if variable is None:
        monkeypatch.delenv("HILMIX_DATA", raising=False)
    else:
        monkeypatch.setenv("HILMIX_DATA", variable)
    with pytest.raises(DataError, match=rf"Cannot download {NOWHERE}/a\.txt.*by hand.*HILMIX_DATA"):
        Access(tmp_path).read(resource)


@pytest.mark.parametrize("error", [ValueError, KeyError, EOFError, OSError, IndexError])
def test_content_that_cannot_be_read_names_the_file(tmp_path, error):
    def fail(paths):
        raise error("broken")

    place(tmp_path / "a.txt")
    broken = Resource((RemoteFile(f"{NOWHERE}/a.txt", "a.txt"),), fail)
    with pytest.raises(DataError, match=rf"Cannot read .*a\.txt: {error.__name__}.*Delete the file"):
        Access(tmp_path).read(broken)


def test_own_errors_pass_unchanged(tmp_path):
    place(tmp_path / "a.txt")
    strict = Resource((RemoteFile(f"{NOWHERE}/a.txt", "a.txt"),), lambda paths: require_published("items", 1, 2))
    with pytest.raises(DataError, match=r"^items: found 1, expected 2"):
        Access(tmp_path).read(strict)


def test_every_source_says_what_a_user_must_know():
    for name, source in SOURCES.items():
        assert source.name == name
        assert "\n" not in source.summary
        assert len(source.summary) < 120
        assert source.licence
        assert source.citation
        assert not (source.folder and source.resources), "either placed by hand or downloaded"
        assert source.profile, "its line in docs/sources.md"
        for resource in source.resources:
            assert resource.files
            assert bool(resource.mirror) == bool(resource.read_mirror)
            for file in resource.files:
                assert re.fullmatch(r"https?://\S+", file.url)
                assert file.checksum is None or re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", file.checksum)
                if file.checksum is None:
                    assert "checksum" in source.note.lower()


def test_file_paths_are_unique():
    files = {f for s in SOURCES.values() for r in s.resources for f in r.files}
    assert len({f.path for f in files}) == len(files) == len({f.url for f in files})


def test_unknown_name_lists_the_known():
    with pytest.raises(DataError, match="'cifar'") as refused:
        find_source("cifar")
    assert all(name in str(refused.value) for name in SOURCES)


def test_every_file_of_the_folder_registers_its_sources():
    # Shared by the sources, no data sets of their own.
    parts = {
        "base",
        "fetch",
        "pickles",
        "cifar10",
        "archives",
        "published_splits",
        "text_features",
        "dopanim_questions",
    }
    for file in Path(sources.__file__).parent.glob("[!_]*.py"):
        there = collect_sources([importlib.import_module(f"hilmix.data.sources.{file.stem}")])
        assert bool(there) == (file.stem not in parts), file
        assert all(SOURCES[name] is source for name, source in there.items())


def test_sources_that_need_no_files_come_first_then_names_decide():
    def module(*made):
        return SimpleNamespace(__name__="mine", **{f"S{i}": source for i, source in enumerate(made)})

    plain = find_source("toy-bumps")
    one, two, other = (replace(plain, name=name, folder=folder) for name, folder in (("c", ""), ("a", "x"), ("b", "")))
    assert list(collect_sources([module(one, two), module(other)])) == ["b", "c", "a"]
    assert list(collect_sources([module(one), module(one)])) == ["c"]
    with pytest.raises(ValueError, match=r"unique.*'c'.*mine"):
        collect_sources([module(one), module(replace(one, summary="another"))])


@pytest.mark.parametrize("name", ["digits-class", "digits-instance"])
def test_embedded_data_depend_on_the_seed(name):
    one, other = (load_source(name, options=Options(seed=s)) for s in (0, 1))
    assert one.name == name
    assert len(one) == 1797
    assert not np.array_equal(one.split, other.split)


def test_folders_placed_by_hand(tmp_path):
    place(tmp_path / "x" / "a" / "b.txt")
    assert Access(tmp_path).placed("x", ("a", "a/b.txt")) == tmp_path / "x"
    with pytest.raises(DataError, match=r"x/c' is missing.*docs/data_folder\.md.*download folder"):
        Access(tmp_path).placed("x", ("a", "c", "d"))

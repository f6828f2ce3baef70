"""``hilmix data check`` as a user types it: all faults in one run, JSON, and copies without unreadable images."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hilmix.cli import main
from hilmix.data.folder import read_folder
from hilmix.errors import DataError
from tests.data.folder.test_bad_files import BAD, GOOD, write


@pytest.fixture(autouse=True)
def narrow_terminal(workplace, monkeypatch):
    """The width that rich assumes where none is known: long names are wrapped."""
    monkeypatch.delenv("COLUMNS")


def check(*argv: str) -> int:
    return main(["data", "check", *argv])


def state(root: Path) -> dict[str, tuple[str, float, int]]:
    """Content, time and mode of every file, and of the folders."""
    return {
        str(path.relative_to(root)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime,
            path.stat().st_mode,
        )
        for path in [root, *root.rglob("*")]
        if path.exists()
    }


def broken() -> Path:
    """A folder with 32 bad images and further faults in every file."""
    root = write(Path("mine"), {f"{i}-{name}": content for i in range(4) for name, content in BAD.items()}, good=5)
    (root / "dataset.yaml").write_text("input: image\nlicense: CC0\nclasses: [cat, dog]\n")
    items = pd.read_csv(root / "items.csv").assign(split="train", target="cat")
    items.loc[1, "split"], items.loc[[2, 3], "target"] = "never", "cow"
    items.to_csv(root / "items.csv", index=False)
    votes = pd.read_csv(root / "annotations.csv").assign(confidence=0.5).astype(object)
    votes.loc[0, "item"], votes.loc[1, "label"], votes.loc[2, "confidence"] = "stranger", "cow", "high"
    votes.to_csv(root / "annotations.csv", index=False)
    return root


def test_all_faults_are_reported_in_one_run(capsys):
    root = broken()
    assert check("mine") == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("error: ") == 1
    for part in ("license", "'split'", "'cow'", "'confidence'", "mine/items.csv", "mine/annotations.csv", "row 1"):
        assert part in error
    assert "kinds of faults" in error
    assert check("mine", "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert found["data"] is None
    faults = {(fault["kind"], fault["where"]): fault for fault in found["faults"]}
    pictures = [fault for (kind, where), fault in faults.items() if where == "path"]
    assert sum(fault["count"] for fault in pictures) == 32
    assert all(fault["rows"] == sorted(fault["rows"]) and len(fault["rows"]) <= 5 for fault in pictures)
    assert [f["rows"] for f in found["faults"] if f["where"] == "target"] == [[2, 3]]
    with pytest.raises(DataError) as raised:
        read_folder(root)
    assert {fault.kind for fault in raised.value.faults} <= {kind for kind, _ in faults}


def test_json_of_a_sound_folder_holds_what_is_printed(capsys):
    write(Path("mine"), {}, good=6)
    assert check("mine", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    assert (found["faults"], found["data"]["items"], found["data"]["class_votes"]) == ([], 6, {"cat": 0.5, "dog": 0.5})
    assert found["data"]["wrong_labels"] is None


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_copy_without_unreadable_images(suffix, capsys):
    root = write(Path("mine"), BAD | {"gone.png": None}, good=4)
    (root / "annotators.csv").write_text("annotator,age\nann,30\n")
    (root / "masks").mkdir()
    for name in ("0.png", "zero.png", "gone.png"):
        Image.new("L", (6, 5), 255).save(root / "masks" / name)
    if suffix == "parquet":
        for stem in ("items", "annotations", "annotators"):
            pd.read_csv(root / f"{stem}.csv").to_parquet(root / f"{stem}.parquet", index=False)
            (root / f"{stem}.csv").unlink()
    before = state(root)
    assert check("mine", "--skip-unreadable", "-o", "deep/clean") == 0
    out = capsys.readouterr().out
    for name in (*BAD, "gone.png"):
        assert f"left out: i{name} (mine/{name})" in out
    assert f"{len(BAD) + 1} items" in out
    assert f"{len(BAD) + 1} annotations and 2 masks" in out
    assert state(root) == before
    clean = read_folder("deep/clean")
    assert clean.items == tuple(f"i{i}.png" for i in range(4))
    assert clean.annotations.num_pairs == 4
    assert clean.masks is not None
    assert clean.masks.item.tolist() == [0]
    assert clean.annotator_features.tolist() == [[30.0]]
    assert Path("deep/clean/0.png").read_bytes() == GOOD.getvalue()
    assert check("deep/clean") == 0
    assert sorted(p.name for p in Path("deep").iterdir()) == ["clean"]


def test_links_and_paths_out_of_the_folder_stay_readable(capsys):
    root = write(Path("mine"), {"bad.png": b""}, good=3)
    Path("elsewhere").mkdir()
    os.rename(root / "1.png", "elsewhere/1.png")
    (root / "1.png").symlink_to(Path("elsewhere/1.png").resolve())
    Image.new("RGB", (6, 5)).save("elsewhere/x.png")
    items = pd.read_csv(root / "items.csv")
    items.loc[2, "path"] = "../elsewhere/x.png"
    items.loc[0, "path"] = str((root / "0.png").resolve())
    items.to_csv(root / "items.csv", index=False)
    assert check("mine", "--skip-unreadable", "-o", "deep/er/clean") == 0
    os.rename(root, "moved")
    clean = read_folder("deep/er/clean")
    assert len(clean) == 3
    assert not Path("deep/er/clean/1.png").is_symlink()
    np.testing.assert_array_equal(clean.inputs.fetch(np.array([2])), 0)


def test_names_and_cells_are_copied_as_they_are(capsys):
    root = write(Path("mine"), {"bad.png": b""}, good=3)
    names = ["=1+1", 'a,"b"', "line\nbreak", "bad"]
    items = pd.read_csv(root / "items.csv").assign(item=names, note=["", "NA", " x ", "1.50"])
    items.to_csv(root / "items.csv", index=False)
    pd.read_csv(root / "annotations.csv").assign(item=names).to_csv(root / "annotations.csv", index=False)
    with (root / "annotations.csv").open("a") as stream:
        stream.write("\n   \n=1+1,bob,dog\n")
    assert check("mine", "--skip-unreadable", "-o", "clean") == 0
    assert read_folder("clean").items == tuple(names[:3])
    assert read_folder("clean").annotations.num_pairs == 4
    assert pd.read_csv("clean/items.csv", keep_default_na=False)["note"].tolist() == ["", "NA", " x "]


@pytest.mark.parametrize("out", ["mine", "mine/clean", "mine/../mine", "there", "./mine/.", "link/clean"])
def test_the_original_and_what_exists_are_not_touched(out, capsys):
    root = write(Path("mine"), {"bad.png": b""})
    Path("there").mkdir()
    Path("link").symlink_to("mine")
    before = state(root)
    assert check("mine", "--skip-unreadable", "-o", out) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert state(root) == before
    assert list(Path("there").iterdir()) == []


def test_other_faults_are_reported_instead_of_copied(capsys):
    broken()
    assert check("mine", "--skip-unreadable", "-o", "clean") == 2
    assert "license" in capsys.readouterr().err
    assert not Path("clean").exists()


def test_nothing_readable_is_refused(capsys):
    write(Path("mine"), {"bad.png": b""}, good=0)
    assert check("mine", "--skip-unreadable", "-o", "clean") == 2
    assert not Path("clean").exists()


@pytest.mark.parametrize("argv", [["--skip-unreadable"], ["-o", "clean"], ["--skip-unreadable", "-o", "c", "--quick"]])
def test_options_that_do_not_belong_together(argv, capsys):
    write(Path("mine"), {})
    assert check("mine", *argv) == 2
    assert "--skip-unreadable" in capsys.readouterr().err


@pytest.mark.parametrize("names", [("Cat", "cat"), ("cafe\u0301", "caf\u00e9"), ("1", "01"), ("[/b]", "[/B]")])
def test_names_that_look_the_same_are_a_warning(names, capsys):
    root = write(Path("mine"), {}, good=4)
    votes = pd.read_csv(root / "annotations.csv").astype(object)
    votes["label"] = [names[row % 2] for row in range(len(votes))]
    votes.to_csv(root / "annotations.csv", index=False)
    assert check("mine") == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning:")]
    assert any(all(name in line for name in names) for line in warnings)
    assert main(["aggregate", "mine", "-o", "labels.csv"]) == 0
    assert any(line.startswith("warning:") and names[0] in line for line in capsys.readouterr().out.splitlines())

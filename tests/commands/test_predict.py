"""``hilmix predict RUN NEW``: the documented lines on every form of new items, and what they refuse."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import hilmix
from hilmix import AnnotatedData, Annotations, ArrayInputs, write_folder
from hilmix.cli import main
from tests.helpers import QUIET, fit, write_vectors

pytestmark = pytest.mark.usefixtures("no_figures")


def go(line: str) -> int:
    """Run a documented command line."""
    program, *args = shlex.split(line)
    assert program == "hilmix"
    return main(args)


def refusal(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert go(line) == 2
    (message,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error: ")]
    return message


@pytest.fixture(scope="module")
def photo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace with runs/mine, trained on red and blue images of 8 px, and new photos of other sizes."""
    place = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    n, colour = 140, np.array([[220, 40, 40], [40, 40, 220]])
    truth = np.arange(n) % 2
    images = (colour[truth][:, None, None] + rng.integers(-30, 30, (n, 8, 8, 3))).clip(0, 255).astype(np.uint8)
    votes = Annotations.build(
        np.arange(n).repeat(2),
        np.tile([0, 1], n),
        truth.repeat(2),
        num_items=n,
        classes=["red", "blue"],
        annotators=["ann", "bob"],
    )
    split = np.array(["train"] * 70 + ["val"] * 64 + ["test"] * 6)
    names = tuple(f"i{i}" for i in range(n))
    write_folder(AnnotatedData("colours", names, ArrayInputs(images, "image"), votes, truth, split), place / "data")
    options = ["--model.backbone", "MLP", "--model.lr", "0.01", "--trainer.max_epochs", "8"]
    assert fit(place / "data", place / "runs" / "mine", "-c", "configs/method/hilmix-fast.yaml", *options) == 0
    (place / "photos" / "deep").mkdir(parents=True)
    for i, name in enumerate(["10.png", "9.jpg", "deep/1.png", ".hidden.png"]):
        Image.new("RGB", (20 + i, 12), tuple(colour[i % 2])).save(place / "photos" / name)
    (place / "photos" / "notes.txt").write_text("no image")
    return place


@pytest.fixture
def place(photo_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of its own with links to the runs and photos, as the current one."""
    for name in ("runs", "photos"):
        (tmp_path / name).symlink_to(photo_run / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_of_images(place: Path, capsys) -> None:
    assert go("hilmix predict runs/mine photos -o photos.parquet") == 0
    table = pd.read_parquet("photos.parquet")
    assert table["item"].tolist() == ["10.png", "9.jpg", "deep/1.png"]
    assert list(table.columns) == ["item", "predicted", "confidence", "prob_red", "prob_blue"]
    expected = hilmix.load("runs/mine").predict_proba([f"photos/{name}" for name in table["item"]])
    np.testing.assert_allclose(table[["prob_red", "prob_blue"]], expected, atol=1e-6)
    assert table["predicted"].tolist() == [["red", "blue"][k] for k in expected.argmax(1)]
    np.testing.assert_allclose(table["confidence"], expected.max(1), atol=1e-6)
    assert "photos.parquet" in capsys.readouterr().out


def test_one_image_and_top_k(place: Path) -> None:
    shutil.copy("photos/9.jpg", "one.jpg")
    assert go("hilmix predict runs/mine one.jpg -o one.csv --top-k 1") == 0
    lines = Path("one.csv").read_text().splitlines()
    assert len(lines) == 2, "one header and one row"
    assert lines[0] == "item,predicted,confidence,top_1,top_1_prob"
    row = pd.read_csv("one.csv").iloc[0]
    assert (row["item"], row["top_1"], row["top_1_prob"]) == ("one.jpg", row["predicted"], row["confidence"])


@pytest.mark.parametrize("form", ["list.txt", "list.csv", "list.parquet", "items"])
def test_lists(form: str, place: Path) -> None:
    paths = ["photos/10.png", "photos/deep/1.png"]
    table = pd.DataFrame({"item": ["b", "a"], "path": paths})
    given, names = form, ["b", "a"]
    if form == "list.txt":
        Path(form).write_text("\n".join(paths) + "\n\n")
        names = paths
    elif form == "list.parquet":
        table.to_parquet(form)
    elif form == "items":  # a data folder of which no one has labelled anything yet
        Path("new").mkdir()
        table.assign(path="../" + table["path"]).to_csv("new/items.csv", index=False)
        given = "new"
    else:
        table.to_csv(form, index=False)
    assert go(f"hilmix predict runs/mine {given} -o new.jsonl") == 0
    rows = [json.loads(line) for line in Path("new.jsonl").read_text().splitlines()]
    assert [row["item"] for row in rows] == names
    expected = hilmix.load("runs/mine").predict_proba(paths)
    np.testing.assert_allclose([[row["prob_red"], row["prob_blue"]] for row in rows], expected, atol=1e-6)


def test_an_output_is_replaced_only_on_request(place: Path, capsys) -> None:
    Path("new.csv").write_text("mine")
    assert "--overwrite" in refusal("hilmix predict runs/mine photos -o new.csv", capsys)
    assert Path("new.csv").read_text() == "mine"
    assert go("hilmix predict runs/mine photos -o new.csv --overwrite") == 0
    assert len(pd.read_csv("new.csv")) == 3


def test_ask_a_human_by_a_risk_target(place: Path, photo_run: Path, capsys) -> None:
    assert go("hilmix predict runs/mine photos -o photos.csv --risk 0.05") == 0
    table = pd.read_csv("photos.csv")
    # All 64 validation items are right, which certifies 4.6 %; so the least sure of them is the threshold.
    data = np.load(photo_run / "data" / "inputs.npy")[70:134]
    least = hilmix.load("runs/mine").predict_proba(data).max(1).min()
    assert table["ask_human"].tolist() == (table["confidence"] < least).tolist()
    message = refusal("hilmix predict runs/mine photos -o other.csv --risk 0.01", capsys)
    assert "299" in message  # (1 - 0.01)^299 < 0.05
    assert "64" in message


def test_without_new_items_the_runs_own_predictions_are_renewed(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert fit(data, run, "-c", "configs/method/mv.yaml") == 0
    assert not (run / "predictions.parquet").exists()
    assert main(["predict", str(run)]) == 0
    first = pd.read_parquet(run / "predictions.parquet")
    assert len(first) == 60
    assert main(["predict", str(run)]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(run / "predictions.parquet"), first)


@pytest.mark.parametrize("command", ["test", "validate", "predict"])
def test_a_run_folder_is_all_that_an_evaluation_takes(command: str, data: Path, tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    assert fit(data, run, "-c", "configs/method/crowd-layer.yaml") == 0
    capsys.readouterr()
    assert main([command, "--run_dir", str(run), *QUIET]) == 0
    assert "last" in capsys.readouterr().out


def test_a_data_folder_with_votes_gets_posteriors(data: Path, tmp_path: Path) -> None:
    run, new = tmp_path / "run", write_vectors(tmp_path / "new", seed=1, annotators=("c", "a", "stranger"))
    assert fit(data, run, "-c", "configs/method/hilmix-fast.yaml") == 0
    assert main(["predict", str(run), str(new), "-o", str(tmp_path / "new.parquet")]) == 0
    found = pd.read_parquet(tmp_path / "new.parquet")
    assert main(["predict", "--run_dir", str(run), "--data.root", str(new), *QUIET]) == 0
    (other,) = run.glob("on-*/predictions.parquet")
    expected = pd.read_parquet(other)
    assert found["item"].tolist() == expected["item"].tolist()
    raw = expected[[f"prob_{c}" for c in "xyz"]].to_numpy(np.float64)
    temperature = pd.read_csv(run / "calibration.csv").query("stage == 'after'")["temperature"].iloc[0]
    cooled = raw ** (1 / temperature)
    evidence = expected[[f"posterior_{c}" for c in "xyz"]].to_numpy(np.float64) / raw
    np.testing.assert_allclose(found[[f"prob_{c}" for c in "xyz"]], cooled / cooled.sum(1, keepdims=True), atol=1e-5)
    posterior = cooled * evidence / (cooled * evidence).sum(1, keepdims=True)
    np.testing.assert_allclose(found[[f"posterior_{c}" for c in "xyz"]], posterior, atol=1e-4)
    np.save(tmp_path / "new.npy", np.load(new / "inputs.npy"))
    assert main(["predict", str(run), str(tmp_path / "new.npy"), "-o", str(tmp_path / "array.csv")]) == 0
    bare = pd.read_csv(tmp_path / "array.csv")
    np.testing.assert_allclose(bare["prob_x"], found["prob_x"], atol=1e-6)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("hilmix predict runs/mine photos", "`-o`"),
        ("hilmix predict runs/mine photos -o new.xlsx", ".jsonl"),
        ("hilmix predict runs/mine nowhere -o new.csv", "'nowhere'"),
        ("hilmix predict runs/none photos -o new.csv", "runs/none"),
        ("hilmix predict runs/mine photos -o new.csv --top-k 0", "--top-k"),
        ("hilmix predict runs/mine photos -o new.csv --risk 1", "risk"),
        ("hilmix predict runs/mine photos -o new.csv --ckpt_path first", "first.ckpt"),
        ("hilmix predict runs/mine broken -o new.csv", "bad.png"),
        ("hilmix predict runs/mine empty -o new.csv", "no images"),
        ("hilmix predict runs/mine broken/list.csv -o new.csv", "'path'"),
        ("hilmix predict runs/mine broken/bad.npy -o new.csv", "bad.npy"),
        ("hilmix predict runs/mine -o new.csv", "-o"),
    ],
)
def test_refusals(line: str, part: str, place: Path, capsys) -> None:
    for folder in ("broken", "empty"):
        Path(folder).mkdir()
    Path("broken/bad.png").write_bytes(b"no picture")
    Path("broken/bad.npy").write_bytes(b"no array")
    Path("broken/list.csv").write_text("file\na.png\n")
    assert part in refusal(line, capsys)
    assert not Path("new.csv").exists()

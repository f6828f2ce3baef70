"""Evaluation uses the data of the run, keeps the split that it drew, and overwrites nothing of other data."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from hilmix.annotations import Annotations
from hilmix.cli import main
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, write_folder

pytestmark = pytest.mark.usefixtures("no_figures")

QUIET = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]


def write(
    folder: Path, *, seed: int = 0, name: str = "toy", target: bool = True, split: bool = True, n: int = 40
) -> Path:
    """Items of all folders bear the same names, as numbered files do."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    data = AnnotatedData(
        name=name,
        items=tuple(f"i{i}" for i in range(n)),
        inputs=ArrayInputs((rng.normal(size=(n, 3)) + truth[:, None]).astype(np.float32), "vector"),
        annotations=Annotations.build(
            np.repeat(np.arange(n), 2),
            np.tile([0, 1], n),
            rng.integers(2, size=2 * n),
            num_items=n,
            classes=["x", "y"],
            annotators=["a", "b"],
        ),
        target=truth if target else np.full(n, -1),
        split=np.array(["train"] * 20 + ["val"] * 8 + ["test"] * (n - 28)) if split else None,
    )
    return write_folder(data, folder)


def go(command: str, run: Path, *more: str | Path) -> int:
    epochs = ["--trainer.max_epochs", "1"] if command == "fit" else ["--ckpt_path", "best"]
    return main([str(a) for a in (command, "--run_dir", run, *QUIET, *epochs, *more)])


def predicted(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "predictions.parquet").set_index("item")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``trained(**settings)`` returns a folder with data in ``mine`` and a run on them; each is trained once."""

    @cache
    def train(**settings: bool) -> Path:
        place = tmp_path_factory.mktemp("trained")
        root = write(place / "mine", **settings)
        assert go("fit", place / "run", "--data.root", root, "--data.batch_size", "5") == 0
        return place

    return train


def copied(place: Path, folder: Path) -> tuple[Path, Path]:
    """Copies data and run to a folder, as if they had been made there; returns both."""
    shutil.copytree(place, folder, dirs_exist_ok=True)
    for file in [*(folder / "run").rglob("config.yaml"), folder / "run" / "data.json"]:
        file.write_text(file.read_text().replace(str(place), str(folder)))
    return folder / "mine", folder / "run"


@pytest.fixture
def run(trained: Callable[..., Path], tmp_path: Path) -> Path:
    return copied(trained(), tmp_path)[1]


def test_the_runs_own_data_are_the_default(run: Path, tmp_path: Path) -> None:
    for command in ("validate", "test", "predict"):
        assert go(command, run) == 0
    assert json.loads((run / "metrics.json").read_text())["evaluated"] == {
        "data": "toy",
        "split": "test",
        "items": 12,
        "items_with_truth": 12,
        "votes": 24,
    }
    own = predicted(run)
    assert len(own) == 40
    elsewhere = tmp_path / "elsewhere"
    assert (
        main(["predict", "--run_dir", str(elsewhere), *QUIET, "--ckpt_path", str(run / "checkpoints/best.ckpt")]) == 0
    )
    pd.testing.assert_frame_equal(predicted(elsewhere), own)
    shutil.copy(run / "checkpoints" / "best.ckpt", tmp_path / "alone.ckpt")
    alone = ["--run_dir", str(tmp_path / "third"), "--ckpt_path", str(tmp_path / "alone.ckpt")]
    assert main(["predict", *alone, *QUIET]) == 0
    pd.testing.assert_frame_equal(predicted(tmp_path / "third"), own)


def test_metrics_count_what_was_scored(run: Path) -> None:
    """Two batches of the five that a run of batch size 5 has."""
    assert go("test", run, "--trainer.limit_test_batches", "2") == 0
    evaluated = json.loads((run / "metrics.json").read_text())["evaluated"]
    assert {k: evaluated[k] for k in ("items", "items_with_truth", "votes")} == {
        "items": 10,
        "items_with_truth": 10,
        "votes": 20,
    }


@pytest.mark.parametrize("other", ["folder", "embedded"])
def test_other_data_are_a_choice_and_get_their_own_folder(other: str, run: Path, tmp_path: Path) -> None:
    """Even where items have the same names."""
    assert go("test", run) == 0
    assert go("predict", run) == 0
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    folders = [write(tmp_path / "theirs", seed=7), write(tmp_path / "third", seed=8, name="[b] / c")]
    if other == "embedded":
        folders = ["toy-bumps"]  # of other classes
        assert go("predict", run, "--data.root", "toy-bumps") == 2
    for root in folders if other == "folder" else []:
        for command in ("validate", "test", "predict"):
            assert go(command, run, "--data.root", root) == 0
    assert {p: p.read_bytes() for p in before} == before
    if other == "folder":
        found = sorted(p.parent for p in run.rglob("predictions.parquet") if p.parent != run)
        assert len(found) == 2
        theirs = AnnotatedDataModule(str(tmp_path / "theirs")).data.inputs.fetch(np.arange(40)).numpy()
        assert not np.allclose(theirs, AnnotatedDataModule(str(tmp_path / "mine")).data.inputs.fetch(np.arange(40)))
        for folder in found:
            assert not np.allclose(predicted(folder)["prob_x"], predicted(run)["prob_x"])
            assert (folder / "metrics.json").is_file()


def test_the_same_data_at_another_place_are_the_runs(run: Path, tmp_path: Path) -> None:
    shutil.move(tmp_path / "mine", tmp_path / "moved")
    assert go("predict", run, "--data.root", tmp_path / "moved") == 0
    assert (run / "predictions.parquet").is_file()


def test_the_same_data_with_shuffled_annotations_are_the_runs(run: Path, tmp_path: Path) -> None:
    """Recognised by the digest of this version; by that of older ones where the order is the same."""
    moved = shutil.move(tmp_path / "mine", tmp_path / "moved")

    def shuffle(seed: int) -> str:
        votes = pd.read_parquet(moved / "annotations.parquet").sample(frac=1, random_state=seed)
        votes.to_parquet(moved / "annotations.parquet", index=False)
        return AnnotatedDataModule(str(moved)).for_model.content_digest(ordered=True)

    older = shuffle(0)
    written = json.loads((run / "data.json").read_text())["content"]
    assert written != older
    for content, again, belongs in ((written, False, True), (older, False, True), (older, True, False)):
        if again:
            shuffle(1)
        (run / "data.json").write_text(json.dumps({"name": "toy", "root": "gone", "content": content}))
        assert go("predict", run, "--data.root", moved) == 0
        assert bool([*run.glob("on-*")]) != belongs


def test_a_relative_root_is_that_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluated from another folder, in which data of the same name lie."""
    write(tmp_path / "mine")
    write(tmp_path / "else" / "mine", seed=1)
    monkeypatch.chdir(tmp_path)
    assert go("fit", tmp_path / "run", "--data.root", "mine", "--data.batch_size", "5") == 0
    assert go("predict", tmp_path / "run") == 0
    before = predicted(tmp_path / "run")
    monkeypatch.chdir(tmp_path / "else")
    assert go("predict", tmp_path / "run") == 0
    assert go("test", tmp_path / "run") == 0
    pd.testing.assert_frame_equal(predicted(tmp_path / "run"), before)
    assert not [*(tmp_path / "run").glob("on-*")]
    assert go("predict", tmp_path / "run", "--data.root", "mine") == 0
    (other,) = (tmp_path / "run").glob("on-*")
    assert not predicted(other).equals(before), "a choice"
    shutil.move(tmp_path / "mine", tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    assert go("predict", tmp_path / "run") == 2
    assert go("predict", tmp_path / "run", "--data.root", "moved") == 0


@pytest.mark.parametrize(
    ("part", "setting", "value"), [("model", "lrr", 1), ("model", "lr", "fast"), ("data", "gone", 1)]
)
def test_a_changed_config_of_the_run(part: str, setting: str, value: object, run: Path, capsys) -> None:
    """By hand, or by a version with other settings."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    config[part]["init_args"][setting] = value
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert go("test", run) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert setting in line


@pytest.mark.parametrize("command", ["fit", "test"])
def test_a_data_folder_is_no_run_folder(command: str, run: Path, tmp_path: Path, capsys) -> None:
    mine = write(tmp_path / "both")
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    checkpoint = [] if command == "fit" else ["--ckpt_path", run / "checkpoints" / "last.ckpt"]
    assert go(command, mine, "--data.root", mine, *checkpoint) == 2
    assert str(mine) in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before


def test_a_folder_without_a_run_belongs_to_its_first_data(run: Path, tmp_path: Path) -> None:
    best = ["--ckpt_path", str(run / "checkpoints" / "best.ckpt")]
    for seed in (1, 2):
        root = write(tmp_path / f"other{seed}", seed=seed)
        assert go("predict", tmp_path / "out", *best, "--data.root", root) == 0
        if seed == 1:
            first = (tmp_path / "out" / "predictions.parquet").read_bytes()
    assert (tmp_path / "out" / "predictions.parquet").read_bytes() == first
    assert len(list((tmp_path / "out").rglob("predictions.parquet"))) == 2


def test_a_run_from_before_data_were_marked(run: Path, tmp_path: Path) -> None:
    (run / "data.json").unlink()
    assert go("predict", run, "--data.root", write(tmp_path / "theirs", seed=7)) == 0
    assert not (run / "predictions.parquet").exists()
    assert go("predict", run) == 0
    assert (run / "predictions.parquet").is_file()


# -- the split -------------------------------------------------------------------------------------------------------


def add_targets(root: Path, n: int = 40) -> None:
    items = pd.read_parquet(root / "items.parquet")
    items["target"] = np.where(np.arange(len(items)) % 2, "y", "x")
    items.to_parquet(root / "items.parquet", index=False)


@pytest.mark.parametrize("reordered", [False, True])
def test_targets_that_are_added_later_do_not_change_the_split(trained, tmp_path: Path, reordered: bool) -> None:
    root, run = copied(trained(target=False, split=False), tmp_path)
    kept = pd.read_csv(run / "split.csv").set_index("item")["split"]
    assert set(kept) == {"train", "val", "test"}
    add_targets(root)
    fresh = AnnotatedDataModule(str(root))
    assert fresh.split.tolist() != kept.tolist(), "else this test shows nothing"
    if reordered:
        items = pd.read_parquet(root / "items.parquet").iloc[::-1]
        items.to_parquet(root / "items.parquet", index=False)
    assert go("test", run) == 0
    assert "test/acc" in json.loads((run / "metrics.json").read_text())
    assert go("predict", run) == 0
    assert predicted(run)["split"].to_dict() == kept.to_dict()


def test_the_kept_split_can_be_written_into_the_folder(trained, tmp_path: Path) -> None:
    root, run = copied(trained(target=False, split=False), tmp_path)
    items = pd.read_parquet(root / "items.parquet").merge(pd.read_csv(run / "split.csv"), on="item")
    items.to_parquet(root / "items.parquet", index=False)
    assert go("test", run) == 0
    items["split"] = items["split"].replace({"test": "train", "train": "test"})
    items.to_parquet(root / "items.parquet", index=False)
    assert go("test", run) == 2, "items that were trained on are no test items"


def test_items_that_are_added_later_are_not_tested(trained, tmp_path: Path) -> None:
    """Nor do items that were trained on become test items."""
    root, run = copied(trained(split=False), tmp_path)
    kept = pd.read_csv(run / "split.csv").set_index("item")["split"]
    shutil.rmtree(root)
    write(root, split=False, n=60)
    assert go("test", run) == 0
    assert json.loads((run / "metrics.json").read_text())["evaluated"]["items"] == (kept == "test").sum()
    assert go("predict", run) == 0
    split = predicted(run)["split"]
    assert split[kept.index].to_dict() == kept.to_dict()
    assert set(split.drop(kept.index)) == {"unused"}


def test_another_split_on_purpose_is_refused_with_a_remedy_that_works(tmp_path: Path, capsys) -> None:
    root, run = write(tmp_path / "mine", split=False), tmp_path / "run"
    assert go("fit", run, "--data.root", root, "--data.split_seed", "3") == 0
    assert go("test", run, "--data.split_seed", "4") == 2
    assert "data.split_seed = 3" in capsys.readouterr().err
    assert go("test", run, "--data.split_seed", "3") == 0
    assert go("test", run) == 0


def test_a_checkpoint_from_before_splits_were_kept(trained, tmp_path: Path) -> None:
    _, run = copied(trained(split=False), tmp_path)
    best = run / "checkpoints" / "best.ckpt"
    content = torch.load(best, weights_only=True)
    del content["AnnotatedDataModule"]["drawn"]
    torch.save(content, best)
    assert go("test", run) == 0


def test_a_resume_from_another_folder_says_where_it_looked(tmp_path: Path, monkeypatch, capsys) -> None:
    write(tmp_path / "mine")
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    assert go("fit", run, "--data.root", "mine") == 0
    monkeypatch.chdir(tmp_path / "else")
    again = ["fit", "-c", str(run / "config.yaml"), "--run_dir", str(run), "--ckpt_path", "last"]
    again += ["--trainer.max_epochs", "2", "--trainer.enable_progress_bar", "false"]
    assert main(again) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert f"'mine', which was looked for in '{tmp_path / 'else'}'" in error
    assert "data.root" in error
    assert main([*again, "--data.root", str(tmp_path / "mine")]) == 0, "the remedy"


def test_a_given_split_is_not_written_again(run: Path) -> None:
    assert not (run / "split.csv").exists()
    assert yaml.safe_load((run / "data.json").read_text())["name"] == "toy"


# -- fewer classes than the model ------------------------------------------------------------------------------------


def without(root: Path, to: Path, *classes: str) -> Path:
    """A copy in which only some classes are known; neither is the list of classes, where there is none."""
    shutil.copytree(root, to)
    meta = yaml.safe_load((to / "dataset.yaml").read_text())
    meta.pop("classes")
    (to / "dataset.yaml").write_text(yaml.safe_dump({**meta, **({"classes": list(classes)} if classes else {})}))
    items = pd.read_parquet(to / "items.parquet")
    items["target"] = items["target"].where(items["target"].isin(classes), None)
    items.drop(columns=[] if classes else ["target"]).to_parquet(to / "items.parquet", index=False)
    votes = pd.read_parquet(to / "annotations.parquet")
    votes[votes["label"].isin(classes)].to_parquet(to / "annotations.parquet", index=False)
    return to


@pytest.mark.parametrize("classes", [(), ("y",)])
def test_a_folder_with_fewer_classes_uses_the_models(classes: tuple[str, ...], run: Path, tmp_path: Path) -> None:
    assert go("predict", run) == 0
    fewer = without(tmp_path / "mine", tmp_path / "fewer", *classes)
    assert go("predict", run, "--data.root", fewer) == 0
    assert go("test", run, "--data.root", fewer) == 0
    (folder,) = run.glob("on-*")
    columns = [c for c in predicted(folder).columns if c.startswith("prob_")]
    assert columns == ["prob_x", "prob_y"]
    pd.testing.assert_frame_equal(predicted(folder)[columns], predicted(run)[columns])


def test_a_model_of_groups_scores_data_without_groups(tmp_path: Path) -> None:
    root, run = write(tmp_path / "mine"), tmp_path / "run"
    items = pd.read_parquet(root / "items.parquet")
    items.assign(group=["g", "h"] * 20).to_parquet(root / "items.parquet", index=False)
    settings = ["-c", "configs/explanation/group-dro.yaml", "--best_metric", "val/loss", "--data.root", root]
    assert go("fit", run, *settings) == 0
    items.to_parquet(root / "items.parquet", index=False)
    assert go("test", run) == 0

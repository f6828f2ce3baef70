"""``hilmix crossfit``: one run of all folds, its table, its metrics, and what the other commands make of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from hilmix.cli import main
from hilmix.data import read_folder
from tests.helpers import QUICK, config, parameters

pytestmark = pytest.mark.usefixtures("no_figures")

METHOD = "configs/method/trace-reg.yaml"
MORE = ["--model.lr", "0.05", "--trainer.max_epochs", "3", "--data.batch_size", "8"]
MORE += ["--model.schedule", "constant"]  # another schedule spans the epochs that a start was given


def crossfit(data: Path, run: Path, *more: str) -> int:
    given = ["crossfit", "-c", METHOD, "--data.root", data, "--run_dir", run, *QUICK, *MORE, *more]
    return main([str(a) for a in given])


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run") / "crossfit"
    assert crossfit(data, run, "--folds", "3") == 0
    return run


def test_the_table_has_every_item_with_its_fold_and_what_did_not_see_it(data: Path, run: Path) -> None:
    table, given = pd.read_parquet(run / "out_of_fold.parquet"), read_folder(data)
    assert table["item"].tolist() == list(given.items)
    training = given.split == "train"
    assert (table["predictions"] == np.where(training, "out-of-fold", "held-out")).all()
    assert sorted(np.bincount(table["fold"][training])) == [10, 10, 10]
    assert (table["fold"][~training] == -1).all()
    probs = table[[f"prob_{name}" for name in given.classes]].to_numpy()
    posterior = table[[f"posterior_{name}" for name in given.classes]].to_numpy()
    assert probs.sum(1) == pytest.approx(1)
    assert posterior.sum(1) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(probs[training], posterior[training])


def test_there_is_one_metrics_file_at_the_root_and_test_adds_to_it(data: Path, run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run, tmp_path / "run")
    assert [path.relative_to(run) for path in run.rglob("metrics.json")] == [Path("metrics.json")]
    found = json.loads((run / "metrics.json").read_text())
    table, given = pd.read_parquet(run / "out_of_fold.parquet"), read_folder(data)
    training = given.split == "train"
    predicted = table[[f"prob_{name}" for name in given.classes]].to_numpy().argmax(1)
    assert found["out_of_fold/acc"] == pytest.approx((predicted == given.target)[training].mean())
    votes = given.annotations
    counted = training[votes.item]
    agreement = (predicted[votes.item] == votes.label)[counted].mean()
    assert found["out_of_fold/agreement"] == pytest.approx(agreement)
    assert found["out_of_fold"]["folds"] == 3
    assert main(["test", "--run_dir", str(run), "--ckpt_path", "last", *QUICK[2:4]]) == 0
    tested = json.loads((run / "metrics.json").read_text())
    assert {name: tested[name] for name in found} == found
    held = given.split == "test"
    assert tested["test/acc"] == pytest.approx((predicted == given.target)[held].mean())


def test_reports_are_out_of_fold_and_say_so(run: Path) -> None:
    for name in ("label_errors", "label_errors_items", "annotators", "confusion"):
        assert set(pd.read_parquet(run / f"{name}.parquet")["predictions"]) == {"out-of-fold"}, name
    assert set(pd.read_csv(run / "label_errors_detection.csv")["predictions"]) == {"out-of-fold"}
    table, labels = pd.read_parquet(run / "out_of_fold.parquet"), pd.read_parquet(run / "label_errors.parquet")
    by_item = table.set_index("item")
    for row in labels.to_dict("records"):
        assert row["self_confidence"] == pytest.approx(by_item.loc[row["item"], f"prob_{row['label']}"], abs=1e-6)
    logged = pd.concat([pd.read_csv(path) for path in run.rglob("csv/version_*/metrics.csv")])
    assert "out_of_fold/label_errors_ap" in logged
    assert "train/label_errors_ap" not in logged


def test_predict_gives_the_same_table_from_the_checkpoint(run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run, tmp_path / "run")
    assert main(["predict", "--run_dir", str(run), "--ckpt_path", "last", *QUICK[2:4]]) == 0
    again, table = pd.read_parquet(run / "predictions.parquet"), pd.read_parquet(run / "out_of_fold.parquet")
    assert again["fold"].equals(table["fold"])
    assert again["predictions"].astype(str).equals(table["predictions"].astype(str))
    names = [name for name in table if name.startswith("prob_")]
    np.testing.assert_allclose(again[names], table[names], atol=1e-6)


def test_a_run_goes_on_and_ends_as_the_uninterrupted_one(data: Path, run: Path, tmp_path: Path) -> None:
    ended = shutil.copytree(run, tmp_path / "run")
    (ended / "out_of_fold.parquet").unlink()  # as of a run that was killed before its reports
    assert crossfit(data, ended, "--folds", "3", "--ckpt_path", "last") == 0
    pd.testing.assert_frame_equal(*(pd.read_parquet(one / "out_of_fold.parquet") for one in (ended, run)))
    parts = tmp_path / "parts"
    assert crossfit(data, parts, "--folds", "3", "--trainer.max_epochs", "1") == 0
    assert crossfit(data, parts, "--folds", "3", "--ckpt_path", "last") == 0
    resumed = parameters(parts)
    assert all(torch.equal(resumed[name], value) for name, value in parameters(run).items())


def test_what_it_refuses(data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fresh = tmp_path / "fresh"
    for folds, message in (("1", "`folds` must be >= 2, got 1"), ("31", "`folds` must be in [2, 30]")):
        assert crossfit(data, fresh, "--folds", folds) == 2
        assert message in capsys.readouterr().err
    assert not fresh.exists() or not [*fresh.rglob("*.ckpt")]
    assert crossfit(data, run, "--folds", "3") == 2
    assert "already holds a run" in capsys.readouterr().err
    assert crossfit(data, run, "--folds", "2", "--ckpt_path", "last") == 2
    assert "folds" in capsys.readouterr().err
    given = ["fit", "-c", METHOD, "--data.root", data, "--run_dir", run, *QUICK, *MORE, "--ckpt_path", "last"]
    assert main([str(a) for a in given]) == 2
    assert "hilmix crossfit" in capsys.readouterr().err


def test_the_saved_config_starts_the_same_run(run: Path) -> None:
    assert config(run)["folds"] == 3
    assert config(run)["model"]["class_path"] == "hilmix.modules.Classifier"


def test_help_says_what_it_writes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["crossfit", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for word in ("--folds", "out_of_fold.parquet", "--model", "--ckpt_path"):
        assert word in shown
    assert main(["--help"]) == 0
    assert "crossfit" in capsys.readouterr().out


def test_settings_of_an_evaluation_are_compared_with_those_of_the_networks(run: Path, tmp_path: Path, capsys) -> None:
    run = shutil.copytree(run, tmp_path / "run")
    args = ["validate", "--run_dir", str(run), "--ckpt_path", "last", *QUICK]
    assert main([*args, "-c", METHOD]) == 0
    for more in (["--model.lr", "0.7"], ["-c", "configs/method/mv.yaml"], ["-c", "configs/method/hilmix.yaml"]):
        capsys.readouterr()
        assert main([*args, *more]) == 2
        assert "last.ckpt was trained with other settings" in capsys.readouterr().err

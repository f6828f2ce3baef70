"""Reports of ``fit`` describe the weights in ``last.ckpt``, are complete after any resume, and name their weights."""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml

from hilmix.cli import main
from hilmix.data import AnnotatedDataModule
from hilmix.modules import Classifier
from tests.helpers import QUIET, fit

pytestmark = pytest.mark.usefixtures("no_figures")

FIRST_IS_BEST = ["--best_metric", "epoch", "--best_mode", "min"]
REPORTS = ("calibration.csv", "label_errors.parquet", "annotators.csv", "report.html")
AVERAGING: dict[str, dict[str, Any]] = {
    "EMAWeightAveraging": {"decay": 0.9},
    "StochasticWeightAveraging": {"swa_lrs": 0.05, "swa_epoch_start": 2, "annealing_epochs": 1},
}


def averaging(name: str, folder: Path, *, first: bool = False) -> Path:
    """A config with a callback that averages weights, before or behind hilmix's own."""
    part = {"class_path": f"lightning.pytorch.callbacks.{name}", "init_args": AVERAGING[name]}
    base = yaml.safe_load(Path("configs/base.yaml").read_text())["trainer"]["callbacks"]
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"trainer": {"callbacks": [part, *base] if first else [*base, part]}}))
    return path


def nll_of(checkpoint: Path, data: Path) -> float:
    """Of the true classes of the validation items, computed without trainer, metrics and reports."""
    model = Classifier.load_from_checkpoint(checkpoint).eval()
    module = AnnotatedDataModule(str(data))
    rows = module.rows("val")
    with torch.no_grad():
        log_probs = model(module.data.inputs.fetch(rows)).log_softmax(-1).double()
    return -float(log_probs[torch.arange(len(rows)), torch.from_numpy(module.data.target[rows])].mean())


def reported(run: Path, split: str = "val") -> pd.Series:
    table = pd.read_csv(run / "calibration.csv")
    return table[(table["split"] == split) & (table["what"] == "class") & (table["stage"] == "before")].iloc[0]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("name", AVERAGING)
def test_reports_describe_averaged_weights(name: str, first: bool, data: Path, tmp_path: Path) -> None:
    file, run = averaging(name, tmp_path, first=first), tmp_path / "run"
    settings = ["-c", file, "--trainer.max_epochs", "4", "--data.batch_size", "10", "--model.lr", "0.05"]
    settings += ["--model.backbone", "MLP"]  # without batch norm, whose statistics SWA measures in an epoch of its own
    assert fit(data, run, *settings) == 0
    last = run / "checkpoints" / "last.ckpt"
    assert reported(run)["nll"] == pytest.approx(nll_of(last, data), rel=1e-5)
    saved = torch.load(last, weights_only=True)
    assert (saved["epoch"], saved["global_step"]) == (3, 12)
    if name == "StochasticWeightAveraging":
        average = saved["callbacks"][name]["average_model_state"]
        assert torch.equal(saved["state_dict"]["head.weight"], average["head.weight"])
    else:
        assert not torch.equal(saved["state_dict"]["head.weight"], saved["current_model_state"]["head.weight"])
    before = {path: (run / path).read_bytes() for path in REPORTS[:2]}
    for path in REPORTS:
        (run / path).unlink()
    assert fit(data, run, *settings, "--ckpt_path", "last") == 0
    assert {path: (run / path).read_bytes() for path in before} == before
    assert all((run / path).is_file() for path in REPORTS)


def test_swa_with_batch_norm_names_the_epoch_and_step_that_trained(tmp_path: Path) -> None:
    """Lightning counts the pass that measures the statistics of the average as an epoch, and a step at its end."""
    run, name = tmp_path / "run", "StochasticWeightAveraging"
    backbone = ["--model.backbone", "TimmBackbone", "--model.backbone.name", "test_resnet"]
    settings = ["-c", averaging(name, tmp_path), "--trainer.max_epochs", "3", "--trainer.limit_train_batches", "2"]
    settings += [*backbone, "--data.batch_size", "100"]
    expected = {"checkpoint": "last", "epoch": 2, "step": 6}
    assert fit("digits-class", run, *settings) == 0
    assert dict(reported(run)[[*expected]]) == expected
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert (saved["epoch"], saved["global_step"]) == (3, 7)
    average = saved["callbacks"][name]["average_model_state"]
    assert torch.equal(saved["state_dict"]["head.weight"], average["head.weight"])
    (run / "calibration.csv").unlink()
    assert fit("digits-class", run, *settings, "--ckpt_path", "last") == 0
    assert dict(reported(run)[[*expected]]) == expected
    assert main(["test", "--run_dir", str(run), *QUIET, "--ckpt_path", "last"]) == 0
    assert json.loads((run / "metrics.json").read_text())["weights"] == expected
    assert dict(reported(run, "test")[[*expected]]) == expected


def test_a_run_killed_before_its_reports_is_complete_after_resume(data: Path, tmp_path: Path) -> None:
    assert fit(data, tmp_path, "--trainer.max_epochs", "2", *FIRST_IS_BEST) == 0
    before = (tmp_path / "calibration.csv").read_bytes()
    for path in REPORTS:
        (tmp_path / path).unlink()
    assert fit(data, tmp_path, "--trainer.max_epochs", "2", *FIRST_IS_BEST, "--ckpt_path", "last") == 0
    assert (tmp_path / "calibration.csv").read_bytes() == before
    assert all((tmp_path / path).is_file() for path in REPORTS)
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 1


def test_every_number_names_its_weights(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(data, tmp_path, "--trainer.max_epochs", "3", "--data.batch_size", "10", *FIRST_IS_BEST) == 0
    last, best = "last, epoch 2, step 9", "best, epoch 0, step 3"
    shown = capsys.readouterr().out
    assert best not in shown
    for line in ("Result", "ECE at temperature", "Most suspicious labels", "Least reliable annotators"):
        assert re.search(rf"{line}.*{last}", shown), line
    test = ["test", "--data.root", str(data), "--run_dir", str(tmp_path), *QUIET, "--ckpt_path"]
    for given in ("best", str(tmp_path / "checkpoints" / "best.ckpt")):
        assert main([*test, given]) == 0
        weights = json.loads((tmp_path / "metrics.json").read_text())["weights"]
        assert weights == {"checkpoint": "best", "epoch": 0, "step": 3}
    shown = capsys.readouterr().out
    assert re.search(rf"15 test items.*{best}", shown)
    for line in ("Most suspicious labels", "Least reliable annotators"):
        assert re.search(rf"{line}.*{last}", shown), line
    for split, expected in (("val", ("last", 2, 9)), ("test", ("best", 0, 3))):
        row = reported(tmp_path, split)
        assert (row["checkpoint"], row["epoch"], row["step"]) == expected
        name = "best" if split == "test" else "last"
        if split == "val":
            assert row["nll"] == pytest.approx(nll_of(tmp_path / "checkpoints" / f"{name}.ckpt", data), rel=1e-5)
    page = (tmp_path / "report.html").read_text()
    for section, expected in (
        ("Result on", best),
        ("Temperature fitted", best),
        ("in-sample", last),
        ("The least", last),
    ):
        assert re.search(rf"{section}[^<]*{expected}", page), section

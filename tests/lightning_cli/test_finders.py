"""Lightning's finders end with a config, a checkpoint and a log that agree, and the run uses what they found."""

import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from tests.callbacks.test_last_checkpoint import saved
from tests.helpers import config, fit

pytestmark = pytest.mark.usefixtures("no_figures")

FINDERS = {
    "LearningRateFinder": {"num_training_steps": 40, "min_lr": 1e-4},
    "BatchSizeFinder": {"mode": "power", "max_trials": 2, "steps_per_trial": 2, "init_val": 4},
}


def finder(name: str, folder: Path) -> Path:
    path = folder / f"{name}.yaml"
    part = {"class_path": f"lightning.pytorch.callbacks.{name}", "init_args": FINDERS[name]}
    path.write_text(yaml.safe_dump({"trainer": {"callbacks+": [part]}}))
    return path


def rates(run: Path, version: int = 0) -> pd.Series:
    table = pd.read_csv(run / "csv" / f"version_{version}" / "metrics.csv")
    return table.set_index("step")["train/lr"].dropna()


@pytest.mark.parametrize("scaling", ["none", "fan-in"])
def test_a_found_learning_rate(scaling: str, data: Path, tmp_path: Path) -> None:
    """The schedule is half a cosine from the found rate, 15 steps long; the first logged rate is that of step 0."""
    run, file = tmp_path / "run", finder("LearningRateFinder", tmp_path)
    more = ["-c", file, "--trainer.max_epochs", "3", "--data.batch_size", "6", "--model.lr_scaling", scaling]
    assert fit(data, run, *more) == 0
    found = saved(run)["hyper_parameters"]["lr"]
    assert found != 1e-3
    assert config(run)["model"]["init_args"]["lr"] == found
    assert yaml.safe_load((run / "csv" / "version_0" / "config.yaml").read_text())["model"]["init_args"]["lr"] == found
    logged = rates(run)
    assert logged[0] == pytest.approx(found)
    for step, rate in logged.items():
        assert rate == pytest.approx(found * 0.5 * (1 + math.cos(math.pi * int(str(step)) / 15)), rel=1e-6)
    groups = saved(run)["optimizer_states"][0]["param_groups"]
    assert max(group["initial_lr"] for group in groups) == pytest.approx(found)


def test_a_found_batch_size(data: Path, tmp_path: Path) -> None:
    """30 training items: 4 batches of 8 an epoch."""
    run, file = tmp_path / "run", finder("BatchSizeFinder", tmp_path)
    assert fit(data, run, "-c", file, "--trainer.max_epochs", "3", "--data.batch_size", "6") == 0
    assert saved(run)["datamodule_hyper_parameters"]["batch_size"] == 8
    assert config(run)["data"]["init_args"]["batch_size"] == 8
    assert saved(run)["global_step"] == 3 * 4


@pytest.mark.parametrize("name", FINDERS)
def test_a_resumed_run_keeps_what_was_found(name: str, data: Path, tmp_path: Path) -> None:
    run, file = tmp_path / "run", finder(name, tmp_path)
    more = ["--data.batch_size", "6", "--model.schedule", "constant"]
    assert fit(data, run, "-c", file, *more) == 0
    before = {key: saved(run)[key] for key in ("hyper_parameters", "datamodule_hyper_parameters")}
    own = shutil.copytree(run, tmp_path / "own")
    for resumed, again in ((run, ["-c", file, *more]), (own, ["-c", own / "config.yaml", "--run_dir", own])):
        assert fit(data, resumed, *again, "--trainer.max_epochs", "2", "--ckpt_path", "last") == 0
        assert {key: saved(resumed)[key] for key in before} == before
        assert saved(resumed)["epoch"] == 1
        assert config(resumed)["model"]["init_args"]["lr"] == before["hyper_parameters"]["lr"]
        batch_size = config(resumed)["data"]["init_args"]["batch_size"]
        assert batch_size == before["datamodule_hyper_parameters"]["batch_size"]
        rate = saved(resumed)["optimizer_states"][0]["param_groups"][0]["lr"]
        assert torch.tensor(rate) == pytest.approx(before["hyper_parameters"]["lr"])

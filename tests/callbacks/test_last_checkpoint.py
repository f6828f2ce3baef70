"""``last.ckpt`` is the last finished epoch, whatever the best one is, and whenever a run is killed."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from hilmix.cli import main
from tests.helpers import config, fit, parameters

pytestmark = pytest.mark.usefixtures("no_figures")

FIRST_IS_BEST = ["--best_metric", "epoch", "--best_mode", "min"]


def saved(run: Path, name: str = "last.ckpt") -> dict:
    return torch.load(run / "checkpoints" / name, weights_only=True)


def logged_epoch(run: Path) -> int:
    """The last epoch of which the metrics files hold a row; -1 if there is none."""
    files = [pd.read_csv(path) for path in run.glob("csv/version_*/metrics.csv")]
    return max((int(table["epoch"].max()) for table in files if "epoch" in table), default=-1)


def test_last_is_the_last_epoch_and_best_the_best(data: Path, tmp_path: Path) -> None:
    assert fit(data, tmp_path, "--trainer.max_epochs", "4", *FIRST_IS_BEST) == 0
    last, best, before = saved(tmp_path), saved(tmp_path, "best.ckpt"), saved(tmp_path, "last.previous.ckpt")
    steps = last["global_step"] // 4
    assert (last["epoch"], last["global_step"]) == (3, 4 * steps)
    assert (before["epoch"], before["global_step"]) == (2, 3 * steps)
    assert (best["epoch"], best["global_step"]) == (0, steps)
    for path in (tmp_path / "checkpoints").iterdir():
        assert path.is_file()
        assert not path.is_symlink()
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "best.ckpt",
        "last.ckpt",
        "last.previous.ckpt",
    ]


@pytest.mark.parametrize(
    "validation",
    [
        ["--trainer.limit_val_batches", "0", "--best_metric", "train/loss"],
        ["--trainer.check_val_every_n_epoch", "3"],
        ["--trainer.val_check_interval", "0.5", "--data.batch_size", "5"],
    ],
)
def test_last_under_any_validation(validation: list[str], data: Path, tmp_path: Path) -> None:
    assert fit(data, tmp_path, "--trainer.max_epochs", "4", *FIRST_IS_BEST, *validation) == 0
    assert saved(tmp_path)["epoch"] == 3


def test_last_of_a_run_stopped_early(data: Path, tmp_path: Path) -> None:
    stop = {
        "class_path": "lightning.pytorch.callbacks.EarlyStopping",
        "init_args": {"monitor": "val/loss", "min_delta": 1000.0, "patience": 2},
    }
    assert (
        fit(
            data,
            tmp_path,
            "--trainer.max_epochs",
            "9",
            *FIRST_IS_BEST,
            "--trainer.callbacks+",
            yaml.safe_dump(stop, default_flow_style=True),
        )
        == 0
    )
    assert saved(tmp_path)["epoch"] == 2


def test_every_n_train_steps(data: Path, tmp_path: Path) -> None:
    """10 steps an epoch; the run ends in the middle of the second one."""
    file = tmp_path / "config.yaml"
    base = yaml.safe_load(Path("configs/base.yaml").read_text())
    for part in base["trainer"]["callbacks"]:
        if part["class_path"].endswith("LastCheckpoint"):
            part["init_args"] = {"every_n_train_steps": 4}
    file.write_text(yaml.safe_dump({"trainer": {"callbacks": base["trainer"]["callbacks"]}}))
    seen: list[tuple[int, int]] = []
    real = torch.save

    def spy(checkpoint: dict, *args: object) -> None:
        if "epoch" in checkpoint:
            seen.append((checkpoint["epoch"], checkpoint["global_step"]))
        real(checkpoint, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", spy)
        assert fit(data, tmp_path / "run", "-c", file, "--trainer.max_epochs", "2", "--data.batch_size", "3") == 0
    assert {step for _, step in seen} == {4, 8, 10, 12, 16, 20}
    assert saved(tmp_path / "run")["global_step"] == 20


def test_every_n_train_steps_with_accumulated_gradients(data: Path, tmp_path: Path) -> None:
    """15 batches an epoch, 4 for a step: nothing is saved between two steps, in a resumed run neither."""
    part = {"class_path": "hilmix.callbacks.LastCheckpoint", "init_args": {"every_n_train_steps": 1}}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"trainer": {"callbacks": [part], "accumulate_grad_batches": 4}}))
    seen: list[int] = []
    real = torch.save

    def spy(checkpoint: dict, *args: object) -> None:
        if "loops" in checkpoint:
            seen.append(checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["processed"])
        real(checkpoint, *args)

    settings = ["-c", file, "--data.batch_size", "2", "--model.schedule", "constant"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", spy)
        assert fit(data, tmp_path / "run", *settings, "--trainer.max_steps", "6") == 0
        assert fit(data, tmp_path / "run", *settings, "--trainer.max_epochs", "3", "--ckpt_path", "last") == 0
    assert set(seen) == {4, 8, 12, 15}


@pytest.mark.parametrize("every", [None, 4])
def test_an_old_config_with_save_last(every: int | None, data: Path, tmp_path: Path) -> None:
    """The config that every run before this version has saved."""
    assert fit(data, tmp_path / "new", *FIRST_IS_BEST) == 0
    old = config(tmp_path / "new")
    callbacks = [c for c in old["trainer"]["callbacks"] if not c["class_path"].endswith(".LastCheckpoint")]
    callbacks[0]["init_args"] |= {"save_last": True, "every_n_train_steps": every}
    file = tmp_path / "old.yaml"
    file.write_text(yaml.safe_dump(old | {"trainer": {**old["trainer"], "callbacks": callbacks, "max_epochs": 5}}))
    assert main(["fit", "-c", str(file), "--run_dir", str(tmp_path / "run"), "--data.batch_size", "5"]) == 0
    assert saved(tmp_path / "run")["epoch"] == 4
    assert saved(tmp_path / "run")["global_step"] == 30


def train(data: Path, run: Path, epochs: int, more: list[str]) -> None:
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    os._exit(fit(data, run, "--trainer.max_epochs", str(epochs), *FIRST_IS_BEST, *more))


def kill_at_random(data: Path, run: Path, *, seed: int, kills: int, epochs: int = 400) -> None:
    """Kills a run and its continuations; each time ``last`` must be whole and at most an epoch behind the metrics."""
    random.seed(seed)
    last = run / "checkpoints" / "last.ckpt"
    reached = -1
    for _ in range(kills):
        more = ["--ckpt_path", "last"] if last.exists() else []
        if not more:
            shutil.rmtree(run, ignore_errors=True)
        process = multiprocessing.get_context("fork").Process(target=train, args=(data, run, epochs, more))
        process.start()
        start = last.stat().st_mtime_ns if more else 0
        while process.is_alive() and not (last.exists() and last.stat().st_mtime_ns > start):
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.6))
        assert process.is_alive(), "the run was over before it could be killed"
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        epoch = saved(run)["epoch"]
        assert logged_epoch(run) - 1 <= epoch <= logged_epoch(run)
        assert epoch > reached
        assert saved(run, "best.ckpt")["epoch"] == 0
        reached = epoch


def test_killed_at_random_moments(data: Path, tmp_path: Path) -> None:
    kill_at_random(data, tmp_path / "run", seed=0, kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_killed_at_many_random_moments(seed: int, data: Path, tmp_path: Path) -> None:
    kill_at_random(data, tmp_path / "run", seed=seed, kills=10, epochs=4000)


def test_killed_and_resumed_equals_an_uninterrupted_run(data: Path, tmp_path: Path) -> None:
    """``last`` behind a best epoch long past continues exactly."""
    constant = ["--model.schedule", "constant"]
    assert fit(data, tmp_path / "straight", "--trainer.max_epochs", "6", *FIRST_IS_BEST, *constant) == 0
    assert fit(data, tmp_path / "run", "--trainer.max_epochs", "4", *FIRST_IS_BEST, *constant) == 0
    resumed = ["--trainer.max_epochs", "6", "--ckpt_path", "last", *FIRST_IS_BEST, *constant]
    assert fit(data, tmp_path / "run", *resumed) == 0
    assert logged_epoch(tmp_path / "run") == 5
    for name, value in parameters(tmp_path / "straight").items():
        assert torch.equal(parameters(tmp_path / "run")[name], value), name

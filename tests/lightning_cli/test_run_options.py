"""``--optimizer`` and ``--lr_scheduler``: the model's settings in Lightning's words."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.helpers import fit
from tests.lightning_cli.test_stopped_runs import EPOCHS, stopped

CYCLE = ["--lr_scheduler", "OneCycleLR", "--lr_scheduler.max_lr", "0.4"]
ADAMW = ["--optimizer", "AdamW", "--optimizer.lr", "0.02", "--optimizer.betas", "[0.8, 0.9]"]


def settings(run: Path) -> dict[str, Any]:
    return yaml.safe_load((run / "config.yaml").read_text())


def saved(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def test_groups_become_settings_of_the_model(data, tmp_path):
    assert fit(data, tmp_path, *ADAMW, *CYCLE) == 0
    found = settings(tmp_path)
    assert {"optimizer", "lr_scheduler"} & set(found) == set()
    given = found["model"]["init_args"]
    assert (given["optimizer"], given["lr"], given["weight_decay"]) == ("AdamW", 0.02, 0.01)
    assert given["optimizer_kwargs"]["betas"] == [0.8, 0.9]
    assert (given["lr_scheduler"], given["lr_scheduler_kwargs"]["max_lr"]) == ("OneCycleLR", 0.4)
    checkpoint = saved(tmp_path)
    rates = checkpoint["lr_schedulers"][0]
    assert rates["total_steps"] == checkpoint["global_step"]
    groups = checkpoint["optimizer_states"][0]["param_groups"]
    assert {tuple(group["betas"])[1] for group in groups} == {0.9}  # the cycle moves the first
    assert [group["max_lr"] for group in groups] == [0.4] * len(groups)


def test_the_groups_of_a_config_file(data, tmp_path):
    given = {"optimizer": {"class_path": "SGD", "init_args": {"lr": 0.5, "momentum": 0.9}}}
    (tmp_path / "sgd.yaml").write_text(yaml.safe_dump(given | {"model": {"init_args": {"lr": 0.1}}}))
    assert fit(data, tmp_path / "run", "-c", tmp_path / "sgd.yaml") == 0
    found = settings(tmp_path / "run")["model"]["init_args"]
    assert (found["optimizer"], found["lr"], found["optimizer_kwargs"]["momentum"]) == ("SGD", 0.5, 0.9)
    assert (found["schedule"], found["lr_scheduler"]) == ("cosine", None)


def test_a_resumed_cycle_equals_an_uninterrupted_one(data, tmp_path):
    cycle = {"lr_scheduler": "OneCycleLR", "lr_scheduler_kwargs": {"max_lr": 0.4}}
    (tmp_path / "cycle.yaml").write_text(yaml.safe_dump({"model": {"init_args": cycle}}))
    more = ("-c", str(tmp_path / "cycle.yaml"), *EPOCHS)
    assert fit(data, tmp_path / "straight", *more) == 0
    assert stopped(data, tmp_path / "run", signal.SIGTERM, more=more) == 143
    assert saved(tmp_path / "run")["global_step"] < saved(tmp_path / "straight")["global_step"]
    assert fit(data, tmp_path / "run", *more, "--ckpt_path", "last") == 0
    assert saved(tmp_path / "straight")["lr_schedulers"] == saved(tmp_path / "run")["lr_schedulers"]
    for name, value in saved(tmp_path / "straight")["state_dict"].items():
        assert torch.equal(saved(tmp_path / "run")["state_dict"][name], value), name


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([*ADAMW, "--model.lr", "0.1"], ["optimizer", "model.lr"]),
        ([*ADAMW, "--model.init_args.weight_decay", "0.1"], ["optimizer", "model.weight_decay"]),
        ([*CYCLE, "--model.schedule", "constant"], ["lr_scheduler", "model.schedule"]),
        (["--optimizer", "Adamm"], ["optimizer", "Adamm"]),
        (["--lr_scheduler", "OneCycleLR", "--lr_scheduler.max", "1"], ["lr_scheduler", "max"]),
        (["--lr_scheduler", "OneCycleLR"], ["lr_scheduler", "max_lr"]),
    ],
)
def test_refusals(options, names, data, tmp_path, capsys):
    assert fit(data, tmp_path / "run", *options) == 2
    error = capsys.readouterr().err
    assert [name for name in names if name not in error] == []
    assert not (tmp_path / "run").exists()

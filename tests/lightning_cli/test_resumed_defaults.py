"""A run of an older version goes on, whatever hilmix chooses by default today."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import Namespace

from hilmix.cli import main
from hilmix.lightning_cli.resumed_settings import completed, reuse_defaults
from tests.helpers import QUIET

pytestmark = pytest.mark.usefixtures("no_figures")

OLD = {"class_path": "hilmix.backbones.MLP", "init_args": {"hidden": [8], "dropout": 0.0}}


def settings(path: str | None, **init_args: Any) -> Namespace:
    return Namespace(ckpt_path=path, model=Namespace(init_args=Namespace(**init_args)))


@pytest.fixture
def old(tmp_path: Path) -> str:
    path = tmp_path / "old.ckpt"
    torch.save(
        {"state_dict": {}, "hyper_parameters": {"backbone": OLD, "lr": 0.001, "lr_scaling": "none", "warmup": 0.2}},
        path,
    )
    return str(path)


def test_what_a_config_leaves_to_the_default_is_that_of_the_checkpoint(old: str) -> None:
    found = settings(old, backbone=None, lr=None, lr_scaling=None, warmup=None)
    reuse_defaults(found)
    assert found.model.init_args.as_dict() == {"backbone": OLD, "lr": 0.001, "lr_scaling": "none", "warmup": None}


def test_what_a_config_gives_stays(old: str) -> None:
    for path in (old, None):
        found = settings(path, backbone="mine", lr=0.5, lr_scaling="fan-in" if path else None)
        reuse_defaults(found)
        assert found.model.init_args.lr == 0.5
        assert found.model.init_args.backbone == "mine"
        assert found.model.init_args.lr_scaling == ("fan-in" if path else None)


def test_an_argument_that_is_new_counts_as_its_default() -> None:
    now = {"class_path": OLD["class_path"], "init_args": {"hidden": [8], "dropout": 0.0, "norm": "batch"}}
    assert completed(OLD, now)["init_args"] == {"hidden": [8], "dropout": 0.0, "norm": "none"}
    inside = {"class_path": "mine.Own", "init_args": {}}
    assert completed(inside, now) == inside
    assert completed([1], now) == [1]
    assert completed({"a": OLD}, {"a": now})["a"]["init_args"]["norm"] == "none"


def test_a_run_without_batch_norm_is_resumed_by_its_own_config(data: Path, tmp_path: Path) -> None:
    """As a run before this version: its config names no backbone, its checkpoint one that is no default any more."""
    run, network = tmp_path / "run", tmp_path / "network.yaml"
    network.write_text(yaml.safe_dump({"model": {"init_args": {"backbone": OLD, "lr": 0.001}}}))
    start = ["-c", "configs/method/mv.yaml", "--data.root", str(data), "--run_dir", str(run), *QUIET]
    assert main(["fit", *start, "-c", str(network), "--trainer.max_epochs", "1"]) == 0
    assert main(["fit", *start, "--trainer.max_epochs", "2", "--ckpt_path", "last"]) == 0
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["epoch"] == 1
    assert saved["hyper_parameters"]["lr"] == 0.001
    assert saved["hyper_parameters"]["backbone"]["init_args"] == OLD["init_args"] | {"norm": "none"}

"""Mix configurations go with every kind of method, resume exactly, and move to a checkpoint without their files."""

from pathlib import Path

import pytest
import torch

from hilmix.cli import main
from hilmix.human.perception import ParticipantCurves
from tests.helpers import QUICK, fit, parameters

pytestmark = pytest.mark.usefixtures("no_figures")

HUMAN = ["-c", "configs/mix/human.yaml"]


@pytest.mark.parametrize("method", ["annot-mix", "conal", "crowd-ar", "hilmix", "madl", "soft", "union-net"])
def test_mixes_are_relabelled_under_every_loss(method: str, data: Path, tmp_path: Path) -> None:
    assert fit(data, tmp_path / "run", "-c", f"configs/method/{method}.yaml", *HUMAN) == 0
    plain = [*QUICK, "--data.mix", "ItemMix"]  # the same blends: alpha is 1 in both
    assert fit(data, tmp_path / "plain", "-c", f"configs/method/{method}.yaml", *plain) == 0
    found, other = parameters(tmp_path / "run"), parameters(tmp_path / "plain")
    assert all(value.isfinite().all() for value in found.values())
    assert any(not torch.equal(found[name], other[name]) for name in found), "labels of mixes made no difference"


@pytest.mark.parametrize("method", ["annot-mix", "hilmix"])
def test_resuming_equals_an_uninterrupted_run(method: str, data: Path, tmp_path: Path) -> None:
    run = ["-c", f"configs/method/{method}.yaml", *HUMAN, "--model.schedule", "constant", "--data.batch_size", "8"]
    run += ["--model.warmup", "0.4"] if method == "hilmix" else []
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert fit(data, straight, *run, "--trainer.max_epochs", "3") == 0
    assert fit(data, stopped, *run, "--trainer.max_epochs", "2") == 0
    assert fit(data, stopped, *run, "--trainer.max_epochs", "3", "--ckpt_path", "last") == 0
    for name, value in parameters(straight).items():
        assert torch.equal(parameters(stopped)[name], value), name


def test_a_policy_in_a_file_is_needed_for_training_only(data: Path, tmp_path: Path, capsys) -> None:
    ParticipantCurves(["a", "zoe"], [0.5, 2.0], 1.0).save(tmp_path / "policy.json")
    mix = ["--data.mix", "HumanMix", "--data.mix.perception", "SavedPerception", "--data.mix.perception.file"]
    assert fit(data, tmp_path / "run", *HUMAN, *mix, str(tmp_path / "policy.json")) == 0
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert "ParticipantCurves" in str(saved["datamodule_hyper_parameters"]["mix"])
    (tmp_path / "policy.json").unlink()
    test = ["test", "-c", str(tmp_path / "run" / "config.yaml"), "--run_dir", str(tmp_path / "run"), "--ckpt_path"]
    assert main([*test, "last"]) == 2
    assert "policy.json': No such file or directory" in capsys.readouterr().err
    assert main([*test, "last", "--data.mix", "NoMix"]) == 0


def test_cutmix_of_vectors_is_refused(data: Path, tmp_path: Path, capsys) -> None:
    args = [
        "fit",
        "-c",
        "configs/mix/cutmix.yaml",
        "--data.root",
        str(data),
        "--run_dir",
        str(tmp_path / "run"),
        *QUICK,
    ]
    assert main(args) == 2
    assert "rectangles of images" in capsys.readouterr().err


def test_a_missing_policy_file_is_one_sentence(data: Path, tmp_path: Path, capsys) -> None:
    mix = ["--data.mix", "HumanMix", "--data.mix.perception", "SavedPerception"]
    args = ["fit", "--data.root", str(data), "--run_dir", str(tmp_path / "run"), *QUICK, *mix]
    assert main([*args, "--data.mix.perception.file", "nowhere.json"]) == 2
    assert "Cannot read the perception policy 'nowhere.json'" in capsys.readouterr().err

"""Files that are whole but no checkpoint of the run: one sentence that names the file, in Python an error of hilmix."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hilmix.cli import main
from hilmix.errors import HilmixError, RunError
from hilmix.modules import Classifier
from tests.helpers import QUIET, fit, parameters

pytestmark = pytest.mark.usefixtures("no_figures")

Content = dict[str, Any]


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "trained"
    assert fit(data, run, "--trainer.max_epochs", "1", *QUIET) == 0
    return run


def without_a_weight(saved: Content) -> Content:
    weights = dict(saved["state_dict"])
    weights.popitem()
    return {**saved, "state_dict": weights}


def of_another_network(saved: Content) -> Content:
    return {**saved, "state_dict": {f"theirs.{name}": value for name, value in saved["state_dict"].items()}}


def of_another_size(saved: Content) -> Content:
    return {**saved, "state_dict": {name: torch.zeros(2, 2) for name in saved["state_dict"]}}


NO_CHECKPOINT: dict[str, Callable[[Content], Any]] = {
    "tensor": lambda saved: torch.zeros(3),
    "list": lambda saved: [saved],
    "number": lambda saved: 1,
    "other": lambda saved: {"a": torch.zeros(3)},
    "weights": lambda saved: saved["state_dict"],
    "list of weights": lambda saved: {**saved, "state_dict": list(saved["state_dict"].values())},
}
UNFIT = {"less": without_a_weight, "another size": of_another_size, "foreign": of_another_network}


@pytest.mark.parametrize("command", ["test", "validate", "predict", "fit"])
@pytest.mark.parametrize("kind", [*NO_CHECKPOINT, *UNFIT])
def test_a_file_that_is_no_checkpoint_of_the_run(
    kind: str, command: str, trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.ckpt"
    saved = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save((NO_CHECKPOINT | UNFIT)[kind](saved), file)
    config = ["-c", str(trained / "config.yaml"), "--run_dir", str(tmp_path / "run"), *QUIET]
    assert main([command, *config, "--ckpt_path", str(file)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert str(file) in error or (kind in UNFIT and command == "fit")


@pytest.mark.parametrize("kind", NO_CHECKPOINT)
def test_python_refuses_it_as_well(kind: str, trained: Path, tmp_path: Path) -> None:
    saved = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save(NO_CHECKPOINT[kind](saved), tmp_path / "x.ckpt")
    with pytest.raises(HilmixError, match=r"x\.ckpt"):
        Classifier.load_from_checkpoint(tmp_path / "x.ckpt")


@pytest.mark.parametrize("kind", UNFIT)
def test_python_names_the_weights_that_do_not_fit(kind: str, trained: Path, tmp_path: Path) -> None:
    saved = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save(UNFIT[kind](saved), tmp_path / "x.ckpt")
    with pytest.raises(RunError) as refused:
        Classifier.load_from_checkpoint(tmp_path / "x.ckpt")
    sentence, names = str(refused.value), list(saved["state_dict"])
    assert str(tmp_path / "x.ckpt") in sentence
    assert "\n" not in sentence
    assert f"missing are '{names[-1] if kind == 'less' else names[0]}'" in sentence or kind == "another size"
    assert f"unexpected are 'theirs.{names[0]}'" in sentence or kind != "foreign"
    assert f"and {len(names) - 5} more" in sentence or kind != "foreign"


def test_a_model_without_hyperparameters_goes_on(data: Path, tmp_path: Path) -> None:
    """An own LightningModule need not call ``save_hyperparameters``, and knows no seed."""
    own = ["--model", "tests.lightning_cli.test_given_settings.OwnModel", "--default_callbacks", "false", *QUIET]
    own += ["--trainer.callbacks", "[{class_path: hilmix.callbacks.LastCheckpoint}]"]
    for run, epochs in (("resumed", "1"), ("resumed", "2"), ("whole", "2")):
        resume = ["--ckpt_path", "last"] if epochs == "2" and run == "resumed" else []
        assert fit(data, tmp_path / run, *own, "--trainer.max_epochs", epochs, *resume) == 0
    for name, value in parameters(tmp_path / "whole").items():
        assert torch.equal(parameters(tmp_path / "resumed")[name], value), name

"""A checkpoint names the class of its module, and is evaluated by it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import LightningModule

from hilmix.cli import main
from hilmix.errors import RunError
from hilmix.integrity import name_module, named_module
from hilmix.lightning_cli.run import run
from hilmix.modules import Classifier, EMClassifier
from hilmix.moved import public_path
from hilmix.types import Batch
from tests.helpers import QUIET, fit

pytestmark = pytest.mark.usefixtures("no_figures")

PATHS = {
    "mv": "hilmix.modules.Classifier",
    "hilmix": "hilmix.modules.EMClassifier",
    "own": "tests.lightning_cli.test_given_settings.OwnLogs",  # a Classifier
    "foreign": "tests.lightning_cli.test_class_of_checkpoints.Foreign",  # a LightningModule
}


class Foreign(LightningModule):
    def __init__(self, num_classes: int, num_annotators: int, input_shape: list[int]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Linear(input_shape[0], num_classes)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        return self.net(batch.input).square().mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("val/loss", self.net(batch.input).square().mean(), batch_size=len(batch.index))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters())


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints of four classes, taken out of their run folders."""
    folder = tmp_path_factory.mktemp("alone")
    for name, path in PATHS.items():
        chosen = ["-c", f"configs/method/{name}.yaml"] if path.startswith("hilmix.") else ["--model", path]
        chosen += ["--default_callbacks", "false", "--trainer.callbacks", "[hilmix.callbacks.LastCheckpoint]"]
        assert fit(data, folder / f"run-{name}", *chosen) == 0
        shutil.copyfile(folder / f"run-{name}" / "checkpoints" / "last.ckpt", folder / f"{name}.ckpt")
        shutil.rmtree(folder / f"run-{name}")
    return {name: folder / f"{name}.ckpt" for name in PATHS}


def evaluate(checkpoint: Path, folder: Path, *more: str | Path) -> LightningModule:
    given = ("--ckpt_path", checkpoint, "--run_dir", folder, "--trainer.callbacks", "[]", *QUIET, *more)
    return run(["validate", *map(str, given)]).model


@pytest.mark.parametrize("name", PATHS)
def test_a_checkpoint_names_the_class_of_its_module(name: str, alone: dict[str, Path]) -> None:
    saved = torch.load(alone[name], weights_only=True)
    assert saved["class_path"] == named_module(saved) == PATHS[name]


@pytest.mark.parametrize("name", PATHS)
def test_a_checkpoint_alone_is_evaluated_by_the_class_it_names(
    name: str, alone: dict[str, Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilmix.trusted._packages", {"hilmix"})
    model = evaluate(alone[name], tmp_path, "--data.root", data, "--trust", "tests")
    assert public_path(type(model)) == PATHS[name]


def test_another_class_of_hilmix_than_the_named_one_is_refused(
    alone: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["-c", "configs/method/hilmix.yaml", "--data.root", data, "--run_dir", tmp_path / "run"]
    assert main(["test", *map(str, given), "--ckpt_path", str(alone["mv"]), *QUIET]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert [part for part in (PATHS["mv"], PATHS["hilmix"], str(alone["mv"])) if part not in message] == []


def test_a_method_agrees_with_a_checkpoint_of_an_own_class_that_extends_it(
    alone: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    """Given by file or option: its settings are those of the class that it extends."""
    for given in (["-c", "configs/method/mv.yaml"], ["--model", "Classifier"]):
        model = evaluate(alone["own"], tmp_path / given[0], *given, "--data.root", data, "--trust", "tests")
        assert public_path(type(model)) == PATHS["own"]


@pytest.mark.parametrize(("checkpoint", "given"), [("own", "hilmix"), ("hilmix", "mv"), ("foreign", "mv")])
def test_another_method_than_that_of_the_checkpoint_is_refused(
    checkpoint: str, given: str, alone: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An own class does not stand for a method that it does not extend, nor a method of hilmix for another one."""
    config = ["-c", f"configs/method/{given}.yaml", "--data.root", data, "--run_dir", tmp_path / "run"]
    trained = ["--trust", "tests", "--ckpt_path", alone[checkpoint]]
    assert main(["test", *map(str, [*config, *trained]), *QUIET]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert [part for part in (PATHS[checkpoint], PATHS[given], f"{given}.yaml") if part not in message] == []


def test_a_class_of_the_users_own_config_comes_before_the_named_one(
    alone: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    own = {"model": {"class_path": PATHS["own"]}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    model = evaluate(alone["mv"], tmp_path / "run", "-c", tmp_path / "own.yaml", "--data.root", data)
    assert type(model).__name__ == "OwnLogs"


@pytest.mark.parametrize("named", ["hilmix.backbones.MLP", "os.system", "no path", 3, ["hilmix.modules.Classifier"]])
def test_what_is_no_module_is_refused(
    named: Any, alone: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({**torch.load(alone["mv"], weights_only=True), "class_path": named}, tmp_path / "x.ckpt")
    given = ["--data.root", data, "--run_dir", tmp_path / "run", "--ckpt_path", tmp_path / "x.ckpt"]
    assert main(["test", *map(str, given), *QUIET]) == 2
    assert str(named) in capsys.readouterr().err.splitlines()[-1]


def test_python_names_the_class_that_a_checkpoint_needs(alone: dict[str, Path]) -> None:
    with pytest.raises(RunError, match=r"hilmix\.ckpt.*hilmix\.modules\.EMClassifier"):
        Classifier.load_from_checkpoint(alone["hilmix"])
    assert type(EMClassifier.load_from_checkpoint(alone["hilmix"])) is EMClassifier


def test_a_class_that_cannot_be_imported_is_not_named() -> None:
    class Inside(LightningModule):
        pass

    script = type("Script", (LightningModule,), {"__module__": "__main__"})
    for module in (Inside(), script()):
        checkpoint: dict[str, Any] = {}
        name_module(checkpoint, module)
        assert checkpoint == {}
        assert named_module(checkpoint) is None


def test_files_without_a_class_are_recognised_by_their_settings() -> None:
    """The golden files hold real ones."""
    assert named_module({"hyper_parameters": {"backbone": {}, "warmup": 0.2}}) == "hilmix.modules.EMClassifier"
    for settings in ({"backbone": {}}, {"warmup": 100}, {}, None):
        assert named_module({"hyper_parameters": settings}) is None

"""What configs and options give: it reaches the run, or the run is refused; callbacks and saved configs."""

import logging
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader

from hilmix.annotations import Annotations
from hilmix.cli import main
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, read_folder, write_folder
from hilmix.lightning_cli.cli import HilmixCLI
from hilmix.lightning_cli.config_files import configs_folder
from hilmix.modules import Classifier
from hilmix.modules.stage_metrics import METRICS, StageMetrics
from hilmix.types import StepOutput

pytestmark = pytest.mark.usefixtures("no_figures")

QUICK = [
    "--trainer.max_epochs",
    "1",
    "--trainer.enable_progress_bar",
    "false",
    "--trainer.enable_model_summary",
    "false",
]
DEV = ["--trainer.fast_dev_run", "true"]
HERE = __name__
DEFAULTS = [
    c["class_path"].rpartition(".")[2]
    for c in yaml.safe_load((configs_folder() / "base.yaml").read_text())["trainer"]["callbacks"]
]


class OwnData(AnnotatedDataModule):
    """A data module that leaves out what methods set."""

    def __init__(self, root: str, batch_size: int = 8) -> None:
        super().__init__(root, batch_size=batch_size)


class OwnMix(AnnotatedDataModule):
    def __init__(self, root: str, targets: Any = None) -> None:
        super().__init__(root, targets)


class OwnModel(LightningModule):
    def __init__(self, num_classes: int, num_annotators: int, input_shape: list[int], lr: float = 0.1) -> None:
        super().__init__()
        self.lr, self.net = lr, torch.nn.Linear(input_shape[0], num_classes)

    def training_step(self, batch: Any) -> torch.Tensor:
        return self.net(batch.input).square().mean()

    def validation_step(self, batch: Any) -> None:
        self.log("val/loss", self.net(batch.input).square().mean(), batch_size=len(batch.index))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.lr)


class OwnLogs(Classifier):
    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.log("val/mine", 0.5)


class Plain(LightningDataModule):
    """Knows nothing of hilmix but the numbers that a model needs."""

    num_classes, num_annotators, input_shape, num_annotator_features, num_groups = 2, 1, [3], 0, 0

    def train_dataloader(self) -> DataLoader[Any]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    n = 30
    truth = np.arange(n) % 2
    votes = Annotations.build(
        np.repeat(np.arange(n), 2),
        np.tile([0, 1], n),
        np.repeat(truth, 2),
        num_items=n,
        classes=["x", "y"],
        annotators=["a", "b"],
    )
    toy = AnnotatedData(
        name="toy",
        items=tuple(f"i{i}" for i in range(n)),
        inputs=ArrayInputs((rng.normal(size=(n, 3)) + truth[:, None]).astype(np.float32), "vector"),
        annotations=votes,
        target=truth,
        split=np.array(["train"] * 16 + ["val"] * 7 + ["test"] * 7),
    )
    return write_folder(toy, tmp_path_factory.mktemp("data") / "toy")


def fit(data: Path, run: Path, *more: str | Path) -> int:
    return main([str(a) for a in ("fit", *more, "--data.root", data, "--run_dir", run, *QUICK)])


class AcceptedError(Exception):
    """Raised in place of building what the settings describe."""


def stop(cli: HilmixCLI) -> None:
    raise AcceptedError


def callbacks(run: Path) -> list[str]:
    saved = yaml.safe_load((run / "config.yaml").read_text())
    return [c["class_path"].rpartition(".")[2] for c in saved["trainer"]["callbacks"] or []]


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


@pytest.fixture
def early(tmp_path: Path) -> Path:
    file = tmp_path / "early.yaml"
    stopping = {"class_path": "lightning.pytorch.callbacks.EarlyStopping", "init_args": {"monitor": "val/loss"}}
    file.write_text(yaml.safe_dump({"trainer": {"callbacks": [stopping]}}))
    return file


# -- callbacks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["file", "two files", "line"])
def test_own_callbacks_stand_beside_checkpoints_and_reports(how: str, data, tmp_path, early, caplog) -> None:
    given = {
        "file": ["-c", early],
        "two files": ["-c", "configs/method/annot-mix.yaml", "-c", early],
        "line": ["--trainer.callbacks", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"],
    }[how]
    with caplog.at_level(logging.WARNING, "hilmix"):
        assert fit(data, tmp_path / "run", *given) == 0
    assert callbacks(tmp_path / "run") == [*DEFAULTS, "EarlyStopping"]
    assert {p.name for p in (tmp_path / "run" / "checkpoints").iterdir()} >= {"best.ckpt", "last.ckpt"}
    assert (tmp_path / "run" / "calibration.csv").is_file()
    (message,) = [r.getMessage() for r in caplog.records if "callbacks+" in r.getMessage()]
    assert "--default_callbacks false" in message


def test_a_saved_config_doubles_nothing_and_says_nothing(data, tmp_path, early, caplog) -> None:
    assert fit(data, tmp_path / "one", "-c", early) == 0
    caplog.clear()
    with caplog.at_level(logging.WARNING, "hilmix"):
        assert fit(data, tmp_path / "two", "-c", tmp_path / "one" / "config.yaml") == 0
        assert fit(data, tmp_path / "three", "--trainer.callbacks+", "DeviceStatsMonitor") == 0
    assert callbacks(tmp_path / "two") == [*DEFAULTS, "EarlyStopping"]
    assert callbacks(tmp_path / "three") == [*DEFAULTS, "DeviceStatsMonitor"]
    assert "callbacks+" not in caplog.text


def test_the_defaults_can_be_left_out(data, tmp_path, early) -> None:
    assert fit(data, tmp_path / "one", "-c", early, "--default_callbacks", "false") == 0
    assert callbacks(tmp_path / "one") == ["EarlyStopping"]
    assert not (tmp_path / "one" / "checkpoints").exists()
    assert fit(data, tmp_path / "two", "-c", tmp_path / "one" / "config.yaml") == 0
    assert callbacks(tmp_path / "two") == ["EarlyStopping"], "the choice is part of the saved config"


def test_a_second_checkpoint_does_not_replace_the_best(data, tmp_path) -> None:
    file = tmp_path / "every.yaml"
    every = {"dirpath": "${run_dir}/every", "filename": "{epoch}", "save_top_k": -1}
    one = {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": every}
    file.write_text(yaml.safe_dump({"trainer": {"callbacks": [one]}}))
    assert fit(data, tmp_path / "run", "-c", file) == 0
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()
    assert list((tmp_path / "run" / "every").glob("*.ckpt"))


@pytest.mark.parametrize(
    "settings",
    [
        {"logger": False},
        {"logger": []},
        {"enable_checkpointing": False},
        {"barebones": True, "enable_progress_bar": None, "enable_model_summary": None},
        {"callbacks": []},
        {"callbacks": None},
        {"callbacks": None, "logger": False, "enable_checkpointing": False},
        {"logger": False, "enable_checkpointing": False},
    ],
    ids=str,
)
def test_any_extras_may_be_switched_off(settings: dict[str, Any], data: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"trainer": {"max_epochs": 1, "enable_progress_bar": False, **settings}}))
    run = tmp_path / "run"
    args = ["fit", "-c", "configs/method/annot-mix.yaml", "-c", file, "--data.root", data, "--run_dir", run]
    assert main([str(a) for a in args]) == 0
    saves = settings.get("callbacks", "default") == "default" and not {"enable_checkpointing", "barebones"} & set(
        settings
    )
    assert (run / "checkpoints" / "last.ckpt").exists() == saves
    assert (run / "calibration.csv").exists() == ("callbacks" not in settings)


# -- saved configs ---------------------------------------------------------------------------------------------------


def test_a_saved_config_starts_afresh(data: Path, tmp_path: Path) -> None:
    """The config of a resumed run, used for another one."""
    a, b = tmp_path / "a", tmp_path / "b"
    assert fit(data, a) == 0
    assert fit(data, a, "--ckpt_path", "last", "--trainer.max_epochs", "2") == 0
    assert not {"ckpt_path", "weights_only"} & set(yaml.safe_load((a / "config.yaml").read_text()))
    assert fit(data, b, "-c", a / "config.yaml") == 0
    assert torch.load(b / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 0


def test_an_old_saved_config_does_not_continue_by_itself(data, tmp_path, capsys, caplog) -> None:
    a = tmp_path / "a"
    assert fit(data, a) == 0
    last = a / "checkpoints" / "last.ckpt"
    old = tmp_path / "old.yaml"
    old.write_text((a / "config.yaml").read_text() + f"ckpt_path: {last}\n")
    assert fit(data, tmp_path / "b", "-c", old) == 2
    message = sentence(capsys)
    assert "ckpt_path" in message
    assert str(old) in message
    assert fit(data, a, "-c", old, "--ckpt_path", "last", "--trainer.max_epochs", "2") == 0, "on purpose"
    own = tmp_path / "own.yaml"
    own.write_text(f"ckpt_path: {last}\n")
    with caplog.at_level(logging.WARNING, "hilmix"):
        assert fit(data, tmp_path / "c", "-c", own) == 0
    assert f"{own} sets ckpt_path" in caplog.text


# -- what is monitored -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "near"),
    [
        (["--best_metric", "val/los"], "near: val/loss"),
        (["--best_metric", "val/accuracy"], "'val/acc'"),
        (["--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val/agrement"], "near: val/agree"),
    ],
)
def test_a_metric_that_nothing_logs_is_refused_before_training(given, near, data, tmp_path, capsys) -> None:
    assert fit(data, tmp_path / "run", *given) == 2
    message = sentence(capsys)
    assert near in message
    assert "'val/loss'" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("method", "known", "given"),
    [
        ("annot-mix", False, ["--best_metric", "val/acc"]),
        ("annot-mix", False, ["--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val/nll"]),
        ("mv", True, ["--best_metric", "val/annotator_auroc"]),
        ("mv", True, ["--best_metric", "val/worst_group_acc"]),
    ],
)
def test_a_metric_that_this_run_cannot_log_is_refused_before_training(
    method, known, given, data, tmp_path, capsys
) -> None:
    """Of data without targets or groups, and of a model without annotators."""
    toy = read_folder(data)
    mine = write_folder(replace(toy, target=np.where(known, toy.target, -1)), tmp_path / "mine")
    assert fit(mine, tmp_path / "run", "-c", f"configs/method/{method}.yaml", *given) == 2
    message = sentence(capsys)
    assert f"'{next(name for name in given if name.startswith('val/'))}'" in message
    assert "'val/loss'" in message
    assert not (tmp_path / "run").exists()


def test_metrics_of_an_own_module_are_not_known_before(data, tmp_path) -> None:
    own = ["--model", f"{HERE}.OwnLogs", "--best_metric", "val/mine"]
    assert fit(data, tmp_path / "run", *own) == 0
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()


def test_the_names_of_the_metrics() -> None:
    """Every metric of a stage with votes, targets and groups, and no other name."""
    stage, one = StageMetrics(2), torch.tensor([0, 1])
    probs = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    stage.update(
        StepOutput(
            index=one,
            logits=probs.log(),
            target=one,
            row=one,
            annotator=one,
            label=one,
            probs=None,
            plan=None,
            label_log_probs=probs.log(),
            diagonal=probs,
            group=one,
        )
    )
    assert set(stage.compute()) <= set(METRICS)
    assert {f"val/{name}" for name in stage.compute()} >= {"val/loss", "val/acc", "val/vote_ece", "val/worst_group_acc"}


# -- settings that are lost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "lost"),
    [
        (["-c", "configs/method/mv.yaml", "--data", f"{HERE}.OwnData"], ["data.targets", "data.mix"]),
        (["-c", "configs/method/mv-mixup.yaml", "--data", f"{HERE}.OwnMix"], ["data.mix"]),
        (["-c", "configs/method/annot-mix.yaml", "--data", f"{HERE}.OwnData"], ["data.mix"]),
        (["--data.mix", "ItemMix", "--data", f"{HERE}.OwnData"], ["data.mix"]),
        (["-c", "configs/method/hilmix.yaml", "--model", f"{HERE}.OwnModel"], ["model.annotator_model"]),
        (["-c", "configs/explanation/rrr.yaml", "--model", f"{HERE}.OwnModel"], ["model.explanations"]),
    ],
)
def test_settings_that_do_not_reach_their_class_are_refused(given, lost, data, tmp_path, capsys) -> None:
    assert fit(data, tmp_path / "run", *given) == 2
    message = sentence(capsys)
    assert all(name in message for name in lost)
    assert given[-1].rpartition(".")[2] in message
    assert not (tmp_path / "run").exists()


def test_by_a_file_as_well_and_in_any_order(data, tmp_path, capsys) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(f"data:\n  class_path: {HERE}.OwnData\n  init_args: {{batch_size: 4}}\n")
    assert fit(data, tmp_path / "run", "-c", "configs/method/mv.yaml", "-c", own) == 2
    assert "targets" in sentence(capsys)
    model = tmp_path / "model.yaml"
    model.write_text(f"model:\n  class_path: {HERE}.OwnModel\n  init_args: {{lr: 0.2}}\n")
    assert fit(data, tmp_path / "run", "-c", "configs/method/hilmix.yaml", "-c", model) == 2
    assert "annotator_model" in sentence(capsys)


SMOOTHED = {
    "class_path": "hilmix.human.perception.ConfidenceSmoothing",
    "init_args": {"policy": {"class_path": "hilmix.human.perception.GlobalCurve"}},
}
NESTED = {
    "mix": (["-c", "pairs", "--data.mix", "ItemMix"], ["data.mix.max_pairs_per_item"], "ItemMix"),
    "mix, by its path": (
        ["-c", "pairs", "--data.mix.class_path", "hilmix.mix.ItemMix"],
        ["data.mix.max_pairs_per_item"],
        "ItemMix",
    ),
    "no mix": (["-c", "pairs", "--data.mix", "NoMix"], ["data.mix.alpha", "data.mix.max_pairs_per_item"], "NoMix"),
    "null": (["-c", "pairs", "--data.mix", "null"], ["data.mix.alpha", "data.mix.max_pairs_per_item"], "null"),
    "a later file": (
        ["-c", "pairs", "-c", "configs/method/mv.yaml"],
        ["data.mix.alpha", "data.mix.max_pairs_per_item"],
        "NoMix",
    ),
    "options": (
        ["--data.mix", "AnnotMix", "--data.mix.max_pairs_per_item", "2", "--data.mix", "ItemMix"],
        ["data.mix.max_pairs_per_item"],
        "ItemMix",
    ),
    "one option": (
        ["--data.mix", "{class_path: AnnotMix, init_args: {max_pairs_per_item: 2}}", "--data.mix", "ItemMix"],
        ["data.mix.max_pairs_per_item"],
        "ItemMix",
    ),
    "backbone": (["-c", "mlp", "--model.backbone", "ReadyFeatures"], ["model.backbone.hidden"], "ReadyFeatures"),
    "targets": (
        ["-c", "configs/method/ds.yaml", "--data.targets", "Pairs"],
        ["data.targets.by"],
        "Pairs",
    ),
    "part of a part": (
        ["-c", "human", "--data.mix.perception", "GlobalCurve"],
        ["data.mix.perception.policy"],
        "GlobalCurve",
    ),
    "annotator model": (
        ["-c", "crowd", "--model.annotator_model", "Perfect"],
        ["model.annotator_model.eta"],
        "Perfect",
    ),
    "profiler": (
        ["-c", "profiler", "-c", "silent"],
        ["trainer.profiler.extended"],
        "PassThroughProfiler",
    ),
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Config files by name."""

    def part(name: str, **settings: Any) -> dict[str, Any]:
        return {"class_path": name, "init_args": settings}

    contents = {
        "pairs": {"data": {"init_args": {"mix": part("hilmix.mix.AnnotMix", alpha=0.5, max_pairs_per_item=2)}}},
        "mlp": {"model": {"init_args": {"backbone": part("hilmix.backbones.MLP", hidden=[5])}}},
        "crowd": {"model": {"init_args": {"annotator_model": part("hilmix.annotators.DawidSkene", eta=0.7)}}},
        "human": {"data": {"init_args": {"mix": part("hilmix.mix.HumanMix", perception=SMOOTHED)}}},
        "profiler": {"trainer": {"profiler": part("lightning.pytorch.profilers.SimpleProfiler", extended=False)}},
        "silent": {"trainer": {"profiler": part("lightning.pytorch.profilers.PassThroughProfiler")}},
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return {name: str(tmp_path / f"{name}.yaml") for name in contents}


@pytest.mark.parametrize("case", NESTED)
def test_settings_of_a_replaced_part_are_refused(case: str, files, data, tmp_path, capsys, monkeypatch) -> None:
    """Each setting that is lost is named with its class and its source, and may be lost on purpose."""
    given, lost, chosen = NESTED[case]
    given = [files.get(token, token) for token in given]
    assert fit(data, tmp_path / "run", *given) == 2
    message = sentence(capsys)
    assert f"'[{', '.join(lost)}]'" in message
    assert chosen in message
    assert (given[1] if given[0] == "-c" else f"given by {given[2 if case == 'options' else 0]}") in message
    assert not (tmp_path / "run").exists()
    # every setting by its name, in a run; the part that holds the first of them, as far as a run may be refused for it
    assert fit(data, tmp_path / "run", *given, "--unused_settings", f"[{', '.join(lost)}]", *DEV) == 0
    monkeypatch.setattr(HilmixCLI, "before_instantiate_classes", stop)
    with pytest.raises(AcceptedError):
        fit(data, tmp_path / "run", *given, "--unused_settings", f"[{lost[0].rpartition('.')[0]}]", *DEV)


def test_an_evaluation_refuses_them_as_well(files, data, tmp_path, capsys) -> None:
    run = tmp_path / "run"
    assert fit(data, run, "-c", files["pairs"], "-c", files["mlp"]) == 0
    for command in ("test", "validate", "predict"):
        evaluate = [command, "--run_dir", str(run), "--ckpt_path", "last", "--trainer.enable_progress_bar", "false"]
        for given, lost in (
            (["-c", files["pairs"], "--data.mix", "ItemMix"], "data.mix.max_pairs_per_item"),
            (["-c", files["mlp"], "--model.backbone", "ReadyFeatures"], "model.backbone.hidden"),
            (["-c", "configs/method/hilmix.yaml", "--model", f"{HERE}.OwnModel"], "model.annotator_model"),
        ):
            assert main([*evaluate, *given]) == 2
            assert lost in sentence(capsys)
        assert main([*evaluate, "--data.mix", "NoMix"]) == 0, "the run's own settings were not given"


@pytest.mark.parametrize("method", ["annot-mix", "hilmix", "mv"])
def test_files_that_are_combined_lose_nothing(method: str, data, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method with any mix, explanation or experiment, as the documentation combines them; nothing is built."""
    monkeypatch.setattr(HilmixCLI, "before_instantiate_classes", stop)
    kinds = [sorted((configs_folder() / kind).glob("*.yaml")) for kind in ("mix", "explanation", "experiment")]
    for files in zip_longest(*kinds):  # one of each kind at once: to parse them takes most of the time
        more = [token for file in files if file is not None for token in ("-c", file)]
        with pytest.raises(AcceptedError):
            fit(data, tmp_path / "run", "-c", f"configs/method/{method}.yaml", *more)


def test_who_means_it_says_so(data: Path, tmp_path: Path) -> None:
    given = ["-c", "configs/method/mv.yaml", "--data", f"{HERE}.OwnData"]
    assert fit(data, tmp_path / "run", *given, "--unused_settings", "[data.targets, data.mix]") == 0
    assert (
        fit(data, tmp_path / "own", "--model", f"{HERE}.OwnModel", "--model.lr", "0.3", "--trainer.callbacks", "[]")
        == 0
    )

"""Wrong settings of ``hilmix fit``: one sentence, exit code 2, nothing written, training not begun."""

import functools
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import yaml
from lightning.pytorch import Trainer

from hilmix.cli import main
from hilmix.lightning_cli.parser_errors import one_sentence, unknown_setting
from hilmix.lightning_cli.run_folder import refuse_taken

MODULE = """
import torch
from lightning.pytorch import LightningModule

class Bare(LightningModule):
    def __init__(self, rate: float = 0.1):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
    def training_step(self, batch, batch_idx):
        return self.layer.weight.sum()
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.rate)

class Scores(Bare):
    def forward(self, x):
        return self.layer(x)

class Broken(Bare):
    def __init__(self, rate: float = 0.1):
        raise KeyError("no such key")
"""


class TrainingReached(Exception):  # noqa: N818
    """Raised in place of training."""


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs ``hilmix fit`` with what must be refused; returns the sentence."""

    @functools.wraps(Trainer.fit)
    def fit(*args: Any, **kwargs: Any) -> NoReturn:
        raise TrainingReached

    monkeypatch.setattr(Trainer, "fit", fit)
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_here", raising=False)
    (tmp_path / "mine_here.py").write_text(MODULE)
    before = set(tmp_path.iterdir())

    def run(*args: str) -> str:
        capsys.readouterr()
        assert main(["fit", "--run_dir", str(tmp_path / "run"), *args]) == 2
        messages = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(messages) == 1
        assert not (tmp_path / "run").exists(), "a start that fails leaves no run folder"
        assert {p for p in tmp_path.iterdir() if p.name != "__pycache__" and p.suffix != ".yaml"} == before
        return messages[0]

    return run


HILMIX = ("-c", "configs/method/hilmix.yaml")
UNKNOWN: list[tuple[tuple[str, ...], str, list[str]]] = [
    ((*HILMIX, "--model.lrr", "1"), "lrr", ["near: lr;", "'warmup'", "'every'", "'weight_decay'", "'backbone'"]),
    ((*HILMIX, "--model.evry", "1"), "evry", ["near: every", "'lr'"]),
    (("-c", "configs/method/mv.yaml", "--model.init_args.lrr", "1"), "lrr", ["near: lr;"]),
    (("--data.batchsize", "3"), "batchsize", ["near: batch_size", "'num_workers'"]),
    (("--data.mix", "ItemMix", "--data.mix.alph", "1"), "alph", ["near: alpha"]),
    (("--model.backbone", "MLP", "--model.backbone.hiden", "[3]"), "hiden", ["near: hidden", "'dropout'"]),
    (("--trainer.max_epoch", "3"), "trainer.max_epoch", ["near: trainer.max_epochs", "'devices'"]),
    (("--trainer.max_epoch=3",), "trainer.max_epoch", ["near: trainer.max_epochs"]),
    (("--run_dri", "x"), "run_dri", ["near: run_dir", "'best_metric'", "'trainer'"]),
    (("configs/method/hilmix.yaml",), "configs/method/hilmix.yaml", ["-c FILE"]),
    (("--foo",), "foo", ["'run_dir'"]),
    (("--model", "Classifer"), "Classifer", ["near: Classifier"]),
    (("--model", "hilmix.modules.Clasifier"), "Clasifier", ["Classifier"]),
    (("--model", "hilmx.Classifier"), "hilmx", ["PYTHONPATH"]),
    (("--model", "hilmix.annotators.CoNAL"), "hilmix.annotators.CoNAL", ["LightningModule"]),
    (("--data", "AnotatedDataModule"), "AnotatedDataModule", ["near: AnnotatedDataModule"]),
    (("--data.mix", "ItmMix"), "ItmMix", ["near: ItemMix", "'CutMix'"]),
    (("--trainer.logger", "CSVLoger"), "CSVLoger", ["near: CSVLogger"]),
    (("--trainer.callbacks+", "EarlyStoping"), "EarlyStoping", ["near: EarlyStopping"]),
    (("--model.optimizer", "Adamm"), "Adamm", ["near: Adam"]),
    (("-c", "configs/method/hilmx.yaml"), "configs/method/hilmx.yaml", ["near: configs/method/hilmix.yaml"]),
    (("-c", "configs/hilmix.yaml"), "configs/hilmix.yaml", ["near: configs/method/hilmix.yaml"]),
    (("-c", "annot-mix"), "annot-mix", ["configs/method/annot-mix.yaml"]),
    (("-c", "configs/method"), "configs/method", ["folder"]),
    (("--config=configs/mix/cutmx.yaml",), "configs/mix/cutmx.yaml", ["configs/mix/cutmix.yaml"]),
]


@pytest.mark.parametrize(("args", "name", "fragments"), UNKNOWN, ids=[" ".join(args) for args, _, _ in UNKNOWN])
def test_an_unknown_name_is_answered_with_those_there_are(
    args: tuple[str, ...], name: str, fragments: list[str], refused: Any
) -> None:
    messages = refused(*args)
    assert name in messages
    assert [fragment for fragment in fragments if fragment not in messages] == []


FILES: dict[str, tuple[Any, list[str]]] = {
    "top level": ({"modle": {"lr": 1}}, ["'modle'", "near: model"]),
    "a command": ({"fit": {"run_dir": "x"}}, ["'fit'"]),
    "trainer": ({"trainer": {"max_epoch": 1}}, ["trainer.max_epoch", "near: trainer.max_epochs"]),
    "model": ({"model": {"init_args": {"lrr": 1}}}, ["'lrr'", "near: lr"]),
    "a part": ({"data": {"init_args": {"mix": {"class_path": "ItemMix", "init_args": {"alph": 1}}}}}, ["near: alpha"]),
    "a class": ({"data": {"init_args": {"mix": {"class_path": "ItmMix"}}}}, ["near: ItemMix"]),
    "in a list": (
        {"model": {"init_args": {"regularizers": [{"class_path": "VolumePenalt"}]}}},
        ["near: VolumePenalty"],
    ),
    "of a list": (
        {"model": {"init_args": {"regularizers": [{"class_path": "VolumePenalty", "init_args": {"weigt": 1}}]}}},
        ["'weigt'", "near: weight"],
    ),
    "of a callback": (
        {"trainer": {"callbacks": [{"class_path": "ModelCheckpoint", "init_args": {"monitr": "x"}}]}},
        ["'monitr'", "near: monitor"],
    ),
    "init_args": ({"data": {"class_path": "AnnotatedDataModule", "init_arg": {"root": "x"}}}, ["near: init_args"]),
    "no mapping": ({"model": {"init_args": 3}}, ["`model.init_args`", "3"]),
    "trainer is no mapping": ({"trainer": 3}, ["`trainer`", "3"]),
    "model is no mapping": ({"model": [1]}, ["`model`", "[1]"]),
    "a list": (["a"], ["mapping", "list"]),
    "nothing": (None, ["mapping", "nothing"]),
    "another type": ({"model": {"init_args": {"lr": "fast"}}}, ["model.lr", "float", "fast"]),
    "a wrong entry": (
        {"model": {"init_args": {"backbone": {"class_path": "MLP", "init_args": {"hidden": ["a"]}}}}},
        ["model.backbone.hidden", "int", "'a'"[1:-1]],
    ),
    "nan": ({"model": {"init_args": {"lr": float("nan")}}}, ["model.lr", "nan"]),
}


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_config_file_is_named_with_what_is_right(case: str, tmp_path: Path, refused: Any) -> None:
    settings, fragments = FILES[case]
    file = tmp_path / "own.yaml"
    file.write_text("" if settings is None else yaml.safe_dump(settings))
    messages = refused("-c", str(file))
    assert [fragment for fragment in fragments if fragment not in messages] == []


VALUES: list[tuple[str, str, str]] = [
    ("--data.num_workers", "-1", "`data.num_workers` must be >= 0 or null, got -1."),
    ("--data.image_size", "0", "data.image_size"),
    ("--data.batch_size", "0", "data.batch_size"),
    ("--data.batch_size", "1.5", "data.batch_size"),
    ("--data.val_fraction", "2", "data.val_fraction"),
    ("--data.test_fraction", "-1", "data.test_fraction"),
    ("--data.split_seed", "-1", "data.split_seed"),
    ("--data.root", "", "data.root"),
    ("--model.lr", "-1", "model.lr"),
    ("--model.lr", "nan", "model.lr"),
    ("--model.lr", ".nan", "model.lr"),
    ("--model.weight_decay", "-1", "model.weight_decay"),
    ("--model.schedule", "linear", "model.schedule"),
    ("--model.optimizer", "LBFGS", "LBFGS"),
    ("--model.optimizer", "SparseAdam", "SparseAdam"),
    ("--model.optimizer_kwargs.momentum", "0.9", "momentum"),
    ("--seed_everything", "-3", "seed_everything"),
    ("--seed_everything", str(2**32), "seed_everything"),
    ("--run_dir", "", "run_dir"),
    ("--trainer.max_epochs", "-2", "trainer.max_epochs"),
    ("--trainer.max_steps", "-7", "trainer.max_steps"),
    ("--trainer.fast_dev_run", "-3", "trainer.fast_dev_run"),
    ("--trainer.accumulate_grad_batches", "0", "trainer.accumulate_grad_batches"),
    ("--trainer.check_val_every_n_epoch", "0", "trainer.check_val_every_n_epoch"),
    ("--trainer.gradient_clip_val", "-1", "trainer.gradient_clip_val"),
    ("--trainer.log_every_n_steps", "-1", "trainer.log_every_n_steps"),
    ("--trainer.num_sanity_val_steps", "-2", "trainer.num_sanity_val_steps"),
    ("--trainer.limit_train_batches", "-1", "trainer.limit_train_batches"),
    ("--trainer.limit_val_batches", "1.5", "limit_val_batches"),
    ("--trainer.num_nodes", "0", "trainer.num_nodes"),
    ("--trainer.devices", "0", "devices"),
    ("--trainer.accelerator", "xpu", "xpu"),
    ("--trainer.precision", "17", "17"),
    ("--trainer.strategy", "dpp", "dpp"),
    ("--trainer.max_time", "soon", "soon"),
    ("--trainer.profiler", "nope", "profiler"),
    ("--trainer.logger", "TensorBoardLogger", "save_dir"),
    ("--trainer.logger", "WandbLogger", "WANDB_API_KEY"),
]


@pytest.mark.parametrize(("option", "value", "fragment"), VALUES, ids=[f"{o} {v}" for o, v, _ in VALUES])
def test_a_wrong_value_is_refused_before_anything_is_written(
    option: str, value: str, fragment: str, refused: Any
) -> None:
    assert fragment in refused(option, value)


@pytest.mark.parametrize(("name", "fragments"), [("Bare", ["forward", "predict_step"]), ("Scores", ["predict_step"])])
def test_a_module_that_reports_cannot_read_is_refused(name: str, fragments: list[str], refused: Any) -> None:
    messages = refused("--model", f"mine_here.{name}")
    assert f"mine_here.{name}" in messages
    assert all(f"`{fragment}`" in messages for fragment in fragments)
    assert ("`forward`" in messages) == (name == "Bare")


@pytest.mark.parametrize(("command", "near"), [("fti", "fit"), ("Fit", "fit"), ("validat", "validate"), ("--foo", "")])
def test_a_wrong_command_is_answered_with_those_there_are(command: str, near: str, capsys: Any) -> None:
    assert main([command]) == 2
    messages = capsys.readouterr().err
    assert f"'{command}'" in messages
    assert "'elicit'" in messages
    assert (f"near: {near};" in messages) == bool(near)


def test_help_shows_the_range_of_a_setting(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--model.help", "EMClassifier"])
    shown = capsys.readouterr().out
    assert "in [0, 1]" in shown
    assert "Range(" not in shown


def test_a_module_without_predictions_trains_without_reports(refused: Any, tmp_path: Path) -> None:
    with pytest.raises(TrainingReached):
        main(
            [
                "fit",
                "--run_dir",
                str(tmp_path / "run"),
                "--model",
                "mine_here.Bare",
                "--default_callbacks",
                "false",
                "--trainer.callbacks",
                "[]",
            ]
        )


def test_a_setting_of_ones_own_module_is_listed_and_its_error_named(refused: Any) -> None:
    assert "near: rate" in refused("--model", "mine_here.Bare", "--model.rat", "1")
    assert "KeyError" in refused("--model", "mine_here.Broken")


def test_a_right_start_reaches_training_and_claims_its_folder(refused: Any, tmp_path: Path) -> None:
    with pytest.raises(TrainingReached):
        main(["fit", "--run_dir", str(tmp_path / "run"), *HILMIX, "--trainer.logger", "false"])
    assert (tmp_path / "run").is_dir()
    refuse_taken(tmp_path / "run")


# -- the sentences themselves ------------------------------------------------------------------------------------------


def test_unknown_settings_are_looked_for_on_their_level() -> None:
    known = ["run_dir", "trainer.max_epochs", "trainer.devices", "model"]
    assert "near: trainer.max_epochs" in unknown_setting("trainer.max_epoch", known)
    assert "['max_epochs', 'devices']" in unknown_setting("trainer.x", known)
    assert "['run_dir', 'trainer', 'model']" in unknown_setting("x", known)
    assert "trainer.devices" in unknown_setting("devices", known), "of another level"


def test_a_union_of_choices_is_one_list() -> None:
    message = (
        "Parser key \"p\":\n  Errors:\n    - Expected a typing.Literal[1, 2]\n    - Expected a typing.Literal['a']\n"
    )
    assert one_sentence(f"{message}  Given value: 17") == "`p` must be one of 1, 2, 'a', got '17'."


def test_data_without_a_class_are_refused_in_words_of_the_data(
    refused: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("empty")
    (root / "items.csv").write_text("item\n" + "".join(f"i{i}\n" for i in range(20)))
    (root / "annotations.csv").write_text("item,annotator,label\n")
    (root / "dataset.yaml").write_text("input: vector\n")
    np.save(root / "inputs.npy", np.zeros((20, 2)))
    message = refused("--data.root", str(root))
    assert [part for part in ("num_classes", "got 0", "annotations") if part not in message] == []

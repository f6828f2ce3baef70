"""The command line as users type it, and the traps of the stack below it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from hilmix.cli import main
from hilmix.lightning_cli.config_files import configs_folder, with_packaged_configs
from hilmix.lightning_cli.parser_errors import one_sentence
from hilmix.lightning_cli.run_folder import claim_run_dir
from hilmix.modules.optimization import DEFAULT_RATES
from tests.helpers import QUICK, QUIET, ROOT, config, fit, forked, parameters, shell, write_vectors

pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch; tests must not write into it."""
    run = tmp_path_factory.mktemp("runs") / "trained"
    assert fit(data, run, "-c", "configs/method/annot-mix.yaml") == 0
    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]):
    """Runs what must be refused; returns the sentence."""

    def check(*args: str | Path) -> str:
        capsys.readouterr()
        assert main([str(a) for a in args]) == 2
        message = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(message) == 1
        assert "Traceback" not in message[0]
        return message[0]

    return check


# -- help and configuration ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"], ["--version"]])
def test_help_and_version_come_at_once(args: list[str], capsys) -> None:
    assert main(args) == 0
    assert "hilmix" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_help_of_a_command(command: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    message = capsys.readouterr().out
    assert "--run_dir" in message
    assert message.startswith("usage: hilmix ")


def printed(capsys, *args: str | Path) -> dict:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*map(str, args), "--print_config"])
    assert ended.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_print_config_shows_settings_in_force_and_touches_nothing(tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    shown = printed(capsys, "fit", "-c", "configs/method/annot-mix.yaml", "--run_dir", run, "--model.lr", "0.2")
    assert shown["model"]["init_args"]["lr"] == 0.2
    assert shown["data"]["init_args"]["mix"]["class_path"].endswith("AnnotMix")
    assert shown["seed_everything"] == 0, "seeds are on by default"
    assert not run.exists()


@pytest.mark.parametrize("experiment", sorted(Path("configs/experiment").rglob("*.yaml")), ids=lambda file: file.stem)
def test_an_experiment_keeps_the_method_and_brings_its_network(experiment: Path, tmp_path: Path, capsys) -> None:
    own = yaml.safe_load(experiment.read_text())["model"]["init_args"]
    run = ("--run_dir", tmp_path / "run")
    shown = printed(capsys, "fit", "-c", "configs/method/hilmix.yaml", "-c", experiment, *run)
    settings = shown["model"]["init_args"]
    assert shown["model"]["class_path"] == "hilmix.modules.EMClassifier"
    assert settings["annotator_model"]["class_path"] == "hilmix.annotators.DawidSkene"
    assert shown["data"]["init_args"]["mix"]["class_path"] == "hilmix.mix.ItemMix"
    assert settings["backbone"]["class_path"] == own["backbone"]["class_path"]
    assert settings["backbone"]["init_args"].items() >= own["backbone"]["init_args"].items()
    assert (settings["lr"], settings["lr_scaling"]) == (own["lr"], "none")


PUBLISHED = {  # hidden layers or network, dropout, rate, weight decay, batch, epochs
    "music-genre": ([256, 128], 0.5, 0.01, 0, 64, 50),
    "letter": ([256, 128], 0.0, 0.01, 0, 64, 50),
    "aloi": ([256, 128], 0.0, 0.01, 0, 64, 50),
    "labelme": ([128], 0.5, 0.01, 1e-4, 64, 50),
    "flowers102": ([128], 0.5, 0.01, 1e-4, 64, 50),
    "dtd": ([128], 0.5, 0.01, 1e-4, 64, 50),
    "trec6": ([128], 0.5, 0.01, 1e-4, 64, 50),
    "agnews": ([128], 0.5, 0.01, 1e-4, 64, 50),
    "cifar10h": ("resnet18", None, 0.001, 1e-4, 128, 100),
    "cifar10n": ("resnet18", None, 0.001, 1e-4, 128, 100),
    "cifar100n": ("resnet18", None, 0.001, 1e-4, 128, 100),
}
"""Settings of the annot-mix study, from its repository."""


def test_every_data_set_of_the_annot_mix_study_has_its_published_settings() -> None:
    files = {
        file.stem: yaml.safe_load(file.read_text()) for file in Path("configs/experiment/annot-mix-paper").iterdir()
    }
    assert files.keys() == PUBLISHED.keys()
    for name, file in files.items():
        model, data = file["model"]["init_args"], file["data"]["init_args"]
        network = model["backbone"]["init_args"]
        found = (
            network.get("hidden", network.get("name")),
            network.get("dropout"),
            *(model["lr"], model["weight_decay"], data["batch_size"], file["trainer"]["max_epochs"]),
        )
        assert found == PUBLISHED[name], name
        assert (model["optimizer"], model["schedule"], network.get("norm", "batch")) == ("RAdam", "cosine", "batch")


@pytest.mark.parametrize("file", sorted(Path("configs/explanation").glob("*.yaml")), ids=lambda file: file.stem)
def test_explanations_keep_the_method(file: Path, tmp_path: Path, capsys) -> None:
    own = yaml.safe_load(file.read_text())["model"]["init_args"]
    run = ("--run_dir", tmp_path / "run")
    shown = printed(capsys, "fit", "-c", "configs/method/hilmix.yaml", "-c", file, *run)
    assert shown["model"]["class_path"] == "hilmix.modules.EMClassifier"
    assert shown["best_metric"] == "val/worst_group_acc"
    settings = shown["model"]["init_args"]
    assert settings["annotator_model"]["class_path"] == "hilmix.annotators.DawidSkene"
    parts = settings["explanations"] or [settings["group_dro"]]
    for part, given in zip(parts, own.get("explanations") or [own["group_dro"]], strict=True):
        assert part["class_path"] == given["class_path"]
        assert part["init_args"].items() >= given["init_args"].items()


def test_interpolations_follow_overrides(tmp_path: Path, capsys) -> None:
    """T1, T2: `${run_dir}` in the base file takes the value of the command line, or of a later file."""
    over = tmp_path / "over.yaml"
    over.write_text(f"run_dir: {tmp_path / 'file'}\n")
    for args, run in ((["--run_dir", tmp_path / "line"], "line"), (["-c", over], "file")):
        trainer = printed(capsys, "fit", *args)["trainer"]
        assert trainer["logger"][0]["init_args"]["save_dir"] == str(tmp_path / run)
        assert trainer["callbacks"][0]["init_args"]["dirpath"] == str(tmp_path / run / "checkpoints")


def test_a_list_in_a_second_file_replaces_and_plus_appends(tmp_path: Path, capsys) -> None:
    """T19."""
    more = tmp_path / "more.yaml"
    monitor = "[{class_path: lightning.pytorch.callbacks.DeviceStatsMonitor}]"
    before = printed(capsys, "fit")["trainer"]["callbacks"]
    more.write_text(f"trainer:\n  callbacks+: {monitor}\n")
    assert len(printed(capsys, "fit", "-c", more)["trainer"]["callbacks"]) == len(before) + 1
    more.write_text(f"trainer:\n  callbacks: {monitor}\n")
    assert len(printed(capsys, "fit", "-c", more)["trainer"]["callbacks"]) == 1


def test_short_class_names(data: Path, tmp_path: Path) -> None:
    parts = "--data.mix ItemMix --data.mix.alpha 0.5 --data.targets Aggregated --model.backbone MLP "
    parts += "--model.backbone.hidden [7] --model.annotator_model Perfect"
    assert fit(data, tmp_path / "run", *parts.split()) == 0
    saved = config(tmp_path / "run")
    assert saved["data"]["init_args"]["mix"]["init_args"] == {"alpha": 0.5}
    assert parameters(tmp_path / "run")["head.weight"].shape == (3, 7)


def test_configs_are_found_from_any_working_directory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    packaged = str(configs_folder() / "method" / "mv.yaml")
    for given in (
        ["-c", "configs/method/mv.yaml"],
        ["--config", "configs/method/mv.yaml"],
        ["-c=configs/method/mv.yaml"],
    ):
        assert with_packaged_configs(["fit", *given, "--run_dir", "x"]) == [
            "fit",
            f"--config={packaged}",
            "--run_dir",
            "x",
        ]
    (tmp_path / "configs" / "method").mkdir(parents=True)
    (tmp_path / "configs" / "method" / "mv.yaml").write_text("seed_everything: 5\n")
    kept = ["fit", "-c", "configs/method/mv.yaml", "-c"]
    assert with_packaged_configs(kept) == kept, "one's own file comes first"


# -- training --------------------------------------------------------------------------------------------------------


def test_digits_with_a_small_network(tmp_path: Path) -> None:
    network = ["--model.backbone", "TimmBackbone", "--model.backbone.name", "test_resnet"]
    limits = ["--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "2"]
    assert fit("digits-class", tmp_path / "run", "-c", "configs/method/annot-mix.yaml", *network, *limits) == 0
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2, "T8: a whole number of batches stays one"


def test_without_any_truth_everything_works_on_held_out_votes(tmp_path: Path) -> None:
    data, run = write_vectors(tmp_path / "blind", target=False), tmp_path / "run"
    assert fit(data, run, "-c", "configs/method/annot-mix.yaml") == 0
    assert main(["test", "--data.root", str(data), "--run_dir", str(run), "--ckpt_path", "best", *QUIET]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert "test/agreement" in metrics
    assert "test/acc" not in metrics


def test_the_saved_config_repeats_the_run_and_tests_it(trained: Path, tmp_path: Path, data: Path) -> None:
    """T5, T17: resolved values, saved by fit only, in the run folder and per attempt."""
    again = tmp_path / "again"
    assert main(["fit", "-c", str(trained / "config.yaml"), "--run_dir", str(again)]) == 0
    for name, value in parameters(trained).items():
        assert torch.equal(parameters(again)[name], value), name
    saved = (again / "config.yaml").read_text()
    assert (again / "csv" / "version_0" / "config.yaml").read_text() == saved
    args = ["--run_dir", str(again), "--ckpt_path", "best", *QUIET]
    assert main(["test", "-c", str(again / "config.yaml"), *args]) == 0
    assert main(["predict", "-c", str(again / "config.yaml"), *args]) == 0
    assert (again / "config.yaml").read_text() == saved
    predictions = pd.read_parquet(again / "predictions.parquet")
    assert sorted(predictions["item"]) == sorted(f"i{i}" for i in range(60))


def test_resume_keeps_earlier_metrics_and_equals_an_uninterrupted_run(data: Path, tmp_path: Path) -> None:
    """T3, T6, T15; a constant schedule, since a cosine depends on the number of epochs."""
    mix = ["-c", "configs/method/annot-mix.yaml", "--model.schedule", "constant", "--data.batch_size", "8"]
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert fit(data, straight, *mix, "--trainer.max_epochs", "3") == 0
    assert fit(data, stopped, *mix) == 0
    before = (stopped / "csv" / "version_0" / "metrics.csv").read_text()
    assert fit(data, stopped, *mix, "--trainer.max_epochs", "3", "--ckpt_path", "last") == 0
    assert (stopped / "csv" / "version_0" / "metrics.csv").read_text() == before
    assert (stopped / "csv" / "version_1" / "metrics.csv").exists()
    for name, value in parameters(straight).items():
        assert torch.equal(parameters(stopped)[name], value), name


def test_fast_dev_run_leaves_no_run_behind(data: Path, tmp_path: Path) -> None:
    """T21."""
    assert fit(data, tmp_path / "run", "--trainer.fast_dev_run", "2") == 0
    assert not list(tmp_path.rglob("*.ckpt"))
    assert fit(data, tmp_path / "run") == 0


def test_wandb_offline_beside_csv(data: Path, tmp_path: Path) -> None:
    """T5: the CSV logger is the first, so configs of attempts do not collide in the run folder."""
    wandb = pytest.importorskip("wandb")
    run = tmp_path / "run"
    assert fit(data, run, "-c", "configs/logger/wandb.yaml") == 0
    wandb.finish()
    assert fit(data, run, "-c", "configs/logger/wandb.yaml", "--trainer.max_epochs", "2", "--ckpt_path", "last") == 0
    wandb.finish()
    assert len(list((run / "wandb").glob("offline-run-*"))) == 2
    assert {p.parent.name for p in (run / "csv").glob("*/config.yaml")} == {"version_0", "version_1"}


def test_settings_that_agree_with_the_checkpoint_are_taken(trained: Path, data: Path, tmp_path: Path) -> None:
    """Those of the method, of the run and of its checkpoint alone, by file and by option; all give the same scores."""
    alone = shutil.copy(trained / "checkpoints" / "best.ckpt", tmp_path / "alone.ckpt")
    scores = []
    for i, (checkpoint, more) in enumerate(
        [
            (alone, []),
            (alone, ["-c", "configs/method/annot-mix.yaml", "--model.lr", str(DEFAULT_RATES["vectors"].lr)]),
            (alone, ["-c", str(trained / "config.yaml")]),
            (
                trained / "checkpoints" / "best.ckpt",
                ["--model", "Classifier", "--model.annotator_model.embed_dim", "128"],
            ),
        ]
    ):
        args = ["--data.root", str(data), "--run_dir", str(tmp_path / f"run{i}"), "--ckpt_path", str(checkpoint)]
        assert main(["test", *more, *args, *QUIET]) == 0
        metrics = json.loads((tmp_path / f"run{i}" / "metrics.json").read_text())
        scores.append({name: value for name, value in metrics.items() if name.startswith("test/")})
    assert "test/nll" in scores[0]
    assert scores[1:] == scores[:-1]


CONTRADICTIONS: list[tuple[dict, list[str], list[str]]] = [
    ({"lr": 0.7}, ["--model.lr", "0.7"], ["model.lr: ", str(DEFAULT_RATES["vectors"].lr), "0.7"]),
    (
        {"annotator_model": {"class_path": "hilmix.annotators.Perfect"}},
        ["--model.annotator_model", "Perfect"],
        ["model.annotator_model: ", "hilmix.annotators.AnnotMixHead", "hilmix.annotators.Perfect"],
    ),
    (
        {"backbone": {"class_path": "hilmix.backbones.MLP", "init_args": {"hidden": [3]}}},
        ["--model.backbone", "MLP", "--model.backbone.hidden", "[3]"],
        ["model.backbone.hidden: ", "[3]"],
    ),
    ({"optimizer_kwargs": {"eps": 0.5}}, ["--model.optimizer_kwargs", "{eps: 0.5}"], ["model.optimizer_kwargs", "0.5"]),
]


@pytest.mark.parametrize("place", ["run", "alone"])
@pytest.mark.parametrize("by", ["file", "option"])
@pytest.mark.parametrize(("settings", "options", "fragments"), CONTRADICTIONS, ids=lambda x: ",".join(x))
def test_a_setting_that_contradicts_the_checkpoint(
    settings: dict,
    options: list[str],
    fragments: list[str],
    by: str,
    place: str,
    trained: Path,
    data: Path,
    tmp_path: Path,
    refused,
) -> None:
    """It would be without effect: refused with both values, what gave it, and nothing else."""
    checkpoint = trained / "checkpoints" / "best.ckpt"
    if place == "alone":
        checkpoint = shutil.copy(checkpoint, tmp_path / "alone.ckpt")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"model": {"init_args": settings}}))
    more = ["-c", str(tmp_path / "mine.yaml")] if by == "file" else options
    for command in ("test", "validate", "predict") if by == "option" and "lr" in settings else ["test"]:
        args = ["--data.root", str(data), "--run_dir", str(tmp_path / "run"), "--ckpt_path", str(checkpoint)]
        message = refused(command, *args, *QUIET, *more)
        assert [
            part for part in [*fragments, str(checkpoint), more[-2] * (by == "option")] if part not in message
        ] == []
        assert len(re.findall(r"model\.\w+[\w.]*: ", message)) == 1
        assert (by == "file") == ("mine.yaml" in message)
    assert [p for p in (tmp_path / "run").rglob("*") if p.is_file()] == []


def test_another_model_class_or_run_contradicts_the_checkpoint(
    trained: Path, data: Path, tmp_path: Path, refused
) -> None:
    """A config of another method, that of another run, and a class that was not trained."""
    ours = ["--data.root", str(data), "--run_dir", str(tmp_path / "run"), *QUIET]
    of_ours = [*ours, "--ckpt_path", str(trained / "checkpoints" / "best.ckpt")]
    message = refused("test", *of_ours, "-c", "configs/method/hilmix.yaml")
    assert [part for part in ("hilmix.yaml", "modules.EMClassifier", "modules.Classifier") if part not in message] == []
    assert fit(data, tmp_path / "other", "-c", "configs/method/hilmix.yaml") == 0
    message = refused("test", "-c", str(tmp_path / "other" / "config.yaml"), *of_ours)
    assert [part for part in ("modules.EMClassifier", "modules.Classifier") if part not in message] == []
    of_other = [*ours, "--ckpt_path", str(tmp_path / "other" / "checkpoints" / "best.ckpt")]
    message = refused("test", *of_other, "--model", "Classifier")
    assert [part for part in ("modules.EMClassifier", "modules.Classifier") if part not in message] == []


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["test", "validate", "predict"])
def test_random_weights_are_not_scored(command: str, data: Path, tmp_path: Path, refused) -> None:
    """T7."""
    assert "add --ckpt_path best, last or FILE" in refused(command, "--data.root", data, "--run_dir", tmp_path)


@pytest.mark.parametrize("given", ["last", "best", "missing.ckpt"])
def test_a_missing_checkpoint(given: str, data: Path, tmp_path: Path, refused) -> None:
    """T3."""
    for command in ("fit", "test"):
        message = refused(command, "--data.root", data, "--run_dir", tmp_path / "run", "--ckpt_path", given)
        assert f"--ckpt_path {given}: there is no file" in message
        assert "has no checkpoints (check --run_dir)" in message


def test_a_missing_checkpoint_of_a_run_lists_those_there_are(trained: Path, data: Path, refused) -> None:
    message = refused("test", "--data.root", data, "--run_dir", trained, "--ckpt_path", "epoch=7.ckpt")
    assert "['best.ckpt', 'last.ckpt']" in message


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02."])
def test_a_file_that_is_no_checkpoint(content: bytes, data: Path, tmp_path: Path, refused) -> None:
    (tmp_path / "x.ckpt").write_bytes(content)
    for command in ("fit", "test"):
        file = tmp_path / "x.ckpt"
        message = refused(command, "--data.root", data, "--run_dir", tmp_path / "run", "--ckpt_path", file)
        assert "x.ckpt cannot be read as a checkpoint" in message


def test_a_run_folder_in_use(trained: Path, data: Path, refused) -> None:
    """T16: nothing of one run is picked up by another."""
    before = parameters(trained)
    message = refused("fit", "--data.root", data, "--run_dir", trained, *QUICK)
    assert all(part in message for part in (str(trained), "already holds a run", "--run_dir", "--ckpt_path last"))
    assert all(torch.equal(parameters(trained)[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("model.lr", "0.5"),
        ("model.annotator_model", "Perfect"),
        ("data.batch_size", "7"),
        ("data.mix", "ItemMix"),
        ("data.mix.alpha", "0.7"),
        ("seed_everything", "9"),
    ],
)
def test_resume_with_other_settings(option: str, value: str, trained: Path, data: Path, refused) -> None:
    """T4."""
    message = refused(
        "fit",
        "-c",
        "configs/method/annot-mix.yaml",
        "--data.root",
        data,
        "--run_dir",
        trained,
        *QUICK,
        "--ckpt_path",
        "last",
        f"--{option}",
        value,
    )
    assert "was trained with other settings" in message
    assert f"({option}: " in message
    assert f"{value} now)" in message


def test_resume_with_weights_that_do_not_fit_names_the_file(trained: Path, data: Path, tmp_path: Path, refused) -> None:
    """The settings are those of the run, its head is not."""
    saved = torch.load(trained / "checkpoints" / "last.ckpt")
    saved["state_dict"]["head.weight"] = saved["state_dict"]["head.weight"][:, 1:]
    torch.save(saved, tmp_path / "cut.ckpt")
    args = ["-c", "configs/method/annot-mix.yaml", "--data.root", str(data), "--run_dir", str(tmp_path / "run"), *QUICK]
    message = refused("fit", *args, "--ckpt_path", str(tmp_path / "cut.ckpt"))
    assert [part for part in (str(tmp_path / "cut.ckpt"), "'head.weight'") if part not in message] == []


@pytest.mark.parametrize("name", ["num_classes", "num_annotators", "input_shape"])
def test_link_targets_are_refused_on_the_command_line_and_in_a_file(name: str, tmp_path: Path, refused) -> None:
    """T9."""
    for spelling in (f"--model.{name}", f"--model.init_args.{name}"):
        assert f"model.{name} cannot be set" in refused("fit", spelling, "3")
        assert f"model.{name} cannot be set" in refused("fit", f"{spelling}=3")
    file = tmp_path / "mine.yaml"
    file.write_text(f"model:\n  class_path: hilmix.modules.Classifier\n  init_args:\n    {name}: 3\n")
    assert f"model.init_args.{name} cannot be set" in refused("fit", "-c", file)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["fti"], "no command 'fti'"),
        (["-c", "configs/demo.yaml", "fit"], "options come after the command"),  # T18
        (["fit", "--trainer.max_epoch", "3"], "near: trainer.max_epochs"),
        (["fit", "--data.rooot", "x"], "no setting 'rooot', near: root; it has ['root', 'targets'"),
        (["fit", "--model.learning_rate", "1"], "no setting 'learning_rate'"),
        (["fit", "--model.backbone", "Resnet"], "hilmix has ['MLP', 'ReadyFeatures'"),
        (["fit", "--data.mix", "MLP"], "data.mix: there is no MixPolicy 'MLP'"),
        (["fit", "--data.mix", "ItemMix", "--data.mix.alfa", "1"], "data.mix: hilmix.ItemMix has no setting 'alfa'"),
        (["fit", "--data.batch_size", "many"], "data.batch_size: expected int, got many"),
        (["fit", "--trainer.max_epochs", "x"], "trainer.max_epochs: expected int, got x"),
        (["fit", "--model.schedule", "linear"], "`model.schedule` must be one of 'cosine', 'constant', got 'linear'"),
        (["fit", "-c", "nowhere.yaml"], "config file 'nowhere.yaml' does not exist"),
        (["fit", "-c"], "expected one argument"),
    ],
)
def test_wrong_words(args: list[str], expected: str, refused) -> None:
    assert expected in refused(*args)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("modle:\n  init_args: {lr: 1}\n", "modle"),
        ("model:\n  init_args: {learning_rate: 1}\n", "no setting 'learning_rate'; it has ['optimizer', 'lr', "),
        ("model: [\n", "is not valid YAML"),
        ("run_dir: ${nowhere}\n", "nowhere"),
    ],
)
def test_a_wrong_config_file(text: str, expected: str, tmp_path: Path, refused) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert expected in refused("fit", "-c", file)


def test_wrong_settings_are_refused_before_the_run_begins(data: Path, tmp_path: Path, refused) -> None:
    run = tmp_path / "run"
    for expected, *args in (
        ("`AnnotMix.alpha` must be > 0, got -1.0", "--data.mix", "AnnotMix", "--data.mix.alpha", "-1"),
        ("`model.lr` must be >= 0 or null, got -1.0", "--model.lr", "-1"),
        ("Adamm", "--model.optimizer", "Adamm"),
        ("nope", "--model.optimizer_kwargs", '{"nope": 1}'),
        ("`data.batch_size` must be >= 1, got 0", "--data.batch_size", "0"),
        ("abacus", "--trainer.accelerator", "abacus"),
        ("needs images", "--model.backbone", "TimmBackbone"),
        ("data.augment", "--data.augment", "crop-flip"),
        ("`data.val_fraction` must be in (0, 1) or null, got 2.0", "--data.val_fraction", "2"),
    ):
        assert expected in refused("fit", "--data.root", data, "--run_dir", run, *QUICK, *args)
        assert not run.exists()
    assert fit(data, run) == 0, "the corrected command finds the run folder free"


def csv_folder(folder: Path, **changes: pd.DataFrame | str) -> Path:
    """Twelve vectors as a user would write them; ``changes`` replace a file by name."""
    folder.mkdir()
    items = [f"i{i}" for i in range(12)]
    np.save(folder / "inputs.npy", np.random.default_rng(0).normal(size=(12, 3)))
    tables = {
        "items": pd.DataFrame({"item": items, "split": ["train"] * 6 + ["val"] * 3 + ["test"] * 3}),
        "annotations": pd.DataFrame({"item": items, "annotator": ["a", "b"] * 6, "label": ["x", "y", "y"] * 4}),
    }
    for name, table in {**tables, **changes}.items():
        if isinstance(table, pd.DataFrame):
            table.to_csv(folder / f"{name}.csv", index=False)
    (folder / "dataset.yaml").write_text(str(changes.get("yaml", "name: mine\ninput: vector\nclasses: [x, y]\n")))
    return folder


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"items": pd.DataFrame({"name": ["i0"]})}, "column 'item' is missing; found ['name']"),
        (
            {"annotations": pd.DataFrame({"item": ["i0"], "label": ["x"]})},
            "lacks the column(s) ['annotator']",
        ),
        (
            {"annotations": pd.DataFrame({"item": ["i0"], "annotator": ["a"], "label": ["q"]})},
            "annotations.csv, column 'label', row 0: 'q'",
        ),
        (
            {"annotations": pd.DataFrame({"item": ["j"], "annotator": ["a"], "label": ["x"]})},
            "annotations.csv, column 'item', row 0: 'j'",
        ),
        ({"yaml": "name: mine\ninput: sound\n"}, "'input' is 'sound'"),
        (
            {
                "items": pd.DataFrame({"item": [f"i{i}" for i in range(12)], "path": [f"{i}.png" for i in range(12)]}),
                "yaml": "name: mine\ninput: image\n",
            },
            "0.png does not exist",
        ),
    ],
)
def test_a_wrong_data_folder(changes: dict, expected: str, tmp_path: Path, refused) -> None:
    folder = csv_folder(tmp_path / "mine", **changes)
    assert expected in refused("fit", "--data.root", folder, "--run_dir", tmp_path / "run", *QUICK)


def test_no_data_folder(tmp_path: Path, refused) -> None:
    message = refused("fit", "--data.root", tmp_path / "none", "--run_dir", tmp_path / "run")
    assert "There is no data folder at" in message
    assert "hilmix data list" in message


def test_a_file_as_run_folder(data: Path, tmp_path: Path, refused) -> None:
    (tmp_path / "run").write_text("in the way")
    assert "cannot be written" in refused("fit", "--data.root", data, "--run_dir", tmp_path / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_run_folder(data: Path, tmp_path: Path, refused) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    message = refused("fit", "--data.root", data, "--run_dir", tmp_path / "closed" / "run")
    assert "cannot be written: [Errno 13]" in message


def test_a_disk_that_fills_up_while_logging(data: Path, tmp_path: Path, monkeypatch, refused) -> None:
    from lightning.pytorch.loggers.csv_logs import ExperimentWriter

    def full(self: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ExperimentWriter, "save", full)
    message = refused("fit", "--data.root", data, "--run_dir", tmp_path / "run", *QUICK)
    assert "No space left on device. Free space or choose another --run_dir" in message


def test_other_annotators_at_test_time_are_unknown_not_an_error(trained: Path, tmp_path: Path) -> None:
    other = write_vectors(tmp_path / "other", seed=5, annotators=("b", "new", "newer"))
    args = ["--data.root", str(other), "--run_dir", str(tmp_path / "run"), *QUIET]
    assert main(["test", *args, "--ckpt_path", str(trained / "checkpoints" / "best.ckpt")]) == 0
    assert "test/annotator_auroc" in json.loads((tmp_path / "run" / "metrics.json").read_text())


def test_an_error_of_ours_is_not_dressed_up(monkeypatch, data: Path, tmp_path: Path) -> None:
    """Only what the user can mend is message in a sentence; a defect keeps its traceback."""
    from hilmix.modules import Classifier

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Classifier, "training_step", broken)
    with pytest.raises(ZeroDivisionError):
        fit(data, tmp_path / "run")


def test_one_sentence_keeps_what_it_does_not_know() -> None:
    assert one_sentence("Something else.") == "Something else."


# -- true processes --------------------------------------------------------------------------------------------------


def test_python_m_hilmix_from_another_folder(data: Path, tmp_path: Path) -> None:
    done = forked("fit", "-c", "configs/method/mv.yaml", "--data.root", data, "--run_dir", "run", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()
    wrong = shell("fit", "--data.rooot", "x", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: data: ")
    assert len(wrong.stderr.splitlines()) == 1


def test_two_ranks_by_the_command_line(data: Path, tmp_path: Path) -> None:
    ranks = ["--trainer.strategy", "ddp", "--trainer.accelerator", "cpu", "--trainer.devices", "2"]
    where = ["-c", "configs/method/annot-mix.yaml", "--data.root", data, "--run_dir", tmp_path / "run"]
    done = forked("fit", *where, *QUICK, *ranks)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "run" / "csv").iterdir())) == 1
    scores = []
    for more in ([], ranks):
        scored = ["test", *map(str, where), *QUIET, "--ckpt_path", "best", *more]
        assert (forked(*scored).returncode if more else main(scored)) == 0
        scores.append(json.loads((tmp_path / "run" / "metrics.json").read_text()))
    for name, value in scores[0].items():
        if isinstance(value, float):
            assert scores[1][name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_any_moment_and_resumed(data: Path, tmp_path: Path, workers: int) -> None:
    """SIGKILL in the middle of an epoch behind the first checkpoint; dropout and annot-mix on."""
    settings = [
        "-c",
        "configs/method/annot-mix.yaml",
        "--data.root",
        data,
        "--data.batch_size",
        "2",
        *QUICK,
        "--trainer.max_epochs",
        "40",
        "--data.num_workers",
        workers,
    ]
    assert main([str(a) for a in ("fit", *settings, "--run_dir", tmp_path / "straight")]) == 0
    run, command = tmp_path / "killed", [sys.executable, "-m", "hilmix", "fit", *map(str, settings)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*command, "--run_dir", str(run)], env=environment, stderr=subprocess.DEVNULL)
    last = run / "checkpoints" / "last.ckpt"
    while not last.exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    assert process.poll() is None, "the run was over before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    reached = torch.load(last, weights_only=True)["epoch"]
    assert reached < 39
    assert main([str(a) for a in ("fit", *settings, "--run_dir", run, "--ckpt_path", "last")]) == 0
    for name, value in parameters(tmp_path / "straight").items():
        assert torch.equal(parameters(run)[name], value), name


def test_a_start_that_failed_does_not_block_its_folder(data: Path, tmp_path: Path, refused) -> None:
    run = tmp_path / "run"
    message = refused(
        "fit",
        "-c",
        "configs/method/annot-mix-hidden.yaml",
        "--data.mix.layer",
        "nowhere",
        "--data.root",
        data,
        "--run_dir",
        run,
        *QUICK,
    )
    assert "no layer 'nowhere'" in message
    assert fit(data, run) == 0


def test_a_requeued_job_goes_on_in_its_folder(trained: Path, data: Path, refused, monkeypatch) -> None:
    """SLURM starts the same command again, and Lightning finds its own hpc_ckpt; any other start is refused."""
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    claim_run_dir(trained, fresh=True)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "0")
    assert "already holds a run" in refused("fit", "--data.root", data, "--run_dir", trained, *QUICK)


def test_validation_items_without_votes_and_truth(data: Path, tmp_path: Path, refused) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    items = pd.read_parquet(root / "items.parquet")
    val = items["split"] == "val"
    items.loc[val, "target"] = None
    items.to_parquet(root / "items.parquet", index=False)
    votes = pd.read_parquet(root / "annotations.parquet")
    votes[~votes["item"].isin(items["item"][val])].to_parquet(root / "annotations.parquet", index=False)
    message = refused("fit", "--data.root", root, "--run_dir", tmp_path / "run", *QUICK)
    assert "have neither votes nor targets" in message
    assert fit(root, tmp_path / "run", "--data.val_fraction", "0.2") == 0


def test_a_trained_model_predicts_new_items_without_votes(trained: Path, data: Path, tmp_path: Path) -> None:
    """An annotator who never labelled, or none at all: the checkpoint knows the annotators."""
    new = tmp_path / "new"
    shutil.copytree(data, new)
    items = pd.read_parquet(new / "items.parquet").drop(columns="target")
    items["item"], items["split"] = "new-" + items["item"], "test"
    items.to_parquet(new / "items.parquet", index=False)
    votes = pd.read_parquet(new / "annotations.parquet")
    votes.iloc[:0].to_parquet(new / "annotations.parquet", index=False)
    best = str(trained / "checkpoints" / "best.ckpt")
    args = ["--data.root", str(new), "--run_dir", str(tmp_path / "run"), "--ckpt_path", best, *QUIET]
    assert main(["predict", *args]) == 0
    predictions = pd.read_parquet(tmp_path / "run" / "predictions.parquet")
    assert len(predictions) == 60
    np.testing.assert_allclose(predictions[["prob_x", "prob_y", "prob_z"]].sum(1), 1, atol=1e-5)


def test_resume_on_other_votes_is_refused(data: Path, tmp_path: Path, refused) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    assert fit(data, run) == 0
    shutil.copytree(data, other)
    votes = pd.read_parquet(other / "annotations.parquet")
    votes["annotator"] = votes["annotator"].replace({"a": "another"})
    votes.to_parquet(other / "annotations.parquet", index=False)
    message = refused("fit", "--data.root", other, "--run_dir", run, "--ckpt_path", "last", *QUICK)
    assert "was trained on other data: annotators" in message

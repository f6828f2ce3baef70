"""Which runs the study asks for, that one run scores what hilmix's own path scores, and that failures stay alone."""

import os
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from experiments.annotators import __main__ as annotators, grid
from experiments.annotators.job import Job, method_config
from experiments.annotators.results import read
from experiments.annotators.settings import (
    DATA,
    FAMILIES,
    FINAL_SEEDS,
    KEY,
    LEARNING_RATES,
    METHODS,
    PINNED_LR,
    SEARCH_SEEDS,
    SHIPPED,
    SHIPPED_VARIANTS,
)
from experiments.annotators.train import run
from hilmix.backbones import MLP
from hilmix.data import AnnotatedDataModule
from hilmix.data.targets import Targets
from hilmix.errors import ConfigError, DataError
from hilmix.modules import Classifier


def fake_work(job: Job) -> dict[str, Any]:
    if job.seed == 1:
        raise ZeroDivisionError("seed one")
    if job.seed == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return dict(zip(KEY, job.key, strict=True)) | {"acc": float("nan") if job.seed == 3 else 0.5, "pid": os.getpid()}


def test_the_search_is_the_same_for_every_method_and_once_per_family():
    jobs = grid.search_jobs(DATA, METHODS, None, "root")
    free = [method for method in METHODS if method not in PINNED_LR]
    assert len(jobs) == len(set(jobs)) == len(FAMILIES) * len(free) * len(LEARNING_RATES) * len(SEARCH_SEEDS)
    assert {job.data for job in jobs} == {family.searched for family in FAMILIES.values()}
    assert not any(job.tested for job in jobs)
    assert not set(SEARCH_SEEDS) & set(FINAL_SEEDS)
    assert {job.data for job in grid.search_jobs(["digits-class-65"], ["mv"], [7], "")} == {"digits-class-50"}


def test_the_final_runs_use_the_rate_of_the_family(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PINNED_LR, "hilmix", 0.02)
    search = pd.DataFrame(
        [("digits-class-50", "mv", lr, s, lr, 1.0) for lr in (0.001, 0.01) for s in (100, 101)],
        columns=["data", "method", "lr", "seed", "val_agreement", "val_vote_nll"],
    )
    jobs = grid.final_jobs(["digits-class-30"], ["mv", "hilmix"], (0, 1), "root", search)
    assert [job.key for job in jobs] == [
        ("digits-class-30", "mv", 0.01, 0),
        ("digits-class-30", "mv", 0.01, 1),
        ("digits-class-30", "hilmix", 0.02, 0),
        ("digits-class-30", "hilmix", 0.02, 1),
    ]
    assert all(job.tested for job in jobs)
    assert grid.search_jobs(DATA, ["hilmix"], None, "") == []
    with pytest.raises(ConfigError, match=r"fashion.*run `search`"):
        grid.final_jobs(["fashion-class"], ["mv"], (0,), "root", search)


def test_missing_methods_and_folders_are_named_before_anything_runs(tmp_path: Path):
    file = tmp_path / "results.csv"
    with pytest.raises(ConfigError, match=r"no file configs/method/nothing\.yaml"):
        grid.run_all([Job("digits-class", "nothing", 0.1, 0)], file, workers=1)
    with pytest.raises(DataError, match=r"fashion-class is not there; prepare it: python -m"):
        grid.run_all([Job("fashion-class", "mv", 0.1, 0, root=str(tmp_path))], file, workers=1)
    with pytest.raises(DataError, match=r"`data`.*mnits"):
        grid.run_all([Job("mnits", "mv", 0.1, 0)], file, workers=1)
    assert not file.exists()


def test_failed_and_killed_runs_are_reported_and_stop_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "results.csv"
    jobs = [Job("digits-class", "mv", 0.1, seed) for seed in range(6)]
    assert grid.run_all(jobs, file, workers=2, work=fake_work) == 2
    rows, output = read(file), capsys.readouterr().out
    assert rows["seed"].tolist() == [0, 3, 4, 5]
    assert rows["pid"].nunique() == 4  # a process each
    assert "ZeroDivisionError: seed one" in output
    assert "exit code -9" in output
    assert "not finite: run --data digits-class --method mv --lr 0.1 --seed 3" in output
    assert grid.open_jobs(jobs, file) == jobs[1:3]


def test_pinned_rates_are_those_of_the_methods_files():
    assert set(PINNED_LR) <= set(METHODS)
    for method, lr in PINNED_LR.items():
        assert method_config(method)["model"]["init_args"]["lr"] == lr


def test_a_run_uses_the_classes_that_the_file_names(monkeypatch: pytest.MonkeyPatch):
    config = method_config("mv")
    config["model"]["class_path"] = f"{__name__}.Refusing"
    monkeypatch.setattr("experiments.annotators.job.method_config", lambda name: config)
    with pytest.raises(ConfigError, match="used"):
        run(Job("digits-class", "mv", 0.01, 0))


def test_a_variant_differs_from_its_method_in_what_its_name_says(monkeypatch: pytest.MonkeyPatch):
    made: list[tuple[Any, Any]] = []
    monkeypatch.setattr(Trainer, "fit", lambda self, model, data: made.append((model, data)))
    jobs = grid.shipped_jobs(["digits-class"], SHIPPED_VARIANTS, [0], "")
    own = Job("digits-class", "hilmix", None, 0, network=SHIPPED)
    for job in (*jobs, own):
        run(job)
    *found, base = [settings_of(model, data) for model, data in made]
    assert base["folds"] == 5
    changes = {job.method: {k: v for k, v in one.items() if v != base[k]} for job, one in zip(jobs, found, strict=True)}
    assert changes == {
        "hilmix": {},
        "hilmix-in-sample": {"folds": 0},
        "hilmix-two-folds": {"folds": 2},
        "hilmix-no-em": {"warmup": 1.0},
        "hilmix-no-warmup": {"warmup": 0.0},
        "hilmix-every-1": {"every": 1},
        "hilmix-no-mixing": {"mix": "NoMix", "alpha": None},
        "hilmix-alpha-1": {"alpha": 1.0},
        "hilmix-no-shrinkage": {"strength": 1e-3},
        "hilmix-one-matrix": {"strength": 1e6},
        "hilmix-independent": {"dependence": 0.0},
        "hilmix-one-answer": {"dependence": 1.0},
    }


def settings_of(model: Any, data: Any) -> dict[str, Any]:
    who, mix = model.annotator_model, data.mix
    return {
        "lr": model.lr,
        "scaling": model.optimization.lr_scaling,
        "mix": type(mix).__name__,
        "targets": type(data.targets).__name__,
        "annotators": type(who).__name__,
        "alpha": getattr(mix, "alpha", None),
        "folds": len(getattr(model, "out_of_fold", None) or ()),
        **{name: getattr(model, name, None) for name in ("warmup", "every")},
        **{name: getattr(who, name, None) for name in ("strength", "dependence")},
    }


class Refusing(Classifier):
    """Says that it was made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise ConfigError("used")


class Epochs(Callback):
    """Validation metrics after every epoch."""

    def __init__(self) -> None:
        self.output: list[tuple[float, float]] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        values = trainer.callback_metrics
        self.output.append((float(values["val/agreement"]), float(values["val/vote_nll"])))


def test_a_run_scores_what_trainer_test_scores(monkeypatch: pytest.MonkeyPatch):
    family = FAMILIES["digits-class"]
    monkeypatch.setitem(FAMILIES, "digits-class", family._replace(training=family.training._replace(epochs=4)))
    row = run(Job("digits-class", "soft", 0.01, 3))
    seed_everything(3, verbose=False)
    soft = {"class_path": "hilmix.data.targets.Aggregated", "init_args": {"by": "soft"}}
    data = AnnotatedDataModule("digits-class", targets=Targets.from_spec(soft))
    model = Classifier(10, 1, data.input_shape, MLP([128], dropout=0.5), lr=0.01, weight_decay=1e-4)
    epochs = Epochs()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = Trainer(max_epochs=4, num_sanity_val_steps=0, enable_model_summary=False, callbacks=[epochs], **quiet)
    trainer.fit(model, data)
    (scores,) = trainer.test(model, data, verbose=False)
    for name in ("acc", "nll", "brier", "ece"):
        assert row[name] == pytest.approx(scores[f"test/{name}"], abs=2e-6), name
    best = max(range(4), key=lambda i: (epochs.output[i][0], -epochs.output[i][1]))
    assert row["best_epoch"] == best
    assert (row["best_val_agreement"], row["best_val_vote_nll"]) == pytest.approx(epochs.output[best], abs=2e-6)
    assert (row["val_agreement"], row["val_vote_nll"]) == pytest.approx(epochs.output[-1], abs=2e-6)
    votes = data.data.annotations.subset(data.rows("train"))
    assert row["wrong_votes"] == pytest.approx((votes.label != data.data.target[votes.item]).mean(), abs=2e-6)
    searched = run(Job("digits-class", "soft", 0.01, 3, tested=False))
    assert searched.items() >= {k: row[k] for k in (*KEY, "val_agreement", "best_epoch")}.items()
    assert "acc" not in searched
    assert "best_acc" not in searched


def test_a_run_that_diverges_has_no_scores(monkeypatch: pytest.MonkeyPatch):
    family = FAMILIES["digits-class"]
    monkeypatch.setitem(FAMILIES, "digits-class", family._replace(training=family.training._replace(epochs=1)))
    row = run(Job("digits-class", "annot-mix-item", 1e30, 0))
    assert pd.isna([row[name] for name in ("acc", "ece", "annotator_auroc", "label_error_ap", "temperature")]).all()
    assert "best_epoch" not in row


def test_one_run_by_the_command_line_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"data": "digits-class", "method": "mv", "lr": 0.1, "seed": 0, "acc": 0.5}
    monkeypatch.setattr("experiments.annotators.__main__.run", lambda job: row)
    argv = ["run", "--data", "digits-class", "--method", "mv", "--lr", "0.1", "--out", str(tmp_path / "rows.csv")]
    monkeypatch.setattr("sys.argv", ["annotators", *argv])
    assert annotators.main() == 0
    assert pd.read_csv(tmp_path / "rows.csv").to_dict("records") == [row]

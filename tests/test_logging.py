"""Offline W&B: what the callbacks log is read back from the run's log file."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger

from hilmix import logging as board
from hilmix.callbacks import AnnotatorReport, CalibrationReport, LabelErrors, LabelIssues
from tests.callbacks.toy import Toy, toy_data, toy_datamodule, toy_trainer


def read_back(log: Path, *options: str) -> str:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", *options, "--json", str(log)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    import wandb

    wandb.teardown()  # its settings are those of the environment when first used, maybe of another test
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staged"))  # where table images wait for a sync
    yield wandb
    wandb.finish()


def test_offline_run_holds_figures_table_and_scores(tmp_path, wandb):
    logger = WandbLogger(offline=True, save_dir=str(tmp_path), project="hilmix-test")
    callbacks = [CalibrationReport(), LabelErrors(top=5), AnnotatorReport()]
    callbacks.append(LabelIssues("val", by="predicted_other", top=2))
    trainer = toy_trainer(tmp_path, callbacks, logger=[CSVLogger(str(tmp_path), name="csv"), logger])
    trainer.fit(Toy(), datamodule=toy_datamodule(toy_data(images=True), tmp_path))
    wandb.finish()
    (log,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    summary = read_back(log, "--summary")
    for key in ("figures/reliability", "figures/annotators", "tables/label_errors", "val/temperature"):
        assert key in summary
    assert len(list(log.parent.glob("files/media/images/figures/*.png"))) == 4
    (file,) = log.parent.glob("files/media/table/tables/label_errors*.table.json")
    table = json.loads(file.read_text())
    assert table["columns"][:4] == ["image", "item", "annotator", "label"]
    errors = pd.read_parquet(tmp_path / "label_errors.parquet")
    contradicted = errors[errors["label"].astype(object) != errors["suggested"].astype(object)].drop_duplicates("item")
    assert [row[1] for row in table["data"]] == contradicted["item"].head(5).tolist()
    records = [json.loads(line) for line in read_back(log).splitlines()]
    (contents,) = (
        record["artifact"]["manifest"]["contents"]
        for record in records
        if record["type"] == "artifact" and "label_errors" in record["artifact"]["name"]
        if record["artifact"]["type"] != "diagnostics"  # of the table
    )
    assert sum(entry["path"].startswith("media/images/") for entry in contents) == 5
    artifacts = {record["artifact"]["name"]: record["artifact"] for record in records if record["type"] == "artifact"}
    for name, files in {
        "label_errors": ["label_errors.parquet"],
        "label_issues": ["label_issues.parquet"],
        "annotator_report": ["annotators.parquet", "confusion.parquet"],
    }.items():
        (full,) = (a for key, a in artifacts.items() if key.startswith(f"{name}-") and a["type"] == "diagnostics")
        assert [entry["path"] for entry in full["manifest"]["contents"]] == files
    (file,) = log.parent.glob("files/media/table/tables/label_issues*.table.json")
    issues = pd.read_csv(tmp_path / "label_issues.csv")
    assert [row[1] for row in json.loads(file.read_text())["data"]] == issues["item"].unique()[:2].tolist()


def test_without_a_board_nothing_happens(tmp_path):
    trainer = toy_trainer(tmp_path, [])
    board.log_table(trainer, "a", pd.DataFrame({"x": [1]}))
    board.log_image(trainer, "b", tmp_path / "no.png")
    board.log_files(trainer, "predictions", [tmp_path / "no.csv"])
    assert board.wandb_logger(trainer) is None
    assert not list(tmp_path.iterdir())


def test_all_commands_of_a_run_folder_log_into_one_run(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    loggers = [WandbLogger(offline=True, save_dir=str(tmp_path)) for _ in range(2)]
    for logger in loggers:  # fit, then test
        board.name_run([logger], folder, "digits", {"method": "ds"})
    first, second = (logger._wandb_init for logger in loggers)
    assert first["id"] == second["id"]
    assert (first["name"], first["group"], first["tags"]) == ("mine", "digits", ["method: ds"])
    (tmp_path / "other").mkdir()
    other = WandbLogger(offline=True, save_dir=str(tmp_path))
    board.name_run([other], tmp_path / "other", "digits", {})
    assert other._wandb_init["id"] != first["id"]


def test_what_the_user_names_stays(tmp_path):
    logger = WandbLogger(offline=True, save_dir=str(tmp_path), name="n", id="i", group="g", tags=["t"])
    board.name_run([logger], tmp_path, "digits", {"method": "ds"})
    given = logger._wandb_init
    assert (given["name"], given["id"], given["group"], given["tags"]) == ("n", "i", "g", ["t"])


def test_tensorboard_gets_the_figures_and_scalars(tmp_path):
    pytest.importorskip("tensorboard", reason="needs tensorboard (pip install 'hilmix[boards]')")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(str(tmp_path), name="tb", version="")
    trainer = toy_trainer(tmp_path, [CalibrationReport(), AnnotatorReport()], logger=logger)
    trainer.fit(Toy(), datamodule=toy_datamodule(toy_data(), tmp_path))
    logger.experiment.flush()
    found = EventAccumulator(str(tmp_path / "tb"))
    found.Reload()
    assert set(found.Tags()["images"]) == {"figures/reliability", "figures/annotators"}
    assert "val/temperature" in found.Tags()["scalars"]


def test_mlflow_gets_the_figures_files_and_scalars(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="needs MLflow (pip install 'hilmix[boards]')")
    pytest.importorskip("sqlalchemy", reason="needs SQLAlchemy (pip install 'hilmix[boards]')")
    monkeypatch.chdir(tmp_path)
    logger = MLFlowLogger("toy", tracking_uri=f"sqlite:///{tmp_path}/m.db", artifact_location=str(tmp_path / "kept"))
    trainer = toy_trainer(tmp_path, [CalibrationReport(), LabelErrors()], logger=logger)
    trainer.fit(Toy(), datamodule=toy_datamodule(toy_data(), tmp_path))
    kept = {
        str(path.relative_to(tmp_path / "kept" / logger.run_id / "artifacts"))
        for path in (tmp_path / "kept").rglob("*.p*")
    }
    assert kept == {"figures/reliability.png", "label_errors/label_errors.parquet"}
    assert "val/temperature" in logger.experiment.get_run(logger.run_id).data.metrics

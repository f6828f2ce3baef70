"""Offline W&B: what the callbacks log is read back from the run's log file."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.loggers import CSVLogger, WandbLogger

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
    for key in ("diagnostics/reliability", "diagnostics/annotators", "diagnostics/label_errors", "val/temperature"):
        assert key in summary
    assert len(list(log.parent.glob("files/media/images/diagnostics/*.png"))) == 4
    (file,) = log.parent.glob("files/media/table/diagnostics/label_errors*.table.json")
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
    )
    assert sum(entry["path"].startswith("media/images/") for entry in contents) == 5
    artifacts = {record["artifact"]["name"]: record["artifact"] for record in records if record["type"] == "artifact"}
    for name, files in {
        "label_issues": ["label_issues.parquet"],
        "annotator_report": ["annotators.parquet", "confusion.parquet"],
    }.items():
        (full,) = (artifact for key, artifact in artifacts.items() if key.startswith(f"{name}-"))
        assert [entry["path"] for entry in full["manifest"]["contents"]] == files
    (file,) = log.parent.glob("files/media/table/diagnostics/label_issues*.table.json")
    issues = pd.read_csv(tmp_path / "label_issues.csv")
    assert [row[1] for row in json.loads(file.read_text())["data"]] == issues["item"].unique()[:2].tolist()


def test_without_a_board_nothing_happens(tmp_path):
    trainer = toy_trainer(tmp_path, [])
    board.log_table(trainer, "a", pd.DataFrame({"x": [1]}))
    board.log_image(trainer, "b", np.zeros((2, 2), dtype=np.uint8), caption="nothing")
    assert board.wandb_logger(trainer) is None
    assert not list(tmp_path.iterdir())

"""The report: complete from the files alone, self-contained, and clear about what is missing."""

import io
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from lightning.pytorch.loggers import CSVLogger
from rich.console import Console

from hilmix import plotting
from hilmix.callbacks import AnnotatorReport, CalibrationReport, LabelErrors, MetricsFile, ReportFiles
from hilmix.cli import main
from hilmix.errors import RunError
from hilmix.report import build_report, read_run, summarize
from tests.callbacks.toy import Toy, toy_data, toy_datamodule, toy_trainer


def train(
    folder: Path, *, test: bool = True, truth: bool = True, images: bool = True, exchangeable: bool = False
) -> Path:
    callbacks = [CalibrationReport(), LabelErrors(), AnnotatorReport(), MetricsFile(), ReportFiles()]
    trainer = toy_trainer(folder, callbacks, logger=CSVLogger(str(folder), name="csv"))
    data = toy_data(truth=truth, images=images, exchangeable=exchangeable)
    model, datamodule = Toy(), toy_datamodule(data, folder)
    trainer.fit(model, datamodule=datamodule)
    if test:
        trainer.test(model, datamodule=datamodule, verbose=False)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``trained(**settings)`` returns the folder of a run, which is trained once."""
    return cache(lambda **settings: train(tmp_path_factory.mktemp("trained"), **settings))


@pytest.fixture
def make_run(trained: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """``make_run(**settings)`` returns a copy of the run, for this test alone."""
    return lambda **settings: shutil.copytree(trained(**settings), tmp_path, dirs_exist_ok=True)


def printed(folder) -> str:
    console = Console(file=io.StringIO(), width=200)
    summarize(folder, console=console)
    return console.file.getvalue()


def test_everything_is_in_the_page_and_nothing_is_fetched(make_run, tmp_path):
    page = build_report(make_run()).read_text()
    titles = ("Data", "Confused classes", "Wrong predictions", "Suspicious labels", "Calibration", "Annotators")
    for title in (*titles, "Terms", "Files and settings"):
        assert f">{title}</h2>" in page
    evaluation = pd.read_parquet(tmp_path / "evaluation_test.parquet")
    wrong = evaluation["target"].notna() & (
        evaluation["predicted"].astype(object) != evaluation["target"].astype(object)
    )
    suspects = len(pd.read_parquet(tmp_path / "label_errors_pictures.parquet"))
    assert len(re.findall(r'<img src="data:image/png;base64,', page)) == wrong.sum() + suspects
    addresses = re.findall(r"""(?:src|href)=["']([^"']*)["']""", page)
    assert all(address.startswith(("data:image/", "#")) or (tmp_path / address).is_file() for address in addresses)
    assert not re.search(r"url\(|@import|https?:|<link|<script src", re.sub(r'src="data:[^"]*"', "", page))
    assert "default-src 'none'" in page  # the browser itself would refuse a request
    assert "person-" in page
    assert "true classes of" in page


def test_terminal_summary_names_what_matters(make_run, tmp_path):
    text = printed(make_run())
    worst = pd.read_csv(tmp_path / "annotators.csv").query("labels > 0").sort_values("estimated_accuracy")
    suspect = pd.read_parquet(tmp_path / "label_errors.parquet")
    suspect = suspect[suspect["label"].astype(object) != suspect["suggested"].astype(object)].iloc[0]
    for word in ("accuracy", "ECE at temperature", worst["annotator"].iloc[0], suspect["item"], "report.html"):
        assert word in text


@pytest.mark.parametrize("settings", [{"test": False}, {"truth": False}, {"images": False}, {"exchangeable": True}])
def test_what_is_missing_is_left_out(make_run, settings):
    text = printed(make_run(**settings))
    assert ("validation items" in text) or settings.get("test", True)
    assert ("Least reliable annotators" in text) != settings.get("exchangeable", False)
    assert ("judged by votes" in text) == (not settings.get("truth", True))


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setattr(plotting, "available", lambda: False)
    page = build_report(train(tmp_path)).read_text()
    assert not list(tmp_path.glob("*.png"))
    assert "Reliability diagram" in page


def test_names_are_escaped(make_run, tmp_path):
    make_run(test=False)
    table = pd.read_parquet(tmp_path / "annotators.parquet")
    table["annotator"] = "<script>alert(1)</script>"
    table.to_parquet(tmp_path / "annotators.parquet")
    page = build_report(tmp_path).read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "[/bold]" not in printed(tmp_path)


def test_attempts_are_read_in_order(tmp_path):
    for version, value in (("version_10", 3.0), ("version_9", 2.0)):
        (tmp_path / "csv" / version).mkdir(parents=True)
        row = pd.DataFrame({"epoch": [0], "step": [1], "val/acc": [value]})
        row.to_csv(tmp_path / "csv" / version / "metrics.csv", index=False)
    assert read_run(tmp_path).headline == {"acc": 3.0}


def test_no_run_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    with pytest.raises(RunError, match="holds no results"):
        read_run(tmp_path)
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.startswith("error: There is no run folder at")


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(RunError, match=r"Cannot read .*metrics\.json"):
        read_run(tmp_path)

"""Reports on many classes: a table that would fill the memory is left out before it is allocated, with a line."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from hilmix.annotations import Annotations
from hilmix.cli import main
from hilmix.data import AnnotatedData, ArrayInputs, write_folder
from hilmix.diagnostics import CleanPass, fit_pass_temperature, item_table, label_table, prediction_table
from hilmix.errors import SizeError
from hilmix.functional import sizes
from tests.helpers import QUIET, fit

pytestmark = pytest.mark.usefixtures("blank_figures")

K = 2000
SPLIT = np.array(["train", "val", "train", "test"] * 15)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 items in 2,000 classes, two labels each: a pass over the 30 training items is 1.44 MB, all labels 4.8 MB."""
    rng = np.random.default_rng(0)
    item, annotator = np.repeat(np.arange(60), 2), np.tile([0, 1, 1, 2], 30)
    votes = Annotations.build(item, annotator, item * 7 % K, num_items=60, classes=K, annotators=3)
    inputs = ArrayInputs(rng.normal(size=(60, 4)).astype(np.float32), "vector")
    target = np.arange(60) * 7 % K
    names = tuple(f"i{i}" for i in range(60))
    return write_folder(
        AnnotatedData("wide", names, inputs, votes, target, SPLIT), tmp_path_factory.mktemp("d") / "wide"
    )


def written(run: Path) -> set[str]:
    names = ("calibration.csv", "label_errors.parquet", "label_errors_items.parquet", "annotators.csv")
    return {name for name in (*names, "confusion.parquet") if (run / name).exists()}


@pytest.mark.parametrize(
    ("room", "kept"),
    [
        (1.2e6, set()),
        (4.5e6, {"annotators.csv", "calibration.csv"}),
        (
            2e9,
            {
                "annotators.csv",
                "calibration.csv",
                "confusion.parquet",
                "label_errors.parquet",
                "label_errors_items.parquet",
            },
        ),
    ],
)
def test_a_run_keeps_what_fits(room: float, kept: set[str], data: Path, tmp_path: Path, monkeypatch, caplog, capsys):
    monkeypatch.setattr(sizes, "memory", lambda: int(room / sizes.SHARE))
    assert fit(data, tmp_path, "-c", "configs/method/mv.yaml") == 0
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()
    assert written(tmp_path) == kept
    output = [record.getMessage() for record in caplog.records if "GiB" in record.getMessage()]
    reports = {"CalibrationReport": "calibration.csv", "LabelErrors": "label_errors.parquet"}
    reports |= {"AnnotatorReport": "annotators.csv"}
    for report, file in reports.items():
        lines = [line for line in output if line.startswith(f"{report} is left out")]
        assert len(lines) == (file not in kept), report
        assert all("2,000 classes" in line for line in lines)
    caplog.clear()
    run = ["--run_dir", str(tmp_path), "--ckpt_path", "last", *QUIET]
    assert main(["test", *run]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["evaluated"]["items"] == 15
    assert ("test/temperature" in metrics) == ("calibration.csv" in kept)
    capsys.readouterr()
    assert main(["predict", *run]) == (0 if room > 1e7 else 2)
    assert (tmp_path / "predictions.parquet").exists() == (room > 1e7)
    if room < 1e7:
        assert "GiB for 60 items, 2,000 classes" in capsys.readouterr().err


@pytest.mark.parametrize("table", ["labels", "items", "predictions", "temperature"])
def test_tables_of_50000_classes_are_refused_before_they_are_allocated(table: str, monkeypatch) -> None:
    n, per_item, k = 20, 10, 50_000
    item = np.repeat(np.arange(n), per_item)
    votes = Annotations.build(item, np.tile(np.arange(per_item), n), item, num_items=n, classes=k, annotators=per_item)
    data = AnnotatedData("wide", tuple(map(str, range(n))), ArrayInputs(np.zeros((n, 1)), "vector"), votes)
    row, pairs = votes.gather(np.arange(n))
    logits = np.zeros((n, k), dtype=np.float32)
    result = CleanPass(
        np.arange(n),
        pairs,
        row,
        np.ones(n, dtype=bool),
        logits,
        np.zeros(len(pairs), np.float32),
        None,
        None,
        None,
        None,
    )
    make = {
        "labels": lambda: label_table(data, result),
        "items": lambda: item_table(data, result),
        "predictions": lambda: prediction_table(data, np.full(n, "train"), result),
        "temperature": lambda: fit_pass_temperature(data, result),
    }
    monkeypatch.setattr(sizes, "memory", lambda: 2**26)
    tracemalloc.start()
    with pytest.raises(SizeError, match=r"GiB for 20 items, 50,000 classes"):
        make[table]()
    assert tracemalloc.get_traced_memory()[1] < 2**19
    tracemalloc.stop()

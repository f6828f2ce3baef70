"""Two ranks with uneven shares write the files of one process."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilmix.callbacks import AnnotatorReport, CalibrationReport, LabelErrors, MetricsFile, PredictionFile, ReportFiles
from tests.callbacks.toy import Toy, toy_data, toy_datamodule, toy_trainer


def run(folder: Path, **settings) -> None:
    """Fit, test and predict with every callback."""
    datamodule, model = toy_datamodule(toy_data(), folder / f"rank-{os.environ.get('RANK', 0)}"), Toy(scale=1.5)
    callbacks = [CalibrationReport(), LabelErrors(), AnnotatorReport(), MetricsFile(), PredictionFile(), ReportFiles()]
    toy_trainer(folder, callbacks, **settings).fit(model, datamodule=datamodule)
    toy_trainer(folder, callbacks, **settings).test(model, datamodule=datamodule, verbose=False)
    toy_trainer(folder, callbacks, **settings).predict(model, datamodule=datamodule, return_predictions=False)


def one_of_two(rank: int, folder: Path) -> int:
    """Runs as torchrun would start it; the process group exists already."""
    environment = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": 2,
        "LOCAL_WORLD_SIZE": 2,
        "GROUP_RANK": 0,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": 1,
        "TORCHELASTIC_RUN_ID": "test",
    }
    os.environ.update({name: str(value) for name, value in environment.items()})
    run(folder, strategy="ddp", devices=2)
    return rank


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_two_ranks_write_what_one_writes(tmp_path, run_ranks):
    run(tmp_path / "one")
    assert run_ranks(one_of_two, tmp_path / "two") == [0, 1]
    names = [p.name for p in (tmp_path / "one").iterdir() if p.suffix in (".csv", ".parquet")]
    assert len(names) == 12
    for name in names:
        read = pd.read_csv if name.endswith("csv") else pd.read_parquet
        left, right = (read(tmp_path / folder / name) for folder in ("one", "two"))
        for table in (left, right):
            table.drop(columns="step", errors="ignore", inplace=True)  # half the steps on two ranks
        if "p_right" in left:
            for a, b in zip(left.pop("p_right"), right.pop("p_right"), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5)
            for column in ("labels", "annotators"):
                assert [list(v) for v in left.pop(column)] == [list(v) for v in right.pop(column)]
        pd.testing.assert_frame_equal(left, right, rtol=1e-5, atol=1e-6, obj=name)

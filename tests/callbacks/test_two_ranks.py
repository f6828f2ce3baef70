"""Two ranks with uneven shares write the files of one process."""

import numpy as np
import pandas as pd
import pytest

from hilmix.callbacks import AnnotatorReport, CalibrationReport, LabelErrors, MetricsFile, PredictionFile
from tests.callbacks.toy import Toy, toy_data, toy_datamodule, toy_trainer


def run(folder, **settings):
    folder.mkdir()
    datamodule, model = toy_datamodule(toy_data(), folder), Toy(scale=1.5)
    callbacks = [CalibrationReport(), LabelErrors(), AnnotatorReport(), MetricsFile(), PredictionFile()]
    toy_trainer(folder, callbacks, **settings).fit(model, datamodule=datamodule)
    toy_trainer(folder, callbacks, **settings).test(model, datamodule=datamodule, verbose=False)
    toy_trainer(folder, callbacks, **settings).predict(model, datamodule=datamodule, return_predictions=False)
    return {path.name: path for path in folder.iterdir() if path.suffix in (".csv", ".parquet")}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_ranks_write_what_one_writes(tmp_path):
    one = run(tmp_path / "one")
    two = run(tmp_path / "two", strategy="ddp_spawn", devices=2)
    assert set(one) == set(two)
    assert len(one) == 9
    for name in one:
        read = pd.read_csv if name.endswith("csv") else pd.read_parquet
        left, right = read(one[name]), read(two[name])
        if "p_right" in left:
            for a, b in zip(left.pop("p_right"), right.pop("p_right"), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5)
            for column in ("labels", "annotators"):
                assert [list(v) for v in left.pop(column)] == [list(v) for v in right.pop(column)]
        pd.testing.assert_frame_equal(left, right, rtol=1e-5, atol=1e-6, obj=name)

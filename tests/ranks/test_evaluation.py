"""One checkpoint has the same metrics, predictions and reports on any number of ranks, in batches of any size."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Callback

from hilmix import plotting
from hilmix.callbacks import (
    AnnotatorReport,
    CalibrationReport,
    LabelErrors,
    MaskSensitivity,
    MetricsFile,
    PredictionFile,
)
from hilmix.data import AnnotatedDataModule
from tests.ranks.every_config import CONFIGS, as_torchrun, build, small_folder, trainer

SOME = CONFIGS[::5]
DOUBLE = "64-true"
"""Of all configs: in float32 the rounding of a network in batches of another size exceeds 1e-6 for some."""
FILES = {"metrics.json", "calibration.csv", "reliability.csv", "predictions.parquet", "label_errors.parquet"}
KEYS = {"label_errors.parquet": ["item", "annotator"], "label_errors_items.parquet": ["item"]}


class ReportsOfFit(Callback):
    """Writes in ``test`` what ``fit`` writes at its end."""

    def on_test_end(self, trainer, pl_module) -> None:
        for report in (LabelErrors(), AnnotatorReport()):
            report.report_fit(trainer, pl_module)


def evaluate(
    folder: Path, root: Path, config: str, state: Path, ranks: int, precision: Any = "32-true", **loading: Any
) -> None:
    """Writes every file of ``test`` and ``predict``, and the reports of ``fit``."""
    model, data = build(config, root, **loading)
    data.__class__ = Shuffled if "batch_size" in loading else AnnotatedDataModule
    model.load_state_dict(torch.load(state))
    callbacks = [CalibrationReport(), MaskSensitivity(), MetricsFile(), ReportsOfFit()]
    trainer(folder, ranks, callbacks, precision=precision).test(model, datamodule=data, verbose=False)
    predicting = trainer(folder, ranks, [PredictionFile()], precision=precision)
    predicting.predict(model, datamodule=data, return_predictions=False)


def checkpoints(folder: Path, root: Path, configs: list[str]) -> None:
    """Of every config the weights at the start, where nearly all scores are equal, and those after an epoch."""
    for config in configs:
        model, data = build(config, root)
        for stage in ("start", "epoch"):
            if stage == "epoch":
                trainer(folder, 1, [], max_epochs=1, limit_val_batches=0).fit(model, datamodule=data)
            path = folder / "state" / f"{config}-{stage}.pt"
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(model.state_dict(), path)


class Shuffled(AnnotatedDataModule):
    """Hands out held-out items in another order."""

    def _loader(self, dataset, sampler):
        order = np.random.default_rng(1).permutation(len(dataset)).tolist()
        return super()._loader(dataset, order if sampler is None else sampler)


def evaluate_all(rank: int, ranks: int, folder: Path, root: Path, configs: list[str], precision: str) -> int:
    if ranks > 1:
        as_torchrun(rank, ranks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plotting, "available", lambda: False)
        for config in configs:
            for stage in ("start", "epoch"):
                run = folder / f"on-{ranks}" / config / stage
                evaluate(run, root, config, folder / "state" / f"{config}-{stage}.pt", ranks, precision)
    return rank


def values_of(path: Path) -> dict[str, list[Any]]:
    """Columns of a file, lists flattened, rows by their key."""
    if path.suffix == ".json":
        return {name: [value] for name, value in json.loads(path.read_text()).items()}
    table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    if path.name in KEYS:
        table = table.sort_values(KEYS[path.name], kind="stable")
    columns = {name: column.to_list() for name, column in table.items()}
    return {name: [v.tolist() if isinstance(v, np.ndarray) else v for v in column] for name, column in columns.items()}


def differences(left: Path, right: Path) -> list[str]:
    """Names files and columns that are not equal to 1e-6."""
    files = sorted(path.name for path in left.iterdir() if path.suffix in (".json", ".csv", ".parquet"))
    assert files == sorted(path.name for path in right.iterdir() if path.suffix in (".json", ".csv", ".parquet"))
    assert set(files) >= FILES
    found = []
    for name in files:
        a, b = values_of(left / name), values_of(right / name)
        if list(a) != list(b):
            found.append(f"{name}: {set(a) ^ set(b)}")
        found += [f"{name}: {key}" for key in a if key in b and not _equal(a[key], b[key])]
    return found


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return bool(np.isclose(a, b, rtol=0, atol=1e-6, equal_nan=True))
    return bool(a == b)


def check(
    configs: list[str], folder: Path, run_ranks: Any, *, ranks: tuple[int, ...], precision: str = "32-true"
) -> None:
    root = small_folder(folder / "data")
    checkpoints(folder, root, configs)
    evaluate_all(0, 1, folder, root, configs, precision)
    for number in ranks:
        run_ranks(evaluate_all, number, folder, root, configs, precision, ranks=number)
    found = {
        f"{config} {stage} on {number}": wrong
        for number in ranks
        for config in configs
        for stage in ("start", "epoch")
        if (wrong := differences(*(folder / f"on-{n}" / config / stage for n in (1, number))))
    }
    assert not found


SIZES = [(1, 3, 64)[i % 3] for i in range(len(CONFIGS))]
SHORT = [(size, config, "32-true") for size, config in zip((1, 3, 64), SOME[-3:], strict=True)]
EVERY = [(size, config, DOUBLE) for size, config in zip(SIZES, CONFIGS, strict=True)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("size", "config", "precision"), [*SHORT, *(pytest.param(*case, marks=pytest.mark.slow) for case in EVERY)]
)
def test_batch_size_and_order_change_nothing(size, config, precision, tmp_path, monkeypatch):
    monkeypatch.setattr(plotting, "available", lambda: False)
    root = small_folder(tmp_path / "data")
    checkpoints(tmp_path, root, [config])
    for stage in ("start", "epoch"):
        state = tmp_path / "state" / f"{config}-{stage}.pt"
        evaluate(tmp_path / "plain" / stage, root, config, state, 1, precision)
        evaluate(tmp_path / "other" / stage, root, config, state, 1, precision, batch_size=size)
        assert not differences(tmp_path / "plain" / stage, tmp_path / "other" / stage)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("blank_figures")
def test_some_configs_are_evaluated_alike_on_two_ranks(tmp_path, run_ranks):
    check(SOME, tmp_path, run_ranks, ranks=(2,))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_all_configs_are_evaluated_alike_on_two_and_three_ranks(tmp_path, run_ranks):
    check(CONFIGS, tmp_path, run_ranks, ranks=(2, 3), precision=DOUBLE)

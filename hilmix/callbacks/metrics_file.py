"""The test metrics as a file and a table in the terminal."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich import box
from torch import Tensor

from hilmix.callbacks.files import run_folder
from hilmix.callbacks.weights import weights_of
from hilmix.diagnostics.trainer_pass import datamodule_of
from hilmix.diagnostics.weights import with_weights
from hilmix.files import write_json
from hilmix.terminal import Grid, say, terminal
from hilmix.types import UNKNOWN, StepOutput

METRICS = "metrics.json"


class MetricsFile(Callback):
    """Writes ``metrics.json`` after ``test`` and prints the metrics.

    The file holds every finite ``test/...`` metric, ``truth`` (whether any test item has a true class) and
    ``evaluated`` (the numbers of test items that were scored, of those with truth, and of their votes) and
    ``weights``: the checkpoint that was tested, its epoch (from 0) and step. What cross-fitting wrote stays.
    """

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._counts = torch.zeros(3, dtype=torch.int64)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: StepOutput,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        truths = int((outputs.target != UNKNOWN).sum())
        # Counted from what was scored, not from the table: `limit_test_batches` may score less.
        self._counts += torch.tensor([len(outputs.index), truths, len(outputs.row)])

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Here, where all ranks are; on_test_end writes on the first alone.
        everywhere = trainer.strategy.reduce(self._counts.to(trainer.strategy.root_device), reduce_op="sum")
        self._counts = torch.as_tensor(everywhere).cpu()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        values = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        values = {name: value for name, value in values.items() if name.startswith("test/") and math.isfinite(value)}
        evaluated = _evaluated(trainer, self._counts)
        path = run_folder(trainer) / METRICS
        weights = weights_of(trainer)._asdict()
        truth = evaluated["items_with_truth"] > 0
        found = {**values, "truth": truth, "evaluated": evaluated, "weights": weights}
        write_json({**_out_of_fold(path), **found}, path)
        console = terminal()
        say(console, with_weights(_headline(evaluated), weights))
        console.print(_table(values))
        say(console, f"Written to {path}")


def _out_of_fold(path: Path) -> dict[str, Any]:
    """Reads the metrics that OutOfFoldFile wrote when the run was trained."""
    written = json.loads(path.read_text()) if path.is_file() else {}
    return {name: value for name, value in written.items() if name.startswith("out_of_fold")}


def _evaluated(trainer: Trainer, counts: Tensor) -> dict[str, Any]:
    names = ("items", "items_with_truth", "votes")
    scored = dict(zip(names, counts.tolist(), strict=True))
    return {"data": datamodule_of(trainer).data.name, "split": "test", **scored}


def _headline(evaluated: dict[str, Any]) -> str:
    known = evaluated["items_with_truth"]
    against = f"{known:,} of them with truth" if known else "none with truth: judged by votes"
    return f"{evaluated['data']}: {evaluated['items']:,} test items, {against}, {evaluated['votes']:,} votes"


def _table(values: dict[str, float]) -> Grid:
    table = Grid("metric", "value", right=("value",), box=box.HEAVY_HEAD)
    for name, value in values.items():
        table.add_row(name, f"{value:.4f}")
    return table

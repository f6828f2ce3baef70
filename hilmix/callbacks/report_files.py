"""Files for the report of a run beyond those of other callbacks."""

from functools import partial
from typing import Any

import numpy as np
from lightning.pytorch import LightningModule, Trainer

from hilmix.callbacks.files import run_folder
from hilmix.callbacks.fit_report import FitReport
from hilmix.callbacks.weights import weights_of
from hilmix.checks import NonNegativeInt, check_value
from hilmix.diagnostics.clean_pass import CleanPass, Collector
from hilmix.diagnostics.evaluation import describe_model, describe_run_data, evaluation_table, wrong_predictions
from hilmix.diagnostics.thumbnails import picture_table
from hilmix.diagnostics.trainer_pass import clean_pass, datamodule_of, require_pass, sum_over_ranks
from hilmix.files import write_json, write_table
from hilmix.types import StepOutput


class ReportFiles(FitReport):
    """Writes one row per evaluated item, the pictures of wrong predictions, and facts about the data.

    Files in the run folder: ``evaluation_val.parquet`` after ``fit`` and ``evaluation_test.parquet`` in ``test`` (item,
    predicted class, confidence, majority vote, and where it is known the true class with its probability),
    ``evaluation_val_pictures.parquet`` and its like (small pictures of the wrong predictions, for images), and
    ``facts.json`` (sizes, agreement, and the scores of the majority vote, by split).

    Args:
        top: most wrong predictions that get a picture.
    """

    def __init__(self, top: NonNegativeInt = 24) -> None:
        check_value("ReportFiles.top", top, NonNegativeInt)
        self.top = top
        self._collector: Collector | None = None

    def report_fit(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, pl_module, "val", clean_pass(trainer, pl_module, "val"))

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._collector = None
        datamodule = datamodule_of(trainer)
        chosen, votes = datamodule.split == "test", datamodule.data.annotations
        with self.or_none(trainer):
            require_pass(trainer, votes, chosen, "The table of test items")
            self._collector = Collector(votes, np.flatnonzero(chosen), likelihood=False, confusion=False)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: StepOutput,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._collector is not None:
            self._collector.add(outputs)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._collector is not None:
            result = self._collector.finish(partial(sum_over_ranks, trainer))
            self._collector = None
            with self.or_none(trainer):
                self._write(trainer, pl_module, "test", result)

    def _write(self, trainer: Trainer, pl_module: LightningModule, split: str, result: CleanPass) -> None:
        if not trainer.is_global_zero:
            return
        datamodule, folder = datamodule_of(trainer), run_folder(trainer)
        data = datamodule.data
        table = evaluation_table(data, result)
        table.attrs["weights"] = weights_of(trainer)._asdict()
        write_table(table, folder / f"evaluation_{split}.parquet")
        pictures = picture_table(data, wrong_predictions(table, self.top)["item"])
        if pictures is not None:
            write_table(pictures, folder / f"evaluation_{split}_pictures.parquet")
        facts = {"model": describe_model(pl_module), "data": describe_run_data(data, datamodule.split)}
        write_json(facts, folder / "facts.json")

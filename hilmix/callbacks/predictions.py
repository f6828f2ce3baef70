"""One table of predictions, keyed by item."""

import logging
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from lightning.pytorch import Callback, LightningModule, Trainer

from hilmix import logging as board
from hilmix.callbacks.files import run_folder
from hilmix.diagnostics.annotators import confusion_table, no_confusion_reason
from hilmix.diagnostics.clean_pass import Collector
from hilmix.diagnostics.predictions import prediction_table
from hilmix.diagnostics.trainer_pass import datamodule_of, require_pass, sum_over_ranks
from hilmix.files import write_atomically, write_table
from hilmix.terminal import say, terminal
from hilmix.types import StepOutput

log = logging.getLogger(__name__)


class PredictionFile(Callback):
    """Writes ``predictions.parquet`` into the run folder during ``predict``, each item once, under DDP too.

    Columns: ``item``, ``split``, ``target`` (if any is known), ``predicted``, ``suggested`` (given the labels too),
    ``majority``, ``predictions`` (``in-sample``, ``held-out``, of a cross-fitted model ``out-of-fold``, then with its
    ``fold``), ``label_quality`` (of the majority label), ``prob_<class>``, ``posterior_<class>`` (where the
    annotator model gives it), and per item the lists ``annotators``, ``labels``, ``p_right``. With it
    ``predictions_confusion.parquet``, one row per annotator, true class and label, over the predicted items.
    """

    def __init__(self) -> None:
        self._collector: Collector | None = None

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        datamodule = datamodule_of(trainer)
        annotations = datamodule.data.annotations
        everything = np.ones(annotations.num_items, dtype=bool)
        require_pass(trainer, annotations, everything, "The table of predictions")
        self._collector = Collector(
            # Without likelihoods, L x K numbers that no column of the table needs.
            annotations,
            np.arange(annotations.num_items),
            likelihood=False,
            training=datamodule.split == "train",
        )

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: StepOutput,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert self._collector is not None
        self._collector.add(outputs)

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert self._collector is not None
        result = self._collector.finish(lambda values: sum_over_ranks(trainer, values))
        self._collector = None
        if not trainer.is_global_zero:
            return
        datamodule, folder = datamodule_of(trainer), run_folder(trainer)
        with write_atomically(folder / "predictions.parquet") as partial:
            pq.write_table(prediction_table(datamodule.data, datamodule.split, result), partial)
        say(terminal(), f"Predictions of {result.seen.sum():,} items: {folder / 'predictions.parquet'}")
        board.log_files(trainer, "predictions", [folder / "predictions.parquet"])
        if (reason := no_confusion_reason(datamodule.data.annotations)) is not None:
            log.info("No confusion matrices per annotator: %s.", reason)
        elif len(result.pairs):
            write_table(confusion_table(datamodule.data, result), folder / "predictions_confusion.parquet")

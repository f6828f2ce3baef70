"""The predictions of a cross-fitted run, each by networks that have not seen the item."""

from typing import Any

import pyarrow.parquet as pq
from lightning.pytorch import LightningModule, Trainer
from rich import box

from hilmix.callbacks.files import run_folder
from hilmix.callbacks.fit_report import FitReport
from hilmix.callbacks.metrics_file import METRICS
from hilmix.callbacks.weights import weights_of
from hilmix.diagnostics.clean_pass import refuse_diverged
from hilmix.diagnostics.out_of_fold import out_of_fold_scores
from hilmix.diagnostics.predictions import prediction_table
from hilmix.diagnostics.trainer_pass import clean_pass, datamodule_of
from hilmix.diagnostics.weights import with_weights
from hilmix.files import write_atomically, write_json
from hilmix.terminal import Grid, say, terminal

OUT_OF_FOLD = "out_of_fold.parquet"


class OutOfFoldFile(FitReport):
    """Writes ``out_of_fold.parquet`` and ``metrics.json`` into the run folder after a cross-fitted run.

    One row per item, with the columns of ``predictions.parquet`` and ``fold``: a training item is predicted by the
    network that has not seen its fold (``predictions`` is ``out-of-fold``), any other (``fold`` -1, ``held-out``) by
    the mean of all networks. The metrics ``out_of_fold/...`` are of training items
    (:func:`~hilmix.diagnostics.out_of_fold_scores`); ``test`` adds its own and keeps them. Nothing is written for a
    model without folds.
    """

    def report_fit(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not getattr(getattr(pl_module, "item_folds", None), "known", False):
            return
        result = clean_pass(trainer, pl_module, "all")
        refuse_diverged(result)
        if not trainer.is_global_zero:
            return
        datamodule, folder = datamodule_of(trainer), run_folder(trainer)
        with write_atomically(folder / OUT_OF_FOLD) as partial:
            pq.write_table(prediction_table(datamodule.data, datamodule.split, result), partial)
        assert result.fold is not None
        scores = out_of_fold_scores(datamodule.data, result)
        weights = weights_of(trainer)._asdict()
        about: dict[str, Any] = {"folds": int(result.fold.max()) + 1, "items": int((result.fold >= 0).sum())}
        write_json({**scores, "out_of_fold": {**about, "weights": weights}}, folder / METRICS)
        console = terminal()
        what = f"{about['items']:,} training items out of fold, {about['folds']} folds"
        say(console, with_weights(f"{datamodule.data.name}: {what}", weights))
        table = Grid("metric", "value", right=("value",), box=box.HEAVY_HEAD)
        for name, value in scores.items():
            table.add_row(name, f"{value:.4f}")
        console.print(table)
        say(console, f"Written to {folder / OUT_OF_FOLD}")

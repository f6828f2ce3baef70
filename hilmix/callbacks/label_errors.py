"""Training labels and items ranked by how unlikely they are."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from lightning.pytorch import LightningModule, Trainer

from hilmix import logging as board
from hilmix.callbacks.files import run_folder, write_figure
from hilmix.callbacks.fit_report import FitReport
from hilmix.callbacks.weights import weights_of
from hilmix.checks import NonNegativeInt, check_value
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import refuse_diverged
from hilmix.diagnostics.label_errors import (
    choose_label_errors,
    detection_table,
    item_table,
    label_table,
    suspect_thumbnails,
)
from hilmix.diagnostics.label_scores import LABEL_SCORES, find_scores
from hilmix.diagnostics.thumbnails import picture_table, thumbnails
from hilmix.diagnostics.trainer_pass import clean_pass, datamodule_of
from hilmix.files import write_table
from hilmix.plotting import thumbnail_sheet

log = logging.getLogger(__name__)


class LabelErrors(FitReport):
    """Ranks the training labels after ``fit`` by a clean pass with the last weights.

    Of a cross-fitted model the predictions are out-of-fold. Of any other they are in-sample: it has trained on these
    labels, so what it memorised looks right. The tables say which (``predictions``), and so do the logged metrics
    ``in_sample/label_errors_ap`` and ``out_of_fold/label_errors_ap`` (``..._auroc``). In-sample ones are logged as
    ``train/label_errors_ap``, their former name, too. By default labels are ranked by the posterior, where the
    annotator model gives one, else by self-confidence.

    Files in the run folder: ``label_errors.parquet`` (one row per label), ``label_errors_items.parquet`` (one per item,
    its majority label), ``label_errors.png`` and ``label_errors_pictures.parquet`` (for images), and, where truth is
    known, ``label_errors_detection.csv``: average precision and AUROC of finding the wrong labels. The first labels go
    to W&B as a table with thumbnails.

    Args:
        top: how many suspects are shown in pictures and the W&B table.
        scores: columns of the tables: names of label-error scores, or ``package.module:NAME`` of your own
            (:class:`hilmix.diagnostics.LabelScore`). The ranking goes by the first that is known, ties by the next.

    Raises:
        ConfigError: for a negative number, or a score that there is not.
    """

    def __init__(self, top: NonNegativeInt = 24, scores: Sequence[str] = tuple(LABEL_SCORES)) -> None:
        check_value("LabelErrors.top", top, NonNegativeInt)
        check_value("LabelErrors.scores", scores, Sequence[str])
        find_scores(scores)  # a run must not learn after its training that there is none
        self.top, self.scores = top, list(scores)

    def report_fit(self, trainer: Trainer, pl_module: LightningModule) -> None:
        result = clean_pass(trainer, pl_module, "train")
        refuse_diverged(result)
        if not trainer.is_global_zero:
            return
        data, folder = datamodule_of(trainer).data, run_folder(trainer)
        scores = find_scores(self.scores)
        labels, items = label_table(data, result, scores), item_table(data, result, scores)
        labels.table.attrs["weights"] = items.table.attrs["weights"] = weights_of(trainer)._asdict()
        write_table(labels.table, folder / "label_errors.parquet")
        write_table(items.table, folder / "label_errors_items.parquet")
        board.log_files(trainer, "label_errors", [folder / "label_errors.parquet"])
        found = detection_table({"label": labels, "item": items})
        self._detection(trainer, found.assign(predictions=result.kinds_of_predictions), result.kinds_of_predictions)
        self._show(trainer, data, labels.table, result.kinds_of_predictions)

    def _detection(self, trainer: Trainer, found: pd.DataFrame, predictions: str) -> None:
        if found.empty:  # no truth, or nothing wrong
            return
        write_table(found.assign(**weights_of(trainer)._asdict()), run_folder(trainer) / "label_errors_detection.csv")
        best = found[found["level"] == "label"].head(1)
        for logger in trainer.loggers if len(best) else []:
            names = {"average_precision": "label_errors_ap", "auroc": "label_errors_auroc"}
            stages = [predictions.replace("-", "_")]
            # Sweeps and dashboards of before may read the former name, which cannot warn them: it stays.
            stages += ["train"] if predictions == "in-sample" else []
            values = {f"{stage}/{new}": best[old].item() for stage in stages for old, new in names.items()}
            logger.log_metrics(values, step=trainer.global_step)

    def _show(self, trainer: Trainer, data: AnnotatedData, table: pd.DataFrame, predictions: str) -> None:
        if table.empty:
            log.warning("No label errors to show: no training item has a label.")
            return
        shown = choose_label_errors(table, self.top)
        # One index for all names: a search per name would walk the items again each time.
        rows = pd.Index(data.items).get_indexer(pd.Index(shown["item"])).astype(np.int64)
        images = thumbnails(data, rows)
        board.log_table(trainer, "tables/label_errors", shown, images=images)
        if (pictures := picture_table(data, shown["item"])) is not None:
            write_table(pictures, run_folder(trainer) / "label_errors_pictures.parquet")
        if images is not None:
            title = f"Most suspicious training labels ({predictions} predictions)"
            write_figure(trainer, "label_errors.png", lambda: thumbnail_sheet(suspect_thumbnails(shown, images), title))

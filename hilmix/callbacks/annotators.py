"""Report of annotators: the quality of each, and which classes it confuses."""

import logging
from typing import TYPE_CHECKING

import pandas as pd
from lightning.pytorch import LightningModule, Trainer

from hilmix import logging as board
from hilmix.callbacks.files import run_folder, write_figure
from hilmix.callbacks.fit_report import FitReport
from hilmix.callbacks.weights import weights_of
from hilmix.checks import NonNegativeInt, check_value
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.annotators import (
    annotator_panels,
    annotator_table,
    confusion_table,
    no_confusion_reason,
    rank_annotators,
)
from hilmix.diagnostics.clean_pass import CleanPass
from hilmix.diagnostics.trainer_pass import clean_pass, datamodule_of
from hilmix.files import write_table
from hilmix.names import printable
from hilmix.plotting import annotator_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)


class AnnotatorReport(FitReport):
    """Reports accuracy and confusion of every annotator after ``fit``, over the training labels.

    ``estimated_accuracy`` is the mean p(annotator is right) before seeing the label (by the class model alone, where
    the annotator model gives none: the column ``estimated_by`` says which), ``posterior_accuracy`` the mean p(true
    class = label) given all labels, ``true_accuracy`` what the truth says where it is known.

    Files in the run folder: ``annotators.parquet`` and ``annotators.csv``, ``confusion.parquet``, ``annotators.png``.
    The Parquet files go to W&B as one artifact. Skipped, with the reason, where annotators are exchangeable.

    Works with any module whose ``predict_step`` returns ``index`` and ``logits`` (:class:`~hilmix.types.ItemLogits`);
    an annotator model needs a :class:`~hilmix.types.StepOutput`.

    Args:
        panels: how many confusion matrices are drawn, half of them of the most active annotators, half of the worst.
    """

    def __init__(self, panels: NonNegativeInt = 6) -> None:
        check_value("AnnotatorReport.panels", panels, NonNegativeInt)
        self.panels = panels

    def report_fit(self, trainer: Trainer, pl_module: LightningModule) -> None:
        datamodule = datamodule_of(trainer)
        data = datamodule.data
        if data.annotations.exchangeable:
            if trainer.is_global_zero:
                log.info("No annotator report: the annotators of %s are exchangeable.", printable(data.name))
            return
        # On all ranks, since the pass is a collective; only then may the others leave.
        result = clean_pass(trainer, pl_module, "train")
        if not trainer.is_global_zero:
            return
        folder = run_folder(trainer)
        table = annotator_table(data, result, datamodule.trained_annotators)
        table.attrs["weights"] = weights_of(trainer)._asdict()
        write_table(table, folder / "annotators.parquet")
        write_table(table, folder / "annotators.csv")
        board.log_table(trainer, "tables/annotators", rank_annotators(table))
        if (reason := no_confusion_reason(data.annotations)) is not None:
            log.warning("No confusion matrices per annotator: %s.", reason)
        else:
            write_table(confusion_table(data, result), folder / "confusion.parquet")
        full = [folder / "annotators.parquet", folder / "confusion.parquet"]
        board.log_files(trainer, "annotator_report", full[: 1 if reason else 2])
        write_figure(trainer, "annotators.png", lambda: self._figure(data, result, table))

    def _figure(self, data: AnnotatedData, result: CleanPass, table: pd.DataFrame) -> "Figure":
        panels = annotator_panels(data, result, table, self.panels)
        return annotator_figure(
            table[table["labels"] > 0], panels, data.classes, f"{(table['labels'] > 0).sum()} annotators of {data.name}"
        )

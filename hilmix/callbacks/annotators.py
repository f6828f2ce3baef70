"""How good each annotator is, and whom it confuses with what."""

import logging
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch import LightningModule, Trainer

from hilmix import logging as board
from hilmix.callbacks.files import run_folder, write_figure
from hilmix.callbacks.fit_report import FitReport
from hilmix.checks import NonNegativeInt, check_value
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import CleanPass, clean_pass, datamodule_of
from hilmix.diagnostics.tables import annotator_table, confusion_arrays, confusion_table, no_confusion_reason
from hilmix.diagnostics.weights import weights_of
from hilmix.files import write_table
from hilmix.names import printable
from hilmix.plotting import AnnotatorPanel, annotator_figure

log = logging.getLogger(__name__)


class AnnotatorReport(FitReport):
    """Reports accuracy and confusion of every annotator after ``fit``, over the training labels.

    ``estimated_accuracy`` is the mean p(annotator is right) before seeing the label (by the class model alone, where
    the annotator model gives none: the column ``estimated_by`` says which), ``posterior_accuracy`` the mean p(true
    class = label) given all labels, ``true_accuracy`` what the truth says where it is known.

    Files in the run folder: ``annotators.parquet`` and ``annotators.csv``, ``confusion.parquet``, ``annotators.png``.
    Skipped, with the reason, where annotators are exchangeable.

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
        result = clean_pass(trainer, pl_module, "train")
        if not trainer.is_global_zero:
            return
        folder = run_folder(trainer)
        table = annotator_table(data, result, datamodule.trained_annotators)
        table.attrs["weights"] = weights_of(trainer)._asdict()
        write_table(table, folder / "annotators.parquet")
        write_table(table, folder / "annotators.csv")
        board.log_table(trainer, "diagnostics/annotators", worst_first(table))
        if (reason := no_confusion_reason(data.annotations)) is not None:
            log.warning("No confusion matrices per annotator: %s.", reason)
        else:
            write_table(confusion_table(data, result), folder / "confusion.parquet")
        write_figure(trainer, "annotators.png", lambda: self._figure(data, result, table))

    def _figure(self, data: AnnotatedData, result: CleanPass, table: pd.DataFrame) -> Any:
        panels: list[AnnotatorPanel] = []
        if no_confusion_reason(data.annotations) is None:
            matrices = confusion_arrays(data, result)[0] if result.confusion is None else result.confusion
            for a in chosen_annotators(table, self.panels):
                accuracy = table["estimated_accuracy"][a]
                name = str(table["annotator"][a])
                name = f"annotator {name}" if name.isdecimal() else name
                panels.append(AnnotatorPanel(f"{name}  ({accuracy:.0%})", matrices[a]))
        return annotator_figure(
            table[table["labels"] > 0], panels, data.classes, f"{(table['labels'] > 0).sum()} annotators of {data.name}"
        )


def worst_first(table: pd.DataFrame) -> pd.DataFrame:
    """Annotators with training labels by estimated accuracy, the least reliable first."""
    return table[table["labels"] > 0].sort_values("estimated_accuracy", kind="stable")


def chosen_annotators(table: pd.DataFrame, number: int) -> list[int]:
    """Returns rows of the least reliable and the most active annotators, without repeats, worst first.

    Those with less than a quarter of the median number of labels do not count as unreliable: a handful says nothing.
    """
    active = table[table["labels"] > 0]
    solid = active[active["labels"] >= active["labels"].median() / 4]
    worst = worst_first(solid).index[: number // 2]
    busiest = active.drop(worst).sort_values("labels", ascending=False, kind="stable").index[: number - len(worst)]
    chosen = table.loc[[*worst, *busiest]].sort_values("estimated_accuracy", kind="stable")
    return [int(i) for i in np.asarray(chosen.index)]

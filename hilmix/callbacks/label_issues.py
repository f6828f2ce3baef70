"""Confident learning by predictions of models that have not seen the labels."""

import logging

import numpy as np
import pandas as pd
from lightning.pytorch import LightningModule, Trainer

from hilmix import logging as board
from hilmix.callbacks.files import run_folder, write_figure
from hilmix.callbacks.fit_report import FitReport
from hilmix.callbacks.weights import weights_of
from hilmix.checks import NonNegativeInt, check_choice, check_value
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import refuse_diverged
from hilmix.diagnostics.label_errors import suspect_thumbnails
from hilmix.diagnostics.label_health import require_unseen
from hilmix.diagnostics.label_issues import judge_pass, ranked_issues
from hilmix.diagnostics.thumbnails import thumbnails
from hilmix.diagnostics.trainer_pass import clean_pass, datamodule_of
from hilmix.files import write_table
from hilmix.functional.confident_learning import FILTERS, IssueFilter
from hilmix.plotting import thumbnail_sheet

log = logging.getLogger(__name__)
SPLITS = ("train", "val")


class LabelIssues(FitReport):
    """Finds the given labels that are probably wrong after ``fit``, by confident learning, and how noisy each class is.

    The training items need a cross-fitted model (``hilmix crossfit``), whose predictions are out of fold: predictions
    of any other are in-sample, and are refused before training unless forced. The validation items are held out of
    every model. Works with any module whose ``predict_step`` returns ``index`` and ``logits``
    (:class:`~hilmix.types.ItemLogits`).

    Files in the run folder: ``label_issues.parquet`` (one row per label, every score of it), ``label_issues.csv`` (the
    issues, most suspicious first), ``label_classes.csv`` and ``label_pairs.csv`` (noise of each class, overlap of each
    pair), ``label_issues.png`` (for images). Scalars ``label_issues/issues`` and ``label_issues/health`` go to every
    logger; to W&B the first issues as a table with thumbnails, and the full table as one artifact.

    Args:
        split: ``train`` or ``val``, whose labels are judged.
        by: filter that decides what is an issue, see
            :func:`~hilmix.functional.confident_learning.find_label_issues`.
        top: how many issues are shown in pictures and the W&B table.
        force: accept in-sample predictions, by which nearly every label looks right.

    Raises:
        ConfigError: for other values, and by ``fit`` for in-sample predictions.
    """

    def __init__(
        self, split: str = "train", by: IssueFilter = "noise_rate", top: NonNegativeInt = 24, force: bool = False
    ) -> None:
        check_choice("LabelIssues.split", split, SPLITS)
        check_choice("LabelIssues.by", by, FILTERS)
        check_value("LabelIssues.top", top, NonNegativeInt)
        self.split, self.by, self.top, self.force = split, by, top, force

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Before training: hours later is too late to learn that the predictions cannot be used.
        folds = getattr(getattr(pl_module, "item_folds", None), "known", False)
        require_unseen("out-of-fold" if folds or self.split != "train" else "in-sample", force=self.force)

    def report_fit(self, trainer: Trainer, pl_module: LightningModule) -> None:
        result = clean_pass(trainer, pl_module, self.split)
        refuse_diverged(result)
        if not trainer.is_global_zero:
            return
        data, folder = datamodule_of(trainer).data, run_folder(trainer)
        found = judge_pass(data, result, by=self.by, force=self.force)
        if found is None:
            log.warning("No label issues: no %s item has a label.", self.split)
            return
        table, health = found
        table.attrs["weights"] = weights_of(trainer)._asdict()
        issues = ranked_issues(table)
        write_table(table, folder / "label_issues.parquet")
        write_table(issues, folder / "label_issues.csv")
        write_table(health.classes, folder / "label_classes.csv")
        write_table(health.pairs, folder / "label_pairs.csv")
        values = {"label_issues/issues": float(len(issues)), "label_issues/health": health.score}
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)
        self._show(trainer, data, issues.drop_duplicates("item").head(self.top))
        board.log_files(trainer, "label_issues", [folder / "label_issues.parquet"])

    def _show(self, trainer: Trainer, data: AnnotatedData, shown: pd.DataFrame) -> None:
        rows = pd.Index(data.items).get_indexer(pd.Index(shown["item"])).astype(np.int64)
        images = thumbnails(data, rows)
        board.log_table(trainer, "tables/label_issues", shown, images=images)
        if images:
            title = f"Label issues ({', '.join(shown['predictions'].unique())} predictions)"
            suspects = suspect_thumbnails(shown.rename(columns={"predicted": "suggested"}), images)
            write_figure(trainer, "label_issues.png", lambda: thumbnail_sheet(suspects, title))

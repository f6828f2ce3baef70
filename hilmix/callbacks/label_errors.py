"""Training labels and items ranked by how unlikely they are."""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd
from lightning.pytorch import LightningModule, Trainer
from numpy.typing import NDArray

from hilmix import logging as board
from hilmix.annotations import IntArray
from hilmix.callbacks.files import run_folder, write_figure
from hilmix.callbacks.fit_report import FitReport
from hilmix.checks import NonNegativeInt, check_value
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics.clean_pass import clean_pass, datamodule_of, refuse_diverged
from hilmix.diagnostics.tables import item_table, label_table
from hilmix.diagnostics.thumbnails import thumbnails
from hilmix.diagnostics.weights import weights_of
from hilmix.files import write_table
from hilmix.functional.label_errors import LabelScores, detection
from hilmix.plotting import Thumbnail, thumbnail_sheet

log = logging.getLogger(__name__)


class _Ranking(NamedTuple):
    """A table of suspects, the most suspicious first, and its rows' scores and known errors."""

    table: pd.DataFrame
    scores: LabelScores
    wrong: IntArray


class LabelErrors(FitReport):
    """Ranks the training labels after ``fit`` by a clean pass with the last weights.

    The predictions are in-sample (the tables say so): the model has trained on these labels, so what it memorised
    looks right. Where the annotator model gives a posterior, labels are ranked by it, else by self-confidence.

    Files in the run folder: ``label_errors.parquet`` (one row per label), ``label_errors_items.parquet`` (one per item,
    its majority label), ``label_errors.png`` (for images), and, where truth is known, ``label_errors_detection.csv``:
    average precision and AUROC of finding the wrong labels. The first labels go to W&B as a table with thumbnails.

    Args:
        top: how many suspects are shown in pictures and the W&B table.
    """

    def __init__(self, top: NonNegativeInt = 24) -> None:
        check_value("LabelErrors.top", top, NonNegativeInt)
        self.top = top

    def report_fit(self, trainer: Trainer, pl_module: LightningModule) -> None:
        result = clean_pass(trainer, pl_module, "train")
        refuse_diverged(result)
        if not trainer.is_global_zero:
            return
        data, folder = datamodule_of(trainer).data, run_folder(trainer)
        labels = _Ranking(*label_table(data, result))
        items = _Ranking(*item_table(data, result))
        labels.table.attrs["weights"] = items.table.attrs["weights"] = weights_of(trainer)._asdict()
        write_table(labels.table, folder / "label_errors.parquet")
        write_table(items.table, folder / "label_errors_items.parquet")
        self._detection(trainer, {"label": labels, "item": items})
        self._show(trainer, data, labels.table)

    def _detection(self, trainer: Trainer, rankings: dict[str, _Ranking]) -> None:
        found = pd.DataFrame(
            {"level": level, "score": name, **detection(score, ranking.wrong)._asdict()}
            for level, ranking in rankings.items()
            for name, score in ranking.scores._asdict().items()
        )
        found = found[found["average_precision"].notna()]
        if found.empty:  # no truth, or nothing wrong
            return
        write_table(found.assign(**weights_of(trainer)._asdict()), run_folder(trainer) / "label_errors_detection.csv")
        best = found[found["level"] == "label"].head(1)
        for logger in trainer.loggers if len(best) else []:
            values = {"average_precision": "train/label_errors_ap", "auroc": "train/label_errors_auroc"}
            logger.log_metrics({new: best[old].item() for old, new in values.items()}, step=trainer.global_step)

    def _show(self, trainer: Trainer, data: AnnotatedData, table: pd.DataFrame) -> None:
        if table.empty:
            log.warning("No label errors to show: no training item has a label.")
            return
        shown = _first_per_item(table).head(self.top)
        rows = pd.Index(data.items).get_indexer(pd.Index(shown["item"])).astype(np.int64)
        images = thumbnails(data, rows)
        board.log_table(trainer, "diagnostics/label_errors", shown, images=images)
        if images is not None:
            title = "Most suspicious training labels (in-sample predictions)"
            write_figure(trainer, "label_errors.png", lambda: thumbnail_sheet(_captions(shown, images), title))


def _first_per_item(table: pd.DataFrame) -> pd.DataFrame:
    """Suspects that contradict their label, one per item, so that a picture is not shown twice."""
    contradicted = table[table["label"].astype(object) != table["suggested"].astype(object)]
    return contradicted.drop_duplicates("item") if len(contradicted) else table.drop_duplicates("item")


def _captions(table: pd.DataFrame, images: list[NDArray[np.uint8]]) -> list[Thumbnail]:
    captions = []
    for image, row in zip(images, table.to_dict("records"), strict=True):
        parts = [f"by {row['annotator']}"] if "annotator" in row else []
        if isinstance(row.get("target"), str):
            parts.append(f"truth {row['target']}")
        p = row.get("posterior", row["self_confidence"])
        chance = f"{p:.1%}" if p >= 0.001 else "< 0.1%"
        label, suggested = f"label {row['label']} ({chance})", f"suggests {row['suggested']}"
        captions.append(Thumbnail(image, label, suggested, ", ".join(parts)))
    return captions

"""Out-of-fold predictions in one call, for a model and data built in Python."""

from typing import Any

import pandas as pd
from lightning.pytorch import LightningModule, Trainer

from hilmix.callbacks.fit_report import FitReport
from hilmix.data import AnnotatedDataModule
from hilmix.diagnostics import CleanPass, clean_pass, prediction_table
from hilmix.modules import Classifier, CrossFitClassifier

__all__ = ["crossfit"]


class _KeepPass(FitReport):
    """A pass over all items at the end of ``fit``, where the ranks still are together."""

    result: CleanPass | None = None

    def report_fit(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.result = clean_pass(trainer, pl_module, "all")


def crossfit(
    model: Classifier, datamodule: AnnotatedDataModule, trainer: Trainer, *, folds: int = 2, ckpt_path: Any = None
) -> pd.DataFrame:
    """Trains a network per fold and returns predictions of all items by networks that have not trained on them.

    ``hilmix crossfit`` does the same from the command line. For the networks themselves make a
    :class:`~hilmix.modules.CrossFitClassifier`, which a trainer trains as any module.

    Args:
        model: its class and settings are those of the networks; it is not trained itself.
        datamodule: the data.
        trainer: trains the networks of all folds in one ``fit``.
        folds: number of folds, at least 2.
        ckpt_path: checkpoint of such a run to go on from.

    Returns:
        One row per item, with the columns of ``predictions.parquet`` (``prob_CLASS``, ``posterior_CLASS``, ...) and
        ``fold``: -1 outside training.

    Raises:
        ConfigError: for fewer than 2 folds or more than training items, or a model that is no classifier of hilmix.

    Example:
        >>> data = AnnotatedDataModule("digits-class")
        >>> model = Classifier(data.num_classes, data.num_annotators, data.input_shape)
        >>> table = crossfit(model, data, Trainer(max_epochs=20), folds=5)  # doctest: +SKIP
    """
    networks, keep = CrossFitClassifier.from_classifier(model, folds=folds), _KeepPass()
    trainer.callbacks.append(keep)  # type: ignore[attr-defined]  # set by a connector
    try:
        trainer.fit(networks, datamodule=datamodule, ckpt_path=ckpt_path, weights_only=True)
    finally:
        trainer.callbacks.remove(keep)  # type: ignore[attr-defined]
    assert keep.result is not None, "made at the end of every fit"
    return prediction_table(datamodule.data, datamodule.split, keep.result).to_pandas()

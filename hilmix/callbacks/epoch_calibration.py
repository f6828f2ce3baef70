"""Calibration and agreement with votes as curves over the epochs."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray

from hilmix.annotations import Annotations, IntArray
from hilmix.diagnostics.trainer_pass import datamodule_of
from hilmix.functional.aggregation import vote_counts
from hilmix.functional.aggregation.vote_table import VoteTable
from hilmix.metrics.suite import CalibrationSuite, HumanCalibration
from hilmix.types import ItemLogits


class EpochCalibration(Callback):
    """Logs the scores of the validation items once per validation, from the outputs of the validation steps.

    ``val/calibration_...`` are those of :class:`~hilmix.metrics.CalibrationSuite` against true classes,
    ``val/human_...`` those of :class:`~hilmix.metrics.HumanCalibration` against the votes of each item. A score that
    is not defined, such as all of the first kind where no true class is known, is not logged. Works with any
    module whose ``validation_step`` returns ``index`` and ``logits`` (:class:`~hilmix.types.ItemLogits`).
    """

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        suite = CalibrationSuite(datamodule_of(trainer).data.annotations.num_classes)
        self._suite, self._human = suite.to(pl_module.device), HumanCalibration().to(pl_module.device)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        name = f"model: {type(pl_module).__module__}.{type(pl_module).__qualname__}.validation_step"
        output, data = ItemLogits.read(outputs, name), datamodule_of(trainer).data
        probs, items = output.logits.float().softmax(-1), output.index.cpu().numpy()
        self._suite.update(probs, torch.from_numpy(data.target[items]).to(probs.device))
        self._human.update(probs, torch.from_numpy(_counts(data.annotations, items)).to(probs.device))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        scores = {f"val/calibration_{name}": value for name, value in self._suite.compute().items()}
        scores |= {f"val/human_{name}": value for name, value in self._human.compute().items()}
        # Computing sums over ranks, so that all of them log the same names.
        pl_module.log_dict({name: value for name, value in scores.items() if not value.isnan()}, batch_size=1)


def _counts(notes: Annotations, items: IntArray) -> NDArray[np.float32]:
    """(B, K) labels of each item by class; a soft label is shared out."""
    place, row = notes.gather(items)
    probs = None if notes.probs is None else notes.probs[row]
    sizes = len(items), notes.num_annotators, notes.num_classes
    return vote_counts(VoteTable(place, notes.annotator[row], notes.label[row], *sizes, probs)).astype(np.float32)

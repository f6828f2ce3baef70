"""Scores after every epoch of a run, and the epoch that each criterion would keep."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from hilmix.diagnostics.trainer_pass import datamodule_of
from hilmix.functional.temperature import fit_temperature
from hilmix.modules import Classifier
from hilmix.types import UNKNOWN, Batch, StepOutput

CRITERIA: dict[str, float] = {"agreement": 1, "vote_nll": -1, "vote_nll_calibrated": -1}
"""Scores of the votes of validation items that could choose an epoch: 1 if a high value is best, -1 if a low one."""


class EpochScores(Callback):
    """Keeps the criteria and the accuracy on test items after every epoch.

    ``agreement`` of the predicted class with the votes; ``vote_nll`` of the votes through the annotator model, and
    ``vote_nll_calibrated``, the same at the temperature that is best for them. All are empty without votes.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self._logits, self._evidence = list[Tensor](), list[Tensor]()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(outputs, StepOutput)
        self._logits.append(outputs.logits[outputs.row])
        self._evidence.append(outputs.label if outputs.log_likelihood is None else outputs.log_likelihood)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        values = trainer.callback_metrics
        found = {name: float(values[f"val/{name}"]) for name in ("agreement", "vote_nll") if f"val/{name}" in values}
        if found:
            fit = fit_temperature(torch.cat(self._logits), torch.cat(self._evidence))
            found["vote_nll_calibrated"] = fit.nll_after
        self._logits, self._evidence = [], []
        self.epochs.append(found | {"acc": self._accuracy(trainer, pl_module)})

    def _accuracy(self, trainer: Trainer, pl_module: LightningModule) -> float:
        assert isinstance(pl_module, Classifier)
        datamodule = datamodule_of(trainer)
        rows = datamodule.rows("test")
        target = torch.from_numpy(datamodule.data.target[rows])
        predicted = pl_module.predict_proba(torch.as_tensor(datamodule.data.inputs.fetch(rows))).argmax(1)
        return float((predicted == target)[target != UNKNOWN].float().mean())

    def row(self) -> dict[str, float]:
        """Returns the epoch that each criterion keeps, the first of equals, and its accuracy on test items."""
        found: dict[str, float] = {}
        for name, sign in CRITERIA.items():
            if self.epochs and name in self.epochs[0]:
                kept = max(range(len(self.epochs)), key=lambda epoch: sign * self.epochs[epoch][name])
                found |= {f"{name}_epoch": kept, f"{name}_acc": self.epochs[kept]["acc"]}
        return found

"""Training dynamics of the training labels, from a clean pass behind each epoch."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from lightning.pytorch import LightningModule, Trainer

from hilmix import logging as board
from hilmix.callbacks.files import run_folder
from hilmix.callbacks.fit_report import FitReport
from hilmix.callbacks.weights import weights_of
from hilmix.checks import PositiveInt, check_value
from hilmix.diagnostics.columns import majority_labels
from hilmix.diagnostics.dynamics import DynamicsTracker
from hilmix.diagnostics.trainer_pass import clean_logits, datamodule_of, sum_over_ranks
from hilmix.files import write_table

FILES = ("dynamics.parquet", "dynamics_items.parquet")


class TrainingDynamics(FitReport):
    """Follows how the model learns each training item and each of its annotations, and writes scores after ``fit``.

    Behind an epoch the model predicts the training items as they are, in evaluation mode, with the weights that train
    (not their averages). Works with any module whose ``predict_step`` returns ``index`` and ``logits``
    (:class:`~hilmix.types.ItemLogits`). Its sums, 32 bytes per item and per annotation, are part of every checkpoint;
    a resumed run goes on from them.

    Files in the run folder: ``dynamics.parquet`` (one row per annotation of a training item) and
    ``dynamics_items.parquet`` (one per training item, its majority label). The columns are the fields of
    :class:`~hilmix.functional.dynamics.DynamicsScores`, for items also ``clean``. The tables' ``attrs`` name the
    weights of the end of ``fit`` and the epochs, from 0, behind which passes were made. Without a pass, no file. Both
    go to W&B as one artifact.

    Args:
        every_n_epochs: makes a pass behind the last of every so many epochs.

    Raises:
        ConfigError: if ``every_n_epochs`` is below 1.
    """

    def __init__(self, every_n_epochs: PositiveInt = 1) -> None:
        check_value("TrainingDynamics.every_n_epochs", every_n_epochs, PositiveInt)
        self.every_n_epochs = every_n_epochs
        self._epochs: list[int] = []
        self._tracker: DynamicsTracker | None = None
        self._saved: Mapping[str, Any] | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        tracker, epoch = self._find_tracker(trainer), trainer.current_epoch
        # A run that resumes behind its pass ends the epoch once more.
        if (epoch + 1) % self.every_n_epochs == 0 and epoch not in self._epochs:
            tracker.add_pass(clean_logits(trainer, pl_module, "train"), partial(sum_over_ranks, trainer))
            self._epochs.append(epoch)

    def report_fit(self, trainer: Trainer, pl_module: LightningModule) -> None:
        tracker = self._find_tracker(trainer)
        if not trainer.is_global_zero or not self._epochs:
            return
        datamodule = datamodule_of(trainer)
        training, names = datamodule.split == "train", np.asarray(datamodule.data.items, dtype=object)
        items, notes = tracker.item_table(), tracker.annotation_table()
        items.insert(0, "item", names)
        # Only what was trained on has dynamics; the tracker is as long as the data, so that rows need no translation.
        rows = training[notes["item"]]
        notes["item"] = names[notes["item"]]
        for table, name in zip((notes[rows], items[training]), FILES, strict=True):
            table = table.reset_index(drop=True)
            table.attrs |= {"weights": weights_of(trainer)._asdict(), "epochs": self._epochs}
            write_table(table, run_folder(trainer) / name)
        board.log_files(trainer, "dynamics", [run_folder(trainer) / name for name in FILES])

    def state_dict(self) -> dict[str, Any]:
        if self._tracker is None:
            return dict(self._saved or {})
        return {"epochs": list(self._epochs), **self._tracker.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._saved, self._tracker = state_dict, None

    def _find_tracker(self, trainer: Trainer) -> DynamicsTracker:
        """Lightning loads the state before or behind the start of ``fit``, by strategy; the data are there after it."""
        if self._tracker is None:
            data = datamodule_of(trainer).data
            self._tracker = DynamicsTracker(data.annotations, majority_labels(data, np.arange(len(data))).label)
            if self._saved:
                self._tracker.load_state_dict(self._saved)
                self._epochs = list(self._saved["epochs"])
        return self._tracker

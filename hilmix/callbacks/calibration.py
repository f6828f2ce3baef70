"""Calibration of the class model and of "the annotator is right", before and after a temperature."""

import logging
from typing import Any

import pandas as pd
from lightning.pytorch import LightningModule, Trainer

from hilmix.callbacks.files import run_folder, write_figure
from hilmix.callbacks.fit_report import FitReport
from hilmix.callbacks.weights import weights_of
from hilmix.diagnostics.calibration import calibration_metrics, fit_pass_temperature, reliability_panels
from hilmix.diagnostics.tracker import CalibrationTracker, Score
from hilmix.diagnostics.trainer_pass import clean_outputs, clean_pass, datamodule_of
from hilmix.files import write_table
from hilmix.plotting import reliability_diagram
from hilmix.types import StepOutput

log = logging.getLogger(__name__)
SPLIT_NAMES = {"val": "validation", "test": "test"}


class CalibrationReport(FitReport):
    """Reports ECE (top label, class-wise, adaptive), NLL and Brier before and after a temperature.

    The temperature is fitted on a clean pass over the validation items: on true classes if any is known there, else on
    the votes, through the annotator model. After ``fit`` the validation items are scored (after the temperature that
    is in-sample, one parameter), in ``test`` the test items.

    Three things are scored where the data allow: ``class`` (class probabilities against true classes), ``vote`` (what
    an annotator is expected to label against its label) and ``annotator`` (p(annotator is right) against whether the
    label is right).

    Files in the run folder: ``calibration.csv``, ``reliability.csv`` (the bins), ``reliability.png`` (validation) and
    ``reliability_test.png``. In ``test`` it logs ``test/temperature``, ``test/ece_classwise``, ``test/ece_adaptive``,
    ``test/ece_calibrated``, ``test/nll_calibrated``, ``test/brier_calibrated``, the same with ``vote_`` before the name
    where there are votes, and ``test/annotator_ece``.
    """

    def __init__(self) -> None:
        self._tracker: CalibrationTracker | None = None
        self._fitted_on, self._determined = "", True

    def report_fit(self, trainer: Trainer, pl_module: LightningModule) -> None:
        tracker = self._start(trainer, pl_module)
        for output in clean_outputs(trainer, pl_module, "val"):
            tracker.update(output)
        scores = tracker.scores()
        values = {f"val/{name}": value for name, value in calibration_metrics(scores).items()}
        for logger in trainer.loggers:
            logger.log_metrics(values | {"val/temperature": tracker.temperature}, step=trainer.global_step)
        self._write(trainer, "val", scores)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tracker = None
        with self.or_none(trainer):
            self._tracker = self._start(trainer, pl_module)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: StepOutput,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._tracker is not None:
            self._tracker.update(outputs)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._tracker is None:
            return
        scores = self._tracker.scores()
        values = calibration_metrics(scores) | {"temperature": self._tracker.temperature}
        pl_module.log_dict({f"test/{name}": value for name, value in values.items()}, batch_size=1)
        self._write(trainer, "test", scores)
        self._tracker = None

    def _start(self, trainer: Trainer, pl_module: LightningModule) -> CalibrationTracker:
        data = datamodule_of(trainer).data
        # On validation items also in `test`: a temperature that was fitted on test items would flatter them.
        fit, self._fitted_on = fit_pass_temperature(data, clean_pass(trainer, pl_module, "val"))
        self._determined = fit.determined
        if trainer.is_global_zero and not fit.determined:
            log.warning("The temperature is set to %.3g: %s do not determine one.", fit.temperature, self._fitted_on)
        return CalibrationTracker(len(data.classes), fit.temperature, trainer.strategy.root_device)

    def _write(self, trainer: Trainer, split: str, scores: list[Score]) -> None:
        if not trainer.is_global_zero:
            return
        if not scores:
            log.warning("No calibration report: no %s item has a true class or a vote.", SPLIT_NAMES[split])
            return
        folder = run_folder(trainer)
        weights = weights_of(trainer)._asdict()
        fit = {"fitted_on": self._fitted_on, "determined": self._determined}
        summary = [{"split": split, **score.row(), **fit, **weights} for score in scores]
        bins = pd.concat([score.bin_table().assign(split=split, **weights) for score in scores])
        for name, table in (("calibration.csv", pd.DataFrame(summary)), ("reliability.csv", bins)):
            path = folder / name
            if path.exists():
                # fit and test write into the same files: the rows of the other split stay.
                earlier = pd.read_csv(path)
                table = pd.concat([earlier[earlier["split"] != split], table])
            whole = dict.fromkeys(("epoch", "step"), "Int64")  # rows of older versions name none
            write_table(table.astype(whole), path)
        picture = "reliability.png" if split == "val" else f"reliability_{split}.png"
        title = f"Calibration on {SPLIT_NAMES[split]} items"
        write_figure(trainer, picture, lambda: reliability_diagram(reliability_panels(scores), title))

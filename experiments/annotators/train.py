"""One run of the study: (data, method, learning rate, seed) in, one flat row out."""

import logging
import math
import resource
import subprocess
import time
import warnings
from dataclasses import replace
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor

from experiments.annotators.epochs import EpochScores
from experiments.annotators.job import Job, build, training_of
from experiments.annotators.settings import KEY, REPO, SHIPPED
from hilmix.data.items import AnnotatedData
from hilmix.diagnostics import CleanPass, clean_pass, fit_pass_temperature, label_table
from hilmix.diagnostics.columns import mark_wrong_labels
from hilmix.diagnostics.trainer_pass import datamodule_of
from hilmix.functional.label_errors import detection
from hilmix.metrics import AnnotatorAUROC, ClassMetrics
from hilmix.types import UNKNOWN

SPLITS = ("test", "val", "train")
CLASS_SCORES = ("acc", "nll", "brier", "ece")
SCORES = (*CLASS_SCORES, "temperature", "ece_calibrated", "nll_calibrated", "annotator_auroc", "label_error_ap")


def code_version() -> str:
    """Returns the commit, with a ``+`` if code or configs differ from it, or ``unknown`` outside a clone."""
    paths = ["hilmix", "configs", *(f"experiments/annotators/{name}.py" for name in ("job", "settings", "train"))]
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=10", "HEAD"], cwd=REPO, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", *paths], cwd=REPO, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + ("+" if changed.stdout else "")


VERSIONS = {"torch": torch.__version__, "lightning": lightning.__version__, "commit": code_version()}
"""Taken at import: what a process runs is the code of that moment, whatever is committed while it runs."""


def run(job: Job) -> dict[str, Any]:
    """Trains and returns the row: the key, what :class:`Measure` measures, cost and versions.

    Cost is CPU time of one thread, which other work on the machine changes less than wall time, and the growth of the
    process's peak memory, reading the data included.
    """
    start, memory = time.process_time(), _peak_mb()
    quiet()
    model, data = build(job)
    measure, epochs = Measure(tested=job.tested, keep_best=job.network != SHIPPED), EpochScores()
    trainer = Trainer(
        max_epochs=training_of(job).epochs,
        callbacks=[measure, *([epochs] if job.tested else [])],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, data)
    row = dict(zip(KEY, job._replace(lr=model.optimization.lr).key, strict=True)) | measure.row | epochs.row()
    row |= {"cpu_seconds": time.process_time() - start, "peak_growth_mb": _peak_mb() - memory}
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} | VERSIONS


class Measure(Callback):
    """Fills ``row`` after the fit; weights of the best epoch are kept in memory.

    The best epoch has the highest agreement of the predicted class with the votes on validation items, ties by the
    lower NLL of the votes, then the earlier one. Neither validation truth nor test items take part. Without votes
    on validation items there is none, and the columns of ``best_`` are empty.

    ``cpu_seconds_per_epoch`` is the median over epochs of the training part, validation left out.

    Args:
        tested: see :class:`Job`.
        keep_best: whether the best epoch is kept at all; without it the columns of ``best_`` are missing.
    """

    def __init__(self, *, tested: bool, keep_best: bool = True) -> None:
        self.tested, self.keep_best = tested, keep_best
        self.row: dict[str, Any] = {}
        self._best: tuple[tuple[float, float], int, dict[str, Tensor]] | None = None
        self._start, self._seconds = 0.0, list[float]()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start = time.process_time()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seconds.append(time.process_time() - self._start)  # validation runs inside the training epoch

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        agreement, nll = _votes(trainer)
        rank = (agreement, -nll)
        if self.keep_best and not np.isnan(rank).any() and (self._best is None or rank > self._best[0]):
            weights = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}
            self._best = rank, trainer.current_epoch, weights

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        agreement, nll = _votes(trainer)
        self.row = {"val_agreement": agreement, "val_vote_nll": nll}
        if self.tested:
            passes = clean_passes(trainer, pl_module)
            self.row |= facts(trainer, passes) | scores(trainer, passes)
        if self._best is not None:
            rank, epoch, weights = self._best
            best = {"epoch": epoch, "val_agreement": rank[0], "val_vote_nll": -rank[1]}
            if self.tested:
                pl_module.load_state_dict(weights)
                best |= scores(trainer, clean_passes(trainer, pl_module))
            self.row |= {f"best_{name}": value for name, value in best.items()}
        self.row["cpu_seconds_per_epoch"] = float(np.median(self._seconds))


def clean_passes(trainer: Trainer, model: LightningModule) -> dict[str, CleanPass]:
    """Returns un-mixed predictions of each split by the weights as they are."""
    return {split: clean_pass(trainer, model, split) for split in SPLITS}


def scores(trainer: Trainer, passes: dict[str, CleanPass]) -> dict[str, float]:
    """Returns what the tables report of predictions; all NaN if any is not finite.

    * ``acc``, ``nll``, ``brier``, ``ece`` (15 bins) of the test items, and ``ece_calibrated``, ``nll_calibrated`` at
      the ``temperature`` fitted on validation: on its votes, through the annotator model, where it has any;
    * ``annotator_auroc`` of p(annotator is right) on the split that :func:`judged_split` names;
    * ``label_error_ap``: average precision of finding the wrong training votes.
    """
    data = datamodule_of(trainer).data
    if not all(np.isfinite(result.logits).all() for result in passes.values()):
        return dict.fromkeys(SCORES, math.nan)
    test, val = passes["test"], passes["val"]
    target = data.target[test.items]
    seen = replace(data, target=np.full_like(data.target, UNKNOWN)) if len(val.pairs) else data
    temperature = fit_pass_temperature(seen, val)[0].temperature
    calibrated = _class_scores(replace(test, logits=test.logits / temperature), target)
    return {
        **_class_scores(test, target),
        "temperature": temperature,
        "ece_calibrated": calibrated["ece"],
        "nll_calibrated": calibrated["nll"],
        "annotator_auroc": _annotator_auroc(passes[judged_split(data, passes)], data),
        "label_error_ap": _label_error_ap(passes["train"], data),
    }


def facts(trainer: Trainer, passes: dict[str, CleanPass]) -> dict[str, Any]:
    """Returns what the scores rest on: the share of wrong training votes, and which evidence two of them use."""
    data = datamodule_of(trainer).data
    wrong = _wrong(passes["train"], data)
    return {
        "wrong_votes": float(wrong[wrong >= 0].mean()) if (wrong >= 0).any() else math.nan,
        "annotator_auroc_on": judged_split(data, passes),
        "temperature_on": "votes" if len(passes["val"].pairs) else "truth",
    }


def judged_split(data: AnnotatedData, passes: dict[str, CleanPass]) -> str:
    """Returns the first of test, val and train that has votes on items of known target; train if none has."""
    return next((split for split in SPLITS if (_wrong(passes[split], data) >= 0).any()), SPLITS[-1])


def _wrong(result: CleanPass, data: AnnotatedData) -> NDArray[np.int64]:
    return mark_wrong_labels(data.annotations.label[result.pairs], data.target[result.items[result.row]])


def _class_scores(result: CleanPass, target: NDArray[np.int64]) -> dict[str, float]:
    metrics = ClassMetrics()
    metrics.update(torch.from_numpy(result.probs), torch.from_numpy(target))
    values = metrics.compute()  # without what has seen no target
    return {name: float(values.get(name, math.nan)) for name in CLASS_SCORES}


def _annotator_auroc(result: CleanPass, data: AnnotatedData) -> float:
    if result.p_right is None:
        return math.nan
    wrong, metric = _wrong(result, data), AnnotatorAUROC()
    metric.update(torch.from_numpy(result.p_right), torch.from_numpy(np.where(wrong < 0, UNKNOWN, 1 - wrong)))
    return float(metric.compute())


def _label_error_ap(result: CleanPass, data: AnnotatedData) -> float:
    _, quality, wrong = label_table(data, result)
    modelled = result.posterior is not None
    return detection(quality["posterior" if modelled else "self_confidence"], wrong).average_precision


def _votes(trainer: Trainer) -> tuple[float, float]:
    """Agreement with, and NLL of, the votes on validation items; NaN without votes."""
    values = (trainer.callback_metrics.get(f"val/{name}") for name in ("agreement", "vote_nll"))
    agreement, nll = (math.nan if value is None else float(value) for value in values)
    return agreement, nll


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux


def quiet() -> None:
    """One thread, and no word but errors."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="lightning|torch")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("hilmix").setLevel(logging.ERROR)

"""Checks before a run starts: settings of the trainer, loggers, a module of one's own."""

from collections.abc import Mapping
from typing import Annotated, Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger

from hilmix import logging as board
from hilmix.annotators import Perfect
from hilmix.callbacks import (
    AnnotatorReport,
    CalibrationReport,
    LabelErrors,
    LabelIssues,
    PredictionFile,
    TrainingDynamics,
)
from hilmix.checks import NonNegative, NonNegativeInt, PositiveInt, Range, check_value, near_names, refusal
from hilmix.errors import ConfigError
from hilmix.modules import Classifier, CrossFitClassifier
from hilmix.modules.stage_metrics import METRICS

FromMinusOne = Annotated[int, Range(-1)]
TRAINER: dict[str, Any] = {
    "max_epochs": FromMinusOne | None,
    "min_epochs": NonNegativeInt | None,
    "max_steps": FromMinusOne,
    "min_steps": NonNegativeInt | None,
    "fast_dev_run": NonNegativeInt | bool,
    "limit_train_batches": NonNegative | None,
    "limit_val_batches": NonNegative | None,
    "limit_test_batches": NonNegative | None,
    "limit_predict_batches": NonNegative | None,
    "overfit_batches": NonNegative,
    "check_val_every_n_epoch": PositiveInt | None,
    "num_sanity_val_steps": FromMinusOne | None,
    "log_every_n_steps": NonNegativeInt | None,
    "accumulate_grad_batches": PositiveInt,
    "gradient_clip_val": NonNegative | None,
    "num_nodes": PositiveInt,
    "reload_dataloaders_every_n_epochs": NonNegativeInt,
}
"""Numbers of the trainer that Lightning takes as they are and fails on, or ignores, in the middle of a run."""
READERS = (AnnotatorReport, CalibrationReport, LabelErrors, LabelIssues, PredictionFile, TrainingDynamics)
"""Callbacks that ask the model for predictions of their own."""
Seed = Annotated[int, Range(0, 2**32 - 1)] | bool


def check_trainer_settings(settings: Mapping[str, Any]) -> None:
    """Refuses numbers of the trainer that are out of range, a seed that NumPy does not take, and no run folder.

    Args:
        settings: of a sub-command, with ``trainer``, ``seed_everything`` and ``run_dir``.

    Raises:
        ConfigError: naming the setting.
    """
    if not settings["run_dir"] or not isinstance(settings["run_dir"], str):
        raise ConfigError(refusal("run_dir", "a folder", settings["run_dir"]))
    check_value("seed_everything", settings["seed_everything"], Seed)
    for name, hint in TRAINER.items():
        check_value(f"trainer.{name}", settings["trainer"][name], hint)


def check_classes(name: str, size: Any) -> Any:
    """Returns a size that the model takes from the data.

    Args:
        name: of the setting, such as ``num_classes``.
        size: of the data, or of the model that is evaluated.

    Raises:
        ConfigError: for no classes: the data have neither annotations nor targets, and list no classes.
    """
    if name == "num_classes" and size == 0:
        raise ConfigError(
            "num_classes of the data must be at least 1, got 0: they have no annotations, no targets and no list of "
            "classes. Add annotations, by which a model is trained."
        )
    return size


def check_start(trainer: Trainer, model: LightningModule) -> None:
    """Refuses a start that would end in an error after the run has claimed its folder, or after training.

    Args:
        trainer: as configured.
        model: that it is to train, evaluate or ask for predictions.

    Raises:
        ConfigError: for a W&B logger that is online without a login, or a module that the reports cannot read.
    """
    for logger in trainer.loggers if trainer.is_global_zero else ():
        if isinstance(logger, WandbLogger) and not board.can_log(logger):
            raise ConfigError(
                "trainer.logger: WandbLogger is online, but W&B is not logged in. Run `wandb login`, set the "
                "environment variable WANDB_API_KEY, or set `offline: true` as configs/logger/wandb.yaml does."
            )
    readers = [type(c).__name__ for c in callbacks_of(trainer) if isinstance(c, READERS)]
    # By the classes: methods of instances are bound anew at each access and never identical.
    if readers and type(model).predict_step is LightningModule.predict_step:
        name = f"{type(model).__module__}.{type(model).__qualname__}"
        lacks = (
            "`predict_step`" if type(model).forward is not LightningModule.forward else "`forward` and `predict_step`"
        )
        raise ConfigError(
            f"model: {name} has no {lacks}, by which {readers} read a model. Define a `predict_step` that returns "
            "`index` and `logits`, or a hilmix.types.StepOutput, or leave the reports out: `default_callbacks: false`."
        )


def check_monitors(trainer: Trainer, model: LightningModule) -> list[str]:
    """Refuses a checkpoint or an early stop by a metric that nothing logs, before training.

    What a module or a callback of one's own logs is not known before it has: with one of these every name passes.

    Args:
        trainer: as configured.
        model: that it is to train.

    Returns:
        The metrics that are monitored, none where every name passes; whether the data allow them is for
        :func:`~hilmix.data.check_validation`.

    Raises:
        ConfigError: naming the metric, those near it and those that there are.
    """
    parts = [type(part).__module__.partition(".")[0] for part in (model, *callbacks_of(trainer))]
    if not isinstance(model, (Classifier, CrossFitClassifier)) or set(parts) - {"hilmix", "lightning"}:
        return []
    silent = {"annotator_auroc"} if _at_face_value(model) else set()
    known = ["train/loss", *(f"val/{name}" for name in METRICS if name not in silent), "epoch", "step"]
    monitors = [c for c in callbacks_of(trainer) if isinstance(c, ModelCheckpoint | EarlyStopping) and c.monitor]
    for callback in monitors:
        name = str(callback.monitor)
        if name not in known and not name.startswith("lr-"):
            near = "".join(f", near: {other}" for other in near_names(name, known)[:1])
            raise ConfigError(
                f"best_metric or the monitor of {type(callback).__name__}: no metric '{name}' is logged{near}; there "
                f"are {known}, where the data know what they need."
            )
    return [str(callback.monitor) for callback in monitors]


def _at_face_value(model: Classifier | CrossFitClassifier) -> bool:
    """Returns whether a model states nothing about annotators: no label has a probability of being right."""
    networks = model.networks if isinstance(model, CrossFitClassifier) else [model]
    return all(isinstance(network.annotator_model, Perfect) for network in networks)


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """Returns the callbacks of a trainer."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    return callbacks

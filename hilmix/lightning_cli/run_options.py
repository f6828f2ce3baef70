"""Options of a run; ``--optimizer`` and ``--lr_scheduler`` become settings of the model."""

import argparse
from collections.abc import Sequence
from typing import Any, Literal

from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser, LRSchedulerTypeTuple
from torch.optim import Optimizer

from hilmix.errors import ConfigError
from hilmix.lightning_cli import TRAINING
from hilmix.lightning_cli.given_settings import SettingSource

GROUPS = ("optimizer", "lr_scheduler")
REPLACED = {
    "optimizer": ("optimizer", "optimizer_kwargs", "lr", "lr_scaling", "weight_decay"),
    "lr_scheduler": ("lr_scheduler", "lr_scheduler_kwargs", "schedule", "lr_warmup_steps"),
}
"""Settings of the model that a group stands for, the first of them its class."""


def add_run_options(parser: LightningArgumentParser) -> None:
    """Adds the options of a run that every command has."""
    parser.add_argument("--run_dir", type=str, help="Folder of this run: config, checkpoints, metrics, figures.")
    parser.add_argument("--best_metric", type=str, help="Validation metric by which the best checkpoint is kept.")
    parser.add_argument("--best_mode", type=Literal["min", "max"], help="Whether a low or a high one is best.")
    parser.add_argument(
        "--trust",
        type=str | list[str] | None,
        help="Package, or list of packages, whose classes a checkpoint or a saved policy may name.",
    )
    parser.add_argument(
        "--default_callbacks", type=bool, default=True, help="Keep checkpoints and reports beside other callbacks."
    )
    parser.add_argument(
        "--unused_settings",
        type=list[str] | None,
        help="Settings such as data.targets or data.mix.alpha that are given and that the chosen class may lack.",
    )


def add_training_options(parser: LightningArgumentParser, command: str) -> None:
    """Adds the options of one command beside those of model, data and trainer."""
    if command in TRAINING:
        parser.add_argument("--overwrite", action="store_true", help="Replace the run that run_dir holds.")
        _add_groups(parser)
    # The saved config of a run names it, and may be given to every command.
    about = "Run folder or checkpoint whose backbone, head and annotators (by name) the training starts from."
    parser.add_argument("--init_from", type=str | None, help=about if command == "fit" else argparse.SUPPRESS)
    if command == "crossfit":
        parser.add_argument("--folds", type=int, default=2, help="Number of folds and networks, at least 2.")
    elif command != "fit":  # an evaluation may be given the saved config of a cross-fitted run
        parser.add_argument("--folds", type=int | None, help=argparse.SUPPRESS)


def _add_groups(parser: LightningArgumentParser) -> None:
    # not instantiated, since the model gives each layer a rate of its own
    for key, base, skip in (("optimizer", (Optimizer,), "params"), ("lr_scheduler", LRSchedulerTypeTuple, "optimizer")):
        parser.add_subclass_arguments(base, key, instantiate=False, fail_untyped=False, skip={skip})


def move_groups(settings: Namespace, given: Sequence[SettingSource]) -> None:
    """Moves what the groups hold to ``model``, and the groups away: a saved config then says it once.

    A group of the command line comes before settings of the model in files.

    Args:
        settings: of a command that trains, as parsed; changed in place.
        given: what the user gave, in order.

    Raises:
        ConfigError: if the model has no such settings, or the command line gives both forms.
    """
    for group in GROUPS:
        chosen = settings.pop(group, None)
        if chosen is None:
            continue
        arguments = settings.model.get("init_args")
        if arguments is None or any(name not in arguments for name in REPLACED[group]):
            raise ConfigError(
                f"`{group}` must be left out: {settings.model.class_path} lacks the setting model.{REPLACED[group][0]}."
            )
        options = [one.source for one in given if one.source.startswith("-")]
        both = [f"--{at}" for at in map(_model_option, options) if at.rpartition(".")[2] in REPLACED[group] and at]
        if both:
            raise ConfigError(f"`{group}` must be given by itself, got --{group} beside {', '.join(both)}.")
        for name, value in _as_settings(group, chosen.as_dict()).items():
            arguments[name] = value


def _model_option(option: str) -> str:
    """Returns ``model.NAME`` of an option of the model, else an empty text."""
    parts = option.lstrip("-").split(".")
    return f"model.{parts[-1]}" if parts[0] == "model" and len(parts) in (2, 3) else ""


def _as_settings(group: str, chosen: dict[str, Any]) -> dict[str, Any]:
    arguments = dict(chosen.get("init_args") or {})
    module, _, name = str(chosen["class_path"]).rpartition(".")
    # Lightning's ReduceLROnPlateau differs from torch's by its argument `monitor` alone
    if module.partition(".")[0] not in ("torch", "lightning"):
        raise ConfigError(f"`{group}` must be a class of torch.optim, got '{chosen['class_path']}'.")
    if group == "lr_scheduler":
        return {"lr_scheduler": name, "lr_scheduler_kwargs": arguments}
    lr, decay = arguments.pop("lr", None), arguments.pop("weight_decay", 0.0)
    return {
        "optimizer": name,
        "optimizer_kwargs": arguments,
        "lr": None if lr is None else float(lr),
        "lr_scaling": "none",
        "weight_decay": decay,
    }

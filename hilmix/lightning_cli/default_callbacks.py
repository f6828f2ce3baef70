"""The callbacks that every run has: checkpoints and reports stay when a config lists callbacks of its own."""

import importlib
import logging
from typing import Any

from jsonargparse import Namespace, dict_to_namespace
from lightning.pytorch.callbacks import Checkpoint, LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger
from omegaconf import OmegaConf

from hilmix.lightning_cli.config_files import configs_folder
from hilmix.modules.evaluated import EvaluatedModule
from hilmix.yaml_files import load_yaml

log = logging.getLogger(__name__)
OWN_METRIC = "val/loss"
"""The metric of the best checkpoint of a module that is not of hilmix, unless another is given."""


def add_default_callbacks(settings: Namespace, *, metric_given: bool = False) -> None:
    """Adds the callbacks of ``base.yaml`` that a list in place of them left out; an empty list stays empty.

    Args:
        settings: of a command, as parsed; changed in place.
        metric_given: whether the user chose ``best_metric``, which then stays whatever the module.
    """
    if not metric_given:
        _suit_best_metric(settings)
    listed = settings.trainer.callbacks
    listed = listed if isinstance(listed, list) else [listed] if listed else []
    if not settings.default_callbacks:
        return
    if not listed:
        return log.warning("trainer.callbacks is empty: this command writes neither checkpoints nor reports.")
    defaults = _possible(_defaults(settings), settings.trainer)
    missing = [one for one in defaults if not any(_same(one, other) for other in listed)]
    if missing:
        log.warning(
            "trainer.callbacks replaces the default ones, but %s stay: list yours under `callbacks+`, or give "
            "--default_callbacks false to run without the default ones.",
            ", ".join(one.class_path.rpartition(".")[2] for one in missing),
        )
    settings.trainer.callbacks = [*missing, *listed]


def add_callback(settings: Namespace, class_path: str) -> None:
    """Adds a default callback of one command, unless it is listed or default callbacks are left out.

    Args:
        settings: of the command, as parsed; changed in place.
        class_path: of the callback.
    """
    listed = settings.trainer.callbacks
    if settings.default_callbacks and listed and not any(one.class_path == class_path for one in listed):
        settings.trainer.callbacks = [*listed, Namespace(class_path=class_path, init_args=Namespace())]


def keep_csv_log(settings: Namespace) -> None:
    """Puts the CSV logger before loggers that a user chose instead of it: reports and attempts are read from its files.

    Args:
        settings: of a command, as parsed; changed in place. ``logger: false`` and Lightning's own default stay.
    """
    chosen = settings.trainer.logger
    if isinstance(chosen, bool) or not chosen:
        return
    listed = chosen if isinstance(chosen, list) else [chosen]
    if not any(issubclass(_class_of(one), CSVLogger) for one in listed):
        ours = Namespace(save_dir=settings.run_dir, name="csv")
        settings.trainer.logger = [Namespace(class_path="lightning.pytorch.loggers.CSVLogger", init_args=ours), *listed]


def drop_unsupported(trainer: Namespace) -> None:
    """Leaves out what a trainer without checkpoints, loggers or any extras refuses.

    Args:
        trainer: settings of the trainer, as parsed; changed in place.
    """
    if trainer.barebones:
        # Lightning refuses all of these beside barebones, also where they are its own defaults.
        trainer.logger, trainer.enable_checkpointing = False, False
        trainer.log_every_n_steps = trainer.num_sanity_val_steps = None
    if isinstance(trainer.callbacks, list):
        trainer.callbacks = _possible(trainer.callbacks, trainer)


def _suit_best_metric(settings: Namespace) -> None:
    """Monitors ``val/loss`` for a module of the user's own, which need not log what hilmix's modules do by default."""
    default = load_yaml((configs_folder() / "base.yaml").read_text())["best_metric"]
    if settings.best_metric != default or issubclass(_class_of(settings.model), EvaluatedModule):
        return
    settings.best_metric = OWN_METRIC
    listed = settings.trainer.callbacks
    for one in listed if isinstance(listed, list) else []:
        if (one.get("init_args") or {}).get("monitor") == default:
            one.init_args.monitor = OWN_METRIC


def _possible(callbacks: list[Namespace], trainer: Namespace) -> list[Namespace]:
    # The Trainer raises for a checkpoint callback without checkpoints, and the monitor of rates for lack of a logger.
    without_checkpoints = trainer.barebones or trainer.enable_checkpointing is False
    without_loggers = trainer.barebones or trainer.logger is False or trainer.logger == []
    refused = (*([Checkpoint] if without_checkpoints else []), *([LearningRateMonitor] if without_loggers else []))
    return [one for one in callbacks if not issubclass(_class_of(one), refused)]


def _defaults(settings: Namespace) -> list[Namespace]:
    base = load_yaml((configs_folder() / "base.yaml").read_text())
    known = {name: settings[name] for name in ("run_dir", "best_metric", "best_mode")}
    filled: Any = OmegaConf.to_container(
        OmegaConf.create({**known, "callbacks": base["trainer"]["callbacks"]}), resolve=True
    )
    return [dict_to_namespace({"init_args": {}, **one}) for one in filled["callbacks"]]


def _same(default: Namespace, other: Namespace) -> bool:
    """Several checkpoints may stand side by side: their files distinguish them."""
    if _class_of(default) is not _class_of(other):
        return False
    ours, theirs = default.init_args, other.get("init_args") or Namespace()
    return all(ours.get(name) == theirs.get(name) for name in ("dirpath", "filename"))


def _class_of(callback: Namespace) -> type:
    module, _, name = callback.class_path.rpartition(".")
    found: type = getattr(importlib.import_module(module), name)
    return found

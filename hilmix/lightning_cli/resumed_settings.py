"""Settings that a resumed run keeps as they were when it began."""

import inspect
from typing import Any

from jsonargparse import dict_to_namespace
from lightning.pytorch import LightningDataModule, LightningModule

from hilmix.errors import RunError
from hilmix.functional.random import run_seed
from hilmix.integrity import read_checkpoint
from hilmix.lightning_cli.parser_errors import differences
from hilmix.lightning_cli.run_folder import check_checkpoint, readable
from hilmix.redaction import redacted
from hilmix.trusted import check_class_paths, find_class

DEFAULTED = ("backbone", "lr", "lr_scaling")
"""Settings of the model whose default depends on the input, and may be another in the next version of hilmix."""
FINDERS = (".LearningRateFinder", ".BatchSizeFinder")
"""Callbacks of Lightning that change a setting before training."""


def reuse_choices(settings: Any, *, training: bool) -> None:
    """Keeps what Lightning's finders, and hilmix by the kind of input, chose when the run of the checkpoint began.

    Args:
        settings: of a command, as parsed, with the checkpoint's path; changed in place.
        training: whether the command goes on with the run; an evaluation rebuilds its model from the checkpoint.

    Raises:
        RunError: if the checkpoint cannot be read.
        ConfigError: if it names a class of a package that is not trusted.
    """
    with readable(settings.get("ckpt_path")):
        reuse_finder_results(settings)
        if training:
            reuse_defaults(settings)


def reuse_finder_results(settings: Any) -> None:
    """Keeps what Lightning's finders found when the run began; they do not search again.

    Args:
        settings: of ``fit``, as parsed, with the checkpoint's path; changed in place.
    """
    callbacks = settings.trainer.callbacks
    finders = [c for c in callbacks if c.class_path.endswith(FINDERS)] if isinstance(callbacks, list) else []
    if settings.get("ckpt_path") is None or not finders:
        return
    settings.trainer.callbacks = [c for c in callbacks if c not in finders]
    saved = read_checkpoint(settings.ckpt_path)
    for finder in finders:
        part, keys = ("model", "attr_name") if finder.class_path.endswith(FINDERS[0]) else ("data", "batch_arg_name")
        name = finder.init_args.get(keys) or "lr"
        found = saved.get("hyper_parameters" if part == "model" else "datamodule_hyper_parameters", {})
        if name in found and name in settings[part].init_args:
            check_class_paths(found[name], where=settings.ckpt_path)
            settings[part].init_args[name] = found[name]


def reuse_defaults(settings: Any) -> None:
    """Keeps the backbone and the rate that the run began with where its config leaves them to hilmix.

    Args:
        settings: of ``fit``, as parsed, with the checkpoint's path; changed in place.
    """
    arguments = settings.model.get("init_args") or {}
    left = [name for name in DEFAULTED if name in arguments and arguments[name] is None]
    if settings.get("ckpt_path") is None or not left:
        return
    # checked: what enters the settings is imported like the user's own config
    trained = check_checkpoint(settings.ckpt_path)
    for name in left:
        found = trained.get(name)
        arguments[name] = dict_to_namespace(found) if isinstance(found, dict) else found


def refuse_other_settings(model: LightningModule, data: LightningDataModule, path: str) -> None:
    """A resumed run must have the settings it began with; where the data lie and who fetches them may change.

    Raises:
        RunError: naming the settings that differ.
    """
    checkpoint = read_checkpoint(path)  # an own module need not keep any of these
    then = {f"model.{name}": value for name, value in checkpoint.get("hyper_parameters", {}).items()}
    then |= {f"data.{name}": value for name, value in checkpoint.get("datamodule_hyper_parameters", {}).items()}
    if "folds" in checkpoint.get("hyper_parameters", {}) and "folds" not in model.hparams:
        raise RunError(f"{path} is of a cross-fitted run. Go on with it by `hilmix crossfit`, or choose another run.")
    then |= {"seed_everything": checkpoint["seed"]} if "seed" in checkpoint else {}
    now = {f"model.{name}": value for name, value in model.hparams.items()}
    now |= {f"data.{name}": value for name, value in data.hparams.items() if name not in ("root", "num_workers")}
    now["seed_everything"] = run_seed()
    now = redacted(now)  # as the checkpoint is
    changed = [line for k in now if k in then for line in differences(k, completed(then[k], now[k]), now[k])]
    if changed:
        raise RunError(
            f"{path} was trained with other settings ({'; '.join(changed)}). Resume with config.yaml of its run folder "
            "(-c), or start a fresh run in another --run_dir."
        )


def completed(then: Any, now: Any) -> Any:
    """Returns a saved value with the arguments that its parts had not got yet, at their defaults.

    Args:
        then: plain value, as an older version may have saved it.
        now: the value that it is compared with.
    """
    if not (isinstance(then, dict) and isinstance(now, dict)):
        return then
    inner = {name: completed(value, now.get(name)) for name, value in then.items()}
    if "class_path" not in then or then["class_path"] != now.get("class_path"):
        return inner
    signature = inspect.signature(find_class(now["class_path"], object)).parameters
    new = {name: signature[name].default for name in now.get("init_args") or {} if name in signature}
    return inner | {"init_args": {**new, **(inner.get("init_args") or {})}}

"""The resolved config of a run, kept in its folder and in W&B."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger

from hilmix.data import AnnotatedDataModule
from hilmix.files import write_table
from hilmix.integrity import name_module
from hilmix.lightning_cli.given_settings import RESUME_ONLY
from hilmix.lightning_cli.provenance import save_start
from hilmix.lightning_cli.results_folder import mark
from hilmix.logging import wandb_logger
from hilmix.redaction import redacted
from hilmix.yaml_files import load_yaml, write_yaml


class SaveRunConfig(SaveConfigCallback):
    """Keeps the resolved config of a training run: in the run folder, per attempt, and in W&B."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves once more what Lightning's finders have found, which come first of all callbacks."""
        found = found_settings(trainer, pl_module)
        changed = False
        for part, name, value in found:
            settings = (self.config.get(part) or {}).get("init_args") or {}
            if name in settings and settings[name] != value:
                settings[name], changed = value, True
        if changed and trainer.is_global_zero:
            self.save_config(trainer, pl_module, "fit")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Names the class of a module of the user's own, too, which knows nothing of hilmix."""
        name_module(checkpoint, pl_module)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # fit refuses a config that predict has saved, as it has settings of predict alone.
        if stage != "fit":
            return
        # not validated again: the run has been built of it
        text = self.parser.dump(self.config, skip_none=False, skip_validation=True)
        settings = redacted(load_yaml(text), by_reference=True)
        settings = {name: value for name, value in settings.items() if name not in RESUME_ONLY}
        portable = {**settings, "trainer": _relative(settings["trainer"], str(settings["run_dir"]))}
        text = f"# {versions()}\n{write_yaml(portable)}"
        # not trainer.log_dir: it is a broadcast, which the other ranks, who are not here, would answer too late
        attempts = [Path(logger.log_dir) for logger in trainer.loggers if isinstance(logger, CSVLogger)]
        for folder in (Path(trainer.default_root_dir), *attempts):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.yaml").write_text(text)
        save_start(Path(trainer.default_root_dir))
        data = getattr(trainer, "datamodule", None)
        if isinstance(data, AnnotatedDataModule):
            _save_data(data, Path(trainer.default_root_dir))
        if (logger := wandb_logger(trainer)) is not None:
            # Lightning gives W&B the hyperparameters of module and data only; a resumed run may change what W&B keeps.
            logger.experiment.config.update({"cli": settings}, allow_val_change=True)


def found_settings(trainer: Trainer, pl_module: LightningModule) -> list[tuple[str, str, Any]]:
    """Returns (``model`` or ``data``, setting, value in force) of what the finders may have changed."""
    found: list[tuple[str, str, Any]] = []
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, LearningRateFinder):
            name = callback._attr_name or "lr"
            found += [("model", name, getattr(pl_module, name, None))]
        elif isinstance(callback, BatchSizeFinder):
            name = callback._batch_arg_name
            found += [("data", name, getattr(getattr(trainer, "datamodule", None), name, None))]
    return [entry for entry in found if entry[2] is not None]


def _save_data(data: AnnotatedDataModule, folder: Path) -> None:
    """Keeps which data the run is about, and the split if it was drawn, in the columns of an items table."""
    mark(folder, data)
    if data.for_model.saved_split is not None:
        write_table(pd.DataFrame({"item": list(data.data.items), "split": data.split}), folder / "split.csv")


def _relative(value: Any, run_dir: str) -> Any:
    """Paths in the run folder as ``${run_dir}/...``: the saved config, used for another run, must not write here."""
    if isinstance(value, dict):
        return {key: _relative(entry, run_dir) for key, entry in value.items()}
    if isinstance(value, list):
        return [_relative(entry, run_dir) for entry in value]
    if isinstance(value, str) and (value == run_dir or value.startswith(f"{run_dir}/")):
        return "${run_dir}" + value[len(run_dir) :]
    return value


def versions() -> str:
    """The versions that a run's numbers depend on, in one line."""
    names = ("hilmix", "torch", "torchvision", "timm", "lightning", "torchmetrics", "numpy")
    return f"python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names)

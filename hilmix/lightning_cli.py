"""LightningCLI with run folders: what is given is used, and silent surprises are refused."""

import argparse
import errno
import logging
import os
import platform
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import jsonargparse
import torch
import yaml
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf.errors import OmegaConfBaseException

import hilmix.annotators
import hilmix.backbones
import hilmix.callbacks
import hilmix.data
import hilmix.data.targets
import hilmix.explanations
import hilmix.mix
import hilmix.modules
import hilmix.regularizers  # noqa: F401  # imported classes can be named without their module
from hilmix.cli import SUBCOMMANDS, configs_folder, told
from hilmix.data import AnnotatedDataModule
from hilmix.data.validation import check_validation
from hilmix.errors import ConfigError, HilmixError, RunError
from hilmix.functional.random import run_seed
from hilmix.logging import wandb_logger
from hilmix.parser_errors import LINKS, differences, one_sentence
from hilmix.report import summarize

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)
"""Errors of a full or protected disk."""


class SaveRunConfig(SaveConfigCallback):
    """Keeps the resolved config of a training run: in the run folder, per attempt, and in W&B."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        settings = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
        portable = {**settings, "trainer": _relative(settings["trainer"], str(settings["run_dir"]))}
        text = f"# {versions()}\n{yaml.safe_dump(portable, sort_keys=False)}"
        # not trainer.log_dir: it is a broadcast, which the other ranks, who are not here, would answer too late
        attempts = [Path(logger.log_dir) for logger in trainer.loggers if isinstance(logger, CSVLogger)]
        for folder in (Path(trainer.default_root_dir), *attempts):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.yaml").write_text(text)
        if (logger := wandb_logger(trainer)) is not None:
            logger.experiment.config.update({"cli": settings}, allow_val_change=True)


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


class HilmixCLI(LightningCLI):
    """``fit``, ``validate``, ``test`` and ``predict`` with a run folder."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--run_dir", type=str, help="Folder of this run: config, checkpoints, metrics, figures.")
        parser.add_argument("--best_metric", type=str, help="Validation metric by which the best checkpoint is kept.")
        parser.add_argument("--best_mode", type=Literal["min", "max"], help="Whether a low or a high one is best.")
        parser.link_arguments("run_dir", "trainer.default_root_dir")
        for name in LINKS:
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand == "test":  # hilmix prints its own table
            parser.set_defaults(verbose=False)
        return parser

    def before_fit(self) -> None:
        data = self.datamodule
        if isinstance(data, AnnotatedDataModule):
            check_validation(data.data, data.rows("val"), self.config[self.subcommand].best_metric)

    def after_fit(self) -> None:
        self._report()

    def after_test(self) -> None:
        self._report()

    def _report(self) -> None:
        if self.trainer.is_global_zero and not self.config[self.subcommand].trainer.fast_dev_run:
            summarize(self.trainer.default_root_dir)

    def _parse_ckpt_path(self) -> None:
        """Finds the checkpoint; upstream would let its hyperparameters override the config without a word."""
        command = self.config.subcommand
        settings = self.config[command]
        run_dir, given = Path(settings.run_dir), settings.get("ckpt_path")
        if given is not None:
            settings.ckpt_path = str(find_checkpoint(run_dir, str(given)))
        elif command != "fit":
            raise RunError(
                f"hilmix {command} needs the weights of a trained model: add --ckpt_path best, last or FILE. "
                f"'best' and 'last' are looked for in {run_dir / 'checkpoints'} (--run_dir)."
            )
        if command != "fit":
            forget_pretrained(settings.model)
        if getattr(rank_zero_only, "rank", 0) == 0:
            claim_run_dir(run_dir, fresh=command == "fit" and given is None and not settings.trainer.fast_dev_run)

    def before_instantiate_classes(self) -> None:
        trainer = self.config[self.subcommand].trainer
        if trainer.fast_dev_run and isinstance(trainer.callbacks, list):  # `save_last` would write even then
            trainer.callbacks = [c for c in trainer.callbacks if not c.class_path.endswith(".ModelCheckpoint")]
            trainer.enable_checkpointing = False

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except (ValueError, TypeError) as error:  # a setting that its class refuses
            if told(error) is not None:
                raise
            raise ConfigError(one_sentence(str(error))) from error
        path = self.config[self.subcommand].get("ckpt_path")
        if path is None:
            return
        try:
            if self.subcommand == "fit":
                refuse_other_settings(self.model, self.datamodule, path)
            else:  # the checkpoint knows what model it is
                self.model = type(self.model).load_from_checkpoint(path)
        except (UnpicklingError, EOFError, LookupError, RuntimeError) as error:
            if isinstance(error, HilmixError):
                raise
            raise RunError(f"{path} can not be read as a checkpoint of hilmix: {error}") from error


def forget_pretrained(model: Any) -> None:
    """A checkpoint brings its own weights: pretrained ones are not fetched, which may need a network."""
    backbone = (model.get("init_args") or {}).get("backbone")
    if backbone is not None and (backbone.get("init_args") or {}).get("pretrained"):
        backbone.init_args.pretrained = False


def find_checkpoint(run_dir: Path, given: str) -> Path:
    """Returns the checkpoint file that ``last``, ``best`` or a path names.

    Raises:
        RunError: if there is none; the message lists those that the run folder has.
    """
    path = run_dir / "checkpoints" / f"{given}.ckpt" if given in ("last", "best") else Path(given)
    if not path.is_file():
        have = sorted(p.name for p in (run_dir / "checkpoints").glob("*.ckpt"))
        raise RunError(
            f"--ckpt_path {given}: there is no file {path}. "
            + (f"{run_dir / 'checkpoints'} has {have}." if have else f"{run_dir} has no checkpoints (check --run_dir).")
        )
    return path


def claim_run_dir(run_dir: Path, *, fresh: bool) -> None:
    """Makes sure that the run folder can be written, and for a fresh run that it holds no other one.

    Raises:
        RunError: with the remedy.
    """
    requeued = os.environ.get("SLURM_RESTART_COUNT", "0") != "0"  # Lightning goes on from its own hpc_ckpt
    if fresh and not requeued and [*(run_dir / "checkpoints").glob("*.ckpt"), *run_dir.glob("hpc_ckpt_*.ckpt")]:
        raise RunError(
            f"The run folder {run_dir} already holds a run. Choose another --run_dir, go on with it by "
            "--ckpt_path last, or remove it."
        )
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        probe = run_dir / f".write-probe-{os.getpid()}"
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
    except OSError as error:
        raise RunError(f"The run folder {run_dir} can not be written: {error}. Choose another --run_dir.") from error


def refuse_other_settings(model: LightningModule, data: LightningDataModule, path: str) -> None:
    """A resumed run must have the settings it began with; where the data lie and who fetches them may change.

    Raises:
        RunError: naming the settings that differ.
    """
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    then = {f"model.{name}": value for name, value in checkpoint["hyper_parameters"].items()}
    then |= {f"data.{name}": value for name, value in checkpoint["datamodule_hyper_parameters"].items()}
    then["seed_everything"] = checkpoint["seed"]
    now = {f"model.{name}": value for name, value in model.hparams.items()}
    now |= {f"data.{name}": value for name, value in data.hparams.items() if name not in ("root", "num_workers")}
    now["seed_everything"] = run_seed()
    changed = [line for k in now if k in then for line in differences(k, then[k], now[k])]
    if changed:
        raise RunError(
            f"{path} was trained with other settings ({'; '.join(changed)}). Resume with the same config, or start a "
            "fresh run in another --run_dir."
        )


def refuse_linked(argv: list[str]) -> None:
    """A value for a setting that is taken from the data would be ignored by the parser.

    Raises:
        ConfigError: naming the setting and where its value comes from.
    """
    tokens = [token.split("=")[0] for token in argv]
    for name, source in LINKS.items():
        if f"--model.{name}" in tokens or f"--model.init_args.{name}" in tokens:
            raise ConfigError(f"model.{name} can not be set: it is taken from {source}. Leave it out.")
    paths = [argv[i + 1] for i, token in enumerate(argv[:-1]) if token in ("-c", "--config")]
    paths += [token.split("=", 1)[1] for token in argv if token.startswith(("-c=", "--config="))]
    for path in paths:
        if not Path(path).is_file():
            raise ConfigError(f"There is no config file '{path}'. The packaged ones are in configs/method/.")
        try:
            settings: Any = yaml.safe_load(Path(path).read_text()) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
        model = settings.get("model") if isinstance(settings, dict) else None
        given = model.get("init_args") or {} if isinstance(model, dict) else {}
        for name, source in LINKS.items():
            if name in given:
                raise ConfigError(f"{path}: model.init_args.{name} can not be set: it is taken from {source}.")


def run(argv: list[str]) -> HilmixCLI:
    """Parses ``argv`` (a sub-command and its options) and runs it.

    Raises:
        HilmixError: for wrong input, with one sentence.
    """
    refuse_linked(argv)
    quieten()
    jsonargparse.set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
    base = str(configs_folder() / "base.yaml")
    # no abbreviations: a setting with a typo is refused, not guessed
    parser: dict[str, Any] = {"parser_mode": "omegaconf+", "exit_on_error": False, "allow_abbrev": False}
    before, sys.argv = sys.argv, [sys.argv[0], *argv]  # the ranks that DDP starts repeat this command line
    try:
        return HilmixCLI(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=SaveRunConfig,
            save_config_kwargs={"save_to_log_dir": False},
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_kwargs={
                "prog": "hilmix",
                **parser,
                **{name: {**parser, "default_config_files": [base]} for name in SUBCOMMANDS},
            },
        )
    except argparse.ArgumentError as error:
        raise ConfigError(one_sentence(str(error))) from error
    except (OmegaConfBaseException, MisconfigurationException) as error:
        raise ConfigError(" ".join(str(error).split())) from error
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise RunError(f"The run can not be written: {error}. Free space or choose another --run_dir.") from error
        raise
    finally:
        sys.argv = before


def quieten() -> None:
    """Drops what the libraries say that no user can act on."""
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    # the position inside the epoch is restored from Lightning's own counters (AnnotatedDataModule.train_dataloader)
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    # our metrics are reduced by torchmetrics before they are logged
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
    # a metric that saw nothing is NaN and left out (StageMetrics.compute)
    warnings.filterwarnings("ignore", message="The ``compute`` method of metric .* was called before the ``update``")
    # Perfect says nothing of annotators: the metric stays empty and is left out
    warnings.filterwarnings("ignore", message=".*metric AnnotatorAUROC was called before.*")
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).addFilter(lambda record: "💡 Tip" not in record.getMessage())

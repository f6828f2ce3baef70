"""LightningCLI with run folders: what is given is used, and silent surprises are refused."""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import jsonargparse
import torch
import yaml
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_only

import hilmix.annotators
import hilmix.backbones
import hilmix.callbacks
import hilmix.data
import hilmix.data.targets
import hilmix.mix
import hilmix.modules
import hilmix.regularizers  # noqa: F401  # imported classes can be named without their module
from hilmix.cli import configs_folder
from hilmix.errors import ConfigError, RunError
from hilmix.logging import wandb_logger
from hilmix.report import build_report, summarize

LINKS = {
    "num_classes": "the classes of the data",
    "num_annotators": "the annotators of the data",
    "input_shape": "the inputs of the data",
}
SUBCOMMANDS = ("fit", "validate", "test", "predict")


class SaveRunConfig(SaveConfigCallback):
    """Keeps the resolved config of a training run: in the run folder, per attempt, and in W&B."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        text = self.parser.dump(self.config, skip_none=False)
        for folder in {Path(trainer.default_root_dir), Path(trainer.log_dir or trainer.default_root_dir)}:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.yaml").write_text(text)
        if (logger := wandb_logger(trainer)) is not None:
            logger.experiment.config.update({"cli": yaml.safe_load(text)}, allow_val_change=True)


class HilmixCLI(LightningCLI):
    """``fit``, ``validate``, ``test`` and ``predict`` with a run folder."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--run_dir", type=str, help="Folder of this run: config, checkpoints, metrics, figures.")
        parser.link_arguments("run_dir", "trainer.default_root_dir")
        for name in LINKS:
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand == "test":  # hilmix prints its own table
            parser.set_defaults(verbose=False)
        return parser

    def after_fit(self) -> None:
        self._report()

    def after_test(self) -> None:
        self._report()

    def _report(self) -> None:
        if self.trainer.is_global_zero and not self.trainer.fast_dev_run:
            build_report(self.trainer.default_root_dir)
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
        if getattr(rank_zero_only, "rank", 0) == 0:
            claim_run_dir(run_dir, fresh=command == "fit" and given is None and not settings.trainer.fast_dev_run)

    def instantiate_classes(self) -> None:
        super().instantiate_classes()
        path = self.config[self.subcommand].get("ckpt_path")
        if path is None:
            return
        if self.subcommand == "fit":
            refuse_other_settings(self.model, path)
        else:  # the checkpoint knows what model it is
            self.model = type(self.model).load_from_checkpoint(path)


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
    if fresh and ((run_dir / "config.yaml").exists() or list((run_dir / "checkpoints").glob("*.ckpt"))):
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


def refuse_other_settings(model: LightningModule, path: str) -> None:
    """A resumed run must have the settings it began with.

    Raises:
        RunError: naming the settings that differ.
    """
    saved = torch.load(path, map_location="cpu", weights_only=True).get("hyper_parameters", {})
    here = dict(model.hparams)
    changed = [f"model.{k}: {saved[k]!r} then, {here[k]!r} now" for k in here if k in saved and saved[k] != here[k]]
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
        settings: Any = yaml.safe_load(Path(path).read_text()) or {}
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
    parser: dict[str, Any] = {"parser_mode": "omegaconf+"}
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
            parser_kwargs={**parser, **{name: {**parser, "default_config_files": [base]} for name in SUBCOMMANDS}},
        )
    finally:
        sys.argv = before


def quieten() -> None:
    """Drops what the libraries say that no user can act on."""
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    # the position inside the epoch is restored from Lightning's own counters (AnnotatedDataModule.train_dataloader)
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    # our metrics are reduced by torchmetrics before they are logged
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).addFilter(lambda record: "💡 Tip" not in record.getMessage())

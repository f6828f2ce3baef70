"""Run ``fit``, ``validate``, ``test`` or ``predict``: the parser's settings, and what its errors mean."""

import logging
import sys
import warnings
from typing import Any

import jsonargparse
import yaml
from jsonargparse._optionals import get_omegaconf_loader  # the public get_loader has it only after a first parse
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule
from omegaconf.errors import OmegaConfBaseException

from hilmix.errors import ConfigError, RunError, find_user_error
from hilmix.lightning_cli.chosen_folder import with_named_folder
from hilmix.lightning_cli.cli import HilmixCLI, RunTrainer
from hilmix.lightning_cli.config_files import check_configs, configs_folder
from hilmix.lightning_cli.exit_codes import exit_codes
from hilmix.lightning_cli.parser_errors import library_of
from hilmix.lightning_cli.run_defaults import run_defaults, with_last_weights
from hilmix.lightning_cli.run_folder import UNWRITABLE
from hilmix.lightning_cli.saved_config import SaveRunConfig
from hilmix.moved import current_options, with_current_paths
from hilmix.yaml_files import MAX_DEPTH, check_yaml, write_yaml

CROSSFIT = (
    "Trains one network per fold in one run, each without the items of its fold, which it then predicts: training "
    "items get predictions by a network that has not seen their labels. Takes the options of fit. Writes "
    "out_of_fold.parquet (item, fold, prob_CLASS, posterior_CLASS) and metrics.json (out_of_fold/...) into the run "
    "folder; label errors and annotators are judged out of fold. A run goes on with --ckpt_path last; test, validate "
    "and predict take it as any other. docs/crossfit.md"
)
DESCRIPTIONS: dict[str, dict[str, Any]] = {"crossfit": {"description": CROSSFIT}}
"""Of commands that Lightning has no word for."""


def run(argv: list[str]) -> HilmixCLI:
    """Parses ``argv`` (a sub-command and its options) and runs it.

    Raises:
        HilmixError: for wrong input, with one sentence.
    """
    check_configs(argv)
    argv = with_last_weights(with_named_folder(argv))
    filter_warnings()
    # Under a sub-command the root of the tree is that command, so that ${run_dir} would not be found.
    jsonargparse.set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
    # Not plain omegaconf, which resolves each file alone: later files and options would not reach interpolations.
    jsonargparse.set_loader("omegaconf+", load_checked, (yaml.YAMLError,))
    jsonargparse.set_dumper("yaml", write_yaml)
    base = str(configs_folder() / "base.yaml")
    # no abbreviations: a setting with a typo is refused, not guessed
    parser: dict[str, Any] = {"parser_mode": "omegaconf+", "exit_on_error": False, "allow_abbrev": False}
    before, sys.argv = sys.argv, [sys.argv[0], *current_options(argv)]  # DDP starts its ranks with it
    try:
        with exit_codes(), run_defaults(argv, base) as files:
            return HilmixCLI(
                LightningModule,
                LightningDataModule,
                trainer_class=RunTrainer,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=SaveRunConfig,
                # By default it lies in the folder of a logger; W&B's is that of all runs, where the second one aborts.
                save_config_kwargs={"save_to_log_dir": False},
                seed_everything_default=0,
                # Its --optimizer would replace the own one of the model; run_options adds another.
                auto_configure_optimizers=False,
                # It would rebuild parts by whatever class path a checkpoint names, past Part.from_spec.
                load_from_checkpoint_support=False,
                parser_kwargs={
                    "prog": "hilmix",
                    **parser,
                    argv[0]: {**parser, "default_config_files": files, **DESCRIPTIONS.get(argv[0], {})},
                },
            )
    except (OmegaConfBaseException, MisconfigurationException) as error:
        raise ConfigError(" ".join(str(error).split())) from error
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise RunError(f"The run cannot be written: {error}. Free space or choose another --run_dir.") from error
        raise
    except Exception as error:
        if find_user_error(error) is None and (source := library_of(error)) is not None:
            raise RunError(f"{source}: {' '.join(str(error).split())}") from error
        raise
    finally:
        sys.argv = before


def filter_warnings() -> None:
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


def load_checked(text: str) -> Any:
    """Returns what jsonargparse would read of a config or value, with current class paths, unless it is a YAML bomb."""
    # Hundreds of values per command: without an alias a text this short can neither grow nor nest too deep.
    if "*" in text or len(text) > MAX_DEPTH:
        check_yaml(text)
    return with_current_paths(get_omegaconf_loader("omegaconf+")(text))

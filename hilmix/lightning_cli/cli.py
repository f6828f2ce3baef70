"""LightningCLI with run folders: every setting takes effect or is refused."""

import argparse
import logging
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from jsonargparse.typing import register_type
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_only

import hilmix.annotators
import hilmix.backbones
import hilmix.callbacks
import hilmix.data
import hilmix.explanations
import hilmix.mix
import hilmix.modules
import hilmix.regularizers  # noqa: F401  # imported classes can be named without their module
from hilmix.backbones import without_pretrained
from hilmix.checks import check_value
from hilmix.data import AnnotatedDataModule
from hilmix.data.folder.describe import training_notes
from hilmix.data.validation import check_validation
from hilmix.errors import ConfigError, RunError, find_user_error, unfit_weights
from hilmix.initial_weights import take_weights
from hilmix.lightning_cli import TRAINING
from hilmix.lightning_cli.choices import describe_choices
from hilmix.lightning_cli.chosen_folder import remove_run
from hilmix.lightning_cli.default_callbacks import add_callback, add_default_callbacks, drop_unsupported, keep_csv_log
from hilmix.lightning_cli.given_settings import (
    given_settings,
    last_of,
    refuse_contradictions,
    refuse_inherited_checkpoint,
    refuse_lost,
)
from hilmix.lightning_cli.loggers import name_boards, plain_output
from hilmix.lightning_cli.module_settings import hide_secrets, method_class, specification
from hilmix.lightning_cli.parser_errors import LINKS, one_sentence
from hilmix.lightning_cli.results_folder import MARK, mark, moved, results_folder
from hilmix.lightning_cli.resumed_settings import refuse_other_settings, reuse_choices
from hilmix.lightning_cli.run_folder import (
    check_checkpoint,
    claim_run_dir,
    evaluated_class,
    find_checkpoint,
    readable,
    rebuilt_from,
    refuse_data_folder,
    refuse_taken,
    requeued_checkpoint,
    separate_last_checkpoint,
)
from hilmix.lightning_cli.run_options import add_run_options, add_training_options, move_groups
from hilmix.lightning_cli.start_checks import check_classes, check_monitors, check_start, check_trainer_settings
from hilmix.modules import CrossFitClassifier
from hilmix.modules.crossfit import Folds
from hilmix.moved import public_path
from hilmix.names import printable
from hilmix.predictor import load
from hilmix.report import has_results, summarize
from hilmix.terminal import pairs, say_notes, terminal
from hilmix.trusted import trust

register_type(torch.device)  # as StochasticWeightAveraging's `device` is by default, which could not be saved otherwise

log = logging.getLogger(__name__)
PARTS = ("data", "model", "trainer")
"""Settings that hold a class, which may be replaced by one that lacks some of its arguments."""


class RunTrainer(Trainer):
    """Lightning's trainer under the name of each command that trains: a command calls the method of its name."""

    crossfit = Trainer.fit


class HilmixCLI(LightningCLI):
    """``fit``, ``crossfit``, ``validate``, ``test`` and ``predict`` with a run folder."""

    _trained: Mapping[str, Any] = {}
    """Hyperparameters of the model that is evaluated."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        # the command that runs, alone: each further parser costs 0.1 s to build, and every parse walks all of them
        known = LightningCLI.subcommands()
        return {name: skip for name, skip in (known | {"crossfit": known["fit"]}).items() if name == sys.argv[1]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        add_run_options(parser)
        # One folder for all that Lightning writes by itself, such as the checkpoint of a requeued job.
        parser.link_arguments("run_dir", "trainer.default_root_dir")
        for name in LINKS:
            of_model = partial(self._structural, name)
            # By links, not interpolation: these lose a whole number when a class is switched later. What the user gives
            # for a linked setting jsonargparse drops silently, so check_configs refuses it.
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", of_model, apply_on="instantiate")

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand == "test":  # hilmix prints its own table
            parser.set_defaults(verbose=False)
        add_training_options(parser, subcommand)
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        name, *options = sys.argv[1:]
        command = self._subcommand_parsers[name]
        # The command's parser alone: that of all commands would merge, resolve and check the same once more.
        vars(command).pop("parent_parser")  # to which it would leave --print_config
        try:
            self.config = Namespace({"subcommand": name, name: command.parse_args(options)})
        except argparse.ArgumentError as error:
            command.default_config_files = []  # one of them may be what is wrong
            defaults = command.get_defaults().keys()
            settings = ["config", *(key for key in defaults if not key.startswith("__"))]
            raise ConfigError(one_sentence(str(error), settings)) from error
        settings = self.config[self.config.subcommand]
        if self.config.subcommand in TRAINING:
            move_groups(settings, given_settings(sys.argv[1:]))
        check_trainer_settings(settings)
        if self.config.subcommand == "crossfit":
            check_value("folds", settings.folds, Folds)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        settings, data = self.config[self.subcommand], self.datamodule
        kwargs |= plain_output(self.config_init[self.subcommand].trainer, training=self.subcommand in TRAINING)
        if self.subcommand in TRAINING or not isinstance(data, AnnotatedDataModule) or settings.trainer.fast_dev_run:
            return super().instantiate_trainer(**kwargs)
        run_dir = Path(settings.run_dir)
        folder = results_folder(run_dir, data)
        if folder != run_dir:
            loggers = moved(self.config_init[self.subcommand].trainer.logger, folder)
            kwargs |= {"default_root_dir": str(folder), "logger": loggers or False}
            log.warning(
                "%s holds results on other data; those on '%s' go to %s.", run_dir, printable(data.data.name), folder
            )
        return super().instantiate_trainer(**kwargs)

    def before_validate(self) -> None:
        name_boards(self.trainer, self.config[self.subcommand], self.datamodule, sys.argv[1:])

    before_test = before_predict = before_validate

    def before_fit(self) -> None:
        monitored = check_monitors(self.trainer, self.model)
        data = self.datamodule
        if isinstance(data, AnnotatedDataModule):
            check_validation(data.data, data.rows("val"), monitored)
        if getattr(rank_zero_only, "rank", 0) == 0:  # last: a start that fails leaves no folder behind
            run_dir = Path(self.config[self.subcommand].run_dir)
            if self._fresh and self.config[self.subcommand].overwrite:
                remove_run(run_dir)
            claim_run_dir(run_dir, fresh=self._fresh)
            name_boards(self.trainer, self.config[self.subcommand], data, sys.argv[1:])
            if isinstance(data, AnnotatedDataModule):
                terminal().print(pairs(describe_choices(data, self.model)))

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        except RuntimeError as error:
            path = self.config[subcommand].get("ckpt_path")
            if path is None or (unfit := unfit_weights(str(error), path)) is None:
                raise
            raise RunError(unfit) from error

    def after_fit(self) -> None:
        self._report()

    before_crossfit, after_crossfit = before_fit, after_fit

    def after_test(self) -> None:
        self._report(metrics=False)  # MetricsFile has printed all of them

    def _report(self, *, metrics: bool = True) -> None:
        trial = self.config[self.subcommand].trainer.fast_dev_run
        if self.trainer.is_global_zero and not trial and has_results(self.trainer.default_root_dir):
            summarize(self.trainer.default_root_dir, metrics=metrics)

    def _parse_ckpt_path(self) -> None:
        """Finds the checkpoint; upstream would let its hyperparameters override the config without a word."""
        command = self.config.subcommand
        settings = self.config[command]
        run_dir, given = Path(settings.run_dir), settings.get("ckpt_path")
        if command in TRAINING and given is None and (requeued := requeued_checkpoint(run_dir)) is not None:
            given = requeued
        sources = given_settings(sys.argv[1:])
        refuse_inherited_checkpoint(sources)
        # an evaluation's saved config is the run's record, defaults and all, and not what the user gave
        own = [one for one in sources if command in TRAINING or not one.saved]
        refuse_lost(own, settings, parts=PARTS, unused=settings.unused_settings or [])
        if given is not None:
            settings.ckpt_path = str(find_checkpoint(run_dir, str(given), resume=command in TRAINING))
        elif command not in TRAINING:
            raise RunError(
                f"hilmix {command} needs the weights of a trained model: add --ckpt_path best, last or FILE. "
                f"'best' and 'last' are looked for in {run_dir / 'checkpoints'} (--run_dir)."
            )
        if command not in TRAINING:
            arguments = settings.model.get("init_args") or {}
            if "backbone" in arguments:
                arguments["backbone"] = without_pretrained(arguments["backbone"])
        self._fresh = command in TRAINING and settings.get("ckpt_path") is None and not settings.trainer.fast_dev_run
        if getattr(rank_zero_only, "rank", 0) != 0:
            return
        if command not in TRAINING:
            claim_run_dir(run_dir, fresh=False)
        elif self._fresh and not settings.overwrite:
            refuse_taken(run_dir)
        elif self._fresh:
            refuse_data_folder(run_dir)

    def before_instantiate_classes(self) -> None:
        named = self.config[self.subcommand].trust or []
        # First: what follows imports the classes that the config names.
        trust(*([named] if isinstance(named, str) else named))
        separate_last_checkpoint(self.config[self.subcommand].trainer)
        reuse_choices(self.config[self.subcommand], training=self.subcommand in TRAINING)
        metric = last_of(given_settings(sys.argv[1:]), "best_metric")
        # a config that hilmix saved repeats the default of the module it was saved with
        add_default_callbacks(self.config[self.subcommand], metric_given=metric is not None and not metric.saved)
        if self.subcommand == "crossfit":
            add_callback(self.config[self.subcommand], "hilmix.callbacks.OutOfFoldFile")
        keep_csv_log(self.config[self.subcommand])
        drop_unsupported(self.config[self.subcommand].trainer)

    def instantiate_classes(self) -> None:
        path = self.config[self.subcommand].get("ckpt_path")
        evaluated = path is not None and self.subcommand not in TRAINING
        if evaluated:
            with readable(path):
                self._trained = check_checkpoint(path)
        try:
            super().instantiate_classes()
        except (ValueError, TypeError, ImportError) as error:  # a setting that its class refuses
            if find_user_error(error) is not None:
                raise
            cause = error.__cause__
            kind = "" if cause is None or isinstance(cause, (ValueError, TypeError)) else f"{type(cause).__name__}: "
            raise ConfigError(f"{kind}{one_sentence(str(error))}") from error
        if self.subcommand == "crossfit":
            self.model = CrossFitClassifier.from_classifier(self.model, folds=self.config[self.subcommand].folds)
        self._suit_checkpoint(path, evaluated=evaluated)
        start = self.config[self.subcommand].get("init_from")
        if path is None and self.subcommand in TRAINING and start is not None:
            data = self.datamodule.data
            take_weights(self.model, data.classes, load(start, device="cpu"), data.annotations.annotators)
        check_start(self.trainer, self.model)
        for part in (self.model, self.datamodule):
            hide_secrets(part)
        if isinstance(self.datamodule, AnnotatedDataModule) and getattr(rank_zero_only, "rank", 0) == 0:
            say_notes(terminal(), self.datamodule.data.notes)
            if self.subcommand in TRAINING:
                # With the split in force, which may have been drawn.
                data = self.datamodule
                say_notes(terminal(), training_notes(data.data, data.split, data.root))
            self._mark_results(self.datamodule)

    def _mark_results(self, data: AnnotatedDataModule) -> None:
        """Claims a free run folder for the data that are evaluated, when nothing refuses the start any more."""
        settings = self.config[self.subcommand]
        folder = Path(settings.run_dir)
        own = self.subcommand not in TRAINING and results_folder(folder, data) == folder
        if own and not settings.trainer.fast_dev_run and not (folder / MARK).exists():
            mark(folder, data)

    def _suit_checkpoint(self, path: str | None, *, evaluated: bool) -> None:
        if path is None:
            return
        with readable(path):
            if not evaluated:
                refuse_other_settings(self.model, self.datamodule, path)
                return
            built = self.model
            kind = CrossFitClassifier if "folds" in self._trained else evaluated_class(path, type(built))
            # absolute: Lightning takes a folder whose name begins with http for an address, and loads that as code
            self.model = kind.load_from_checkpoint(Path(path).resolve(), **rebuilt_from(self._trained))
        trained = specification(self.model)
        if method_class(self.model) is type(built):
            trained["class_path"] = public_path(type(built))
        refuse_contradictions(given_settings(sys.argv[1:]), specification(built), trained, path)

    def _structural(self, name: str, of_data: Any) -> Any:
        """A number that shapes the model: the data's, or of an evaluated model its own, whatever the data lack."""
        return check_classes(name, self._trained.get(name, of_data))

"""The command line: one table of commands, the parsers of what runs, and the one place where errors are printed."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import NamedTuple

import hilmix
from hilmix.checks import near_names
from hilmix.commands.extras import import_command, quick_imports
from hilmix.errors import (
    ConfigError,
    DataError,
    HilmixError,
    RunError,
    UntrustedError,
    UnverifiedError,
    find_user_error,
)
from hilmix.lightning_cli import SUBCOMMANDS


class Command(NamedTuple):
    """A command whose options one module of ``hilmix.commands`` defines, or several, one for each action.

    A module has ``add_arguments(parser)`` and ``run(args, console)``; it is imported when its command runs.
    """

    about: str
    """One line of ``hilmix --help``."""
    description: str = ""
    """First lines of the command's own help; empty where its module has them."""
    module: str = ""
    """Name in ``hilmix.commands``; empty for a command with actions."""
    actions: Mapping[str, tuple[str, str]] = {}
    """Module and one line of help of each action."""


COMMANDS = {
    "data": Command(
        "check your own data folder; list and prepare public data sets",
        "Public data sets and data folders.",
        actions={
            "list": ("data_list", "list the public data sets"),
            "prepare": ("data_prepare", "write a public data set as a data folder"),
            "show": ("data_show", "licence, citation, and where a data set would come from now"),
            "import": ("data_import", "write a data folder from an export of votes, or from images in class folders"),
            "check": ("data_check", "validate a data folder or a table of votes and print what it holds"),
            "describe": ("data_describe", "print what the votes of a data folder or a table hold"),
        },
    ),
    "export": Command("write a trained model as ONNX, torch.export, safetensors or for timm", module="export"),
    "methods": Command("list the methods, with a line about each", module="methods"),
    "serve": Command("serve a trained model: POST an image, get calibrated probabilities", module="serve"),
    "report": Command("build the HTML report of a run folder", module="report"),
    "collect": Command("one table of many runs, or means over their seeds", module="collect"),
    "audit": Command("which labels are wrong, with reasons and items to review", module="audit"),
    "aggregate": Command(
        "one label per item from the votes alone: Dawid-Skene, EBCC, GLAD and others", module="aggregate"
    ),
    "hmix": Command(
        "human judgments of mixed images: describe them, fit policies to them, add them to training",
        "Human judgments of mixed images.",
        actions={
            "summary": (
                "hmix_summary",
                "describe the studies of a folder: curves, confidence, agreement, classes, labels",
            ),
            "download": ("hmix_download", "fetch the released files of H-Mix"),
            "fit": (
                "hmix_fit",
                "fit a perception policy to the infer study, score it on held-out answers, write it as JSON",
            ),
            "mixes": ("hmix_mixes", "write a data folder with the judged mixes as further training items"),
        },
    ),
    "elicit": Command(
        "collect judgments of mixes of your own images, in a web study",
        "Collect judgments of your own mixes in a web study. docs/elicit.md",
        actions={
            "build": (
                "elicit_build",
                "draw mixes of a data folder and write them, with batches and texts, as a study",
            ),
            "review": ("elicit_review", "write the suspicious labels of an audit as a study, to be looked at again"),
            "serve": ("elicit_serve", "serve a study: pages for participants, and numbers for you"),
            "status": ("elicit_status", "show how far a study is: coverage, agreement, timing, flags and exclusions"),
            "simulate": ("elicit_simulate", "send simulated participants through a study, to try it out"),
            "import": ("elicit_import", "take what the jsPsych pages of a study have saved into the study"),
            "export": (
                "elicit_export",
                "write the answers of a study as tables, as a data folder or as H-Mix; or its pages",
            ),
            "next": ("elicit_next", "propose the most informative mixes, to build the next study of"),
        },
    ),
}
RUN_COMMANDS = {"predict": Command("class probabilities of new items", module="predict")}
"""Commands of LightningCLI that take a run as their first argument, too, and then options of their own."""
_TRAINING = (
    "train a method",
    "train a network per fold: predictions of training items by networks that have not seen them",
    "score a run on its validation items",
    "score a run on its test items",
    "class probabilities of new items, or with posteriors those of a run's own, as one table",
)
"""Help of the commands of LightningCLI."""
_ABOUT = {**dict(zip(SUBCOMMANDS, _TRAINING, strict=True)), **{name: one.about for name, one in COMMANDS.items()}}
_LISTED = "\n".join(f"  {name:<11}{about}" for name, about in _ABOUT.items())
HELP = f"""usage: hilmix COMMAND ...

Train calibrated classifiers from the votes of many imperfect annotators.

commands:
{_LISTED}

  hilmix fit     -c configs/method/annot-mix.yaml --data.root FOLDER --run_dir runs/mine
  hilmix test    --run_dir runs/mine --ckpt_path best
  hilmix predict runs/mine NEW -o new.parquet

hilmix COMMAND --help lists the options of a command; hilmix fit --print_config shows every setting in force.
Configs named configs/... are found in the installed package when they are not in the working directory.
"""


_CLOSED_PIPE = 128 + 13
"""Exit code where the output has no reader any more: that of a program which SIGPIPE ends."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and print errors of input, each as one message on stderr.

    Args:
        args: command and options; default: those of the process.

    Returns:
        The exit code: 0, 2 for an error of input, or 141 where the reader of the output is gone, as of ``| head``.
    """
    try:
        try:
            code = _run(list(sys.argv[1:] if args is None else args))
        except SystemExit as stopped:
            if isinstance(stopped.__context__, BrokenPipeError):
                return _CLOSED_PIPE  # rich has sent further output nowhere, and would exit with 1
            print(end="", flush=True)  # argparse has printed the help
            raise
        print(end="", flush=True)  # at exit a closed pipe could not be answered any more
        return code
    except BrokenPipeError:
        from hilmix.terminal import leave_closed_pipe

        if not leave_closed_pipe():  # of a worker or a connection
            raise
        return _CLOSED_PIPE


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(HELP)
        return 0
    if argv[0] == "--version":
        print(f"hilmix {hilmix.__version__}")
        return 0
    try:
        _dispatch(argv)
    except Exception as error:
        found = find_user_error(error) or _of_system(error)
        if found is None:
            raise
        from hilmix.terminal import refuse

        return refuse(_with_option(found))
    return 0


def _dispatch(argv: list[str]) -> None:
    if argv[0] == "fit" and argv[1:] in (["--help"], ["-h"]):
        from hilmix.lightning_cli.short_help import short_help

        print(short_help(), end="")
        raise SystemExit(0)  # as argparse does behind the help of every other command
    argv = [argv[0], *("--help" if token == "--help-all" else token for token in argv[1:])]
    if argv[0] in SUBCOMMANDS and not _of_run(argv):
        with quick_imports():
            from hilmix.lightning_cli.config_files import with_packaged_configs
            from hilmix.lightning_cli.run import run

        run(with_packaged_configs(argv))
        return
    if argv[0] not in COMMANDS and not _of_run(argv):
        near = "".join(f", near: {name}" for name in near_names(argv[0], _ABOUT)[:1])
        raise ConfigError(
            f"There is no command '{argv[0]}'{near}; there are {[*_ABOUT]}, and options come after the command."
        )
    module, args = _parse(argv[0], argv[1:])
    from hilmix.terminal import terminal

    module.run(args, terminal())


def _of_run(argv: list[str]) -> bool:
    """True for ``predict RUN ...``, which takes a trained run and needs no trainer."""
    return argv[0] in RUN_COMMANDS and len(argv) > 1 and not argv[1].startswith("-")


def _parse(name: str, argv: list[str]) -> tuple[ModuleType, argparse.Namespace]:
    """Return the module that runs and its arguments; argparse itself answers ``--help`` and wrong options."""
    command = {**COMMANDS, **RUN_COMMANDS}[name]
    parser = _describe(argparse.ArgumentParser(prog=f"hilmix {name}"), command.description or command.about)
    if command.module:
        module = import_command(command.module)
        module.add_arguments(parser)
        return module, parser.parse_args(argv)
    chosen = None
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, (file, about) in command.actions.items():
        own = _describe(actions.add_parser(action, help=about), about)
        if argv[:1] == [action]:  # the options of the others are not needed, nor what their modules import
            chosen = import_command(file)
            chosen.add_arguments(own)
    args = parser.parse_args(argv)
    assert chosen is not None, "argparse has refused every other action"
    return chosen, args


def _describe(parser: argparse.ArgumentParser, about: str) -> argparse.ArgumentParser:
    parser.description = f"{about[0].upper()}{about[1:].rstrip('.')}" + "." * (not about.endswith(".md"))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def _with_option(error: HilmixError) -> Exception:
    """The error with the option of the command line that allows what the library refuses without consent."""
    cause: BaseException | None = error
    while cause is not None and str(cause) in str(error):  # a file's name may have been put in front
        if isinstance(cause, UntrustedError):
            return ConfigError(f"{error} On the command line: --trust {cause.package}.")
        if isinstance(cause, UnverifiedError):
            return DataError(f"{error} On the command line: --allow-unverified.")
        cause = cause.__cause__
    return error


def _of_system(error: Exception) -> HilmixError | None:
    """The message about a file that the system refuses: a name that is too long, missing rights, a disk that fails."""
    if isinstance(error, OSError) and error.filename is not None:
        return RunError(
            f"Cannot use '{error.filename}': {error.strerror or error}. Choose another, or change its rights."
        )
    return None

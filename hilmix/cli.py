"""The command line: LightningCLI for training and evaluation, and the other sub-commands."""

import sys
from collections.abc import Sequence

import hilmix
from hilmix.checks import near_names
from hilmix.errors import ConfigError, HilmixError, RunError, find_user_error
from hilmix.lightning_cli import SUBCOMMANDS

HELP = """usage: hilmix COMMAND ...

Train calibrated classifiers from the votes of many imperfect annotators.

commands:
  fit        train a method
  validate   score a run on its validation items
  test       score a run on its test items
  predict    class probabilities, posteriors and annotator reliability of every item, as one Parquet file
  data       check your own data folder; list and prepare public data sets
  report     build the HTML report of a run folder
  aggregate  one label per item from the votes alone: Dawid-Skene, GLAD, MACE and others
  hmix       what people said about mixed images: describe it, fit policies to it, add it to training
  elicit     ask people about mixes of your own images, in a web study

  hilmix fit     -c configs/method/annot-mix.yaml --data.root FOLDER --run_dir runs/mine
  hilmix test    --run_dir runs/mine --ckpt_path best
  hilmix predict --run_dir runs/mine --ckpt_path best

hilmix COMMAND --help lists the options of a command; hilmix fit --print_config shows every setting in force.
Configs named configs/... are found in the installed package when they are not in the working directory.
"""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, or 2 for an error of input, told in one sentence."""
    argv = list(sys.argv[1:] if args is None else args)
    if not argv or argv[0] in ("-h", "--help"):
        print(HELP)
        return 0
    try:
        return _dispatch(argv)
    except Exception as error:
        message = find_user_error(error) or _of_system(error)
        if message is None:
            raise
        from hilmix.terminal import refuse

        return refuse(message)


def _dispatch(argv: list[str]) -> int:
    if argv[0] == "--version":
        print(f"hilmix {hilmix.__version__}")
        return 0
    if argv[0] == "data":
        from hilmix.commands import data

        return data.main(argv[1:])
    if argv[0] == "report":
        from hilmix.commands import report

        return report.main(argv[1:])
    if argv[0] == "aggregate":
        from hilmix.commands import aggregate

        return aggregate.main(argv[1:])
    if argv[0] == "hmix":
        from hilmix.commands import hmix

        return hmix.main(argv[1:])
    if argv[0] == "elicit":
        from hilmix.commands import elicit

        return elicit.main(argv[1:])
    if argv[0] not in SUBCOMMANDS:
        commands = [*SUBCOMMANDS, "data", "report", "aggregate", "hmix", "elicit"]
        near = "".join(f", near: {name}" for name in near_names(argv[0], commands)[:1])
        raise ConfigError(
            f"There is no command '{argv[0]}'{near}; there are {commands}, and options come after the command."
        )
    from hilmix.lightning_cli.cli import run
    from hilmix.lightning_cli.config_files import with_packaged_configs

    run(with_packaged_configs(argv))
    return 0


def _of_system(error: Exception) -> HilmixError | None:
    """The message about a file that the system refuses: a name that is too long, missing rights, a disk that fails."""
    if isinstance(error, OSError) and error.filename is not None:
        return RunError(
            f"Cannot use '{error.filename}': {error.strerror or error}. Choose another, or change its rights."
        )
    return None

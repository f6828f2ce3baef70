"""``hilmix elicit``: a web study of your own mixes. Each action is a module that is imported when it is asked for."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from hilmix.errors import ConfigError, HilmixError
from hilmix.terminal import refuse, terminal

ACTIONS = {
    "build": ("elicit_build", "draw mixes of a data folder and write them, with batches and texts, as a study"),
    "serve": ("elicit_serve", "serve a study: pages for participants, and numbers for you"),
    "status": ("elicit_status", "show how far a study is: coverage, agreement, timing, flags and exclusions"),
    "simulate": ("elicit_simulate", "send simulated participants through a study, to try it out"),
    "import": ("elicit_import", "take what the jsPsych pages of a study have saved into the study"),
    "export": ("elicit_export", "write the answers of a study as tables, as a data folder or as H-Mix; or its pages"),
    "next": ("elicit_next", "propose the mixes whose judgments would tell most, to build the next study of"),
}
"""Module of ``hilmix.commands`` and help of each. It has ``add_arguments(parser)`` and ``run(args, console)``."""
EXTRA = ("fastapi", "httpx", "markdown_it", "pydantic", "starlette", "uvicorn")
"""What ``hilmix[elicit]`` brings, as it is imported."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``hilmix elicit`` with the arguments after ``elicit``; returns 0, or 2 with one clear message."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        known = argv and argv[0] in ACTIONS
        chosen = import_extra(f"hilmix.commands.{ACTIONS[argv[0]][0]}") if known else None
        args = _parser(chosen).parse_args(argv)
        assert chosen is not None, "argparse has refused every other action"
        chosen.run(args, terminal())
    except HilmixError as error:
        return refuse(error)
    return 0


def import_extra(module: str) -> ModuleType:
    """Returns a module that needs ``hilmix[elicit]``.

    Raises:
        ConfigError: if the extra is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise ConfigError("hilmix elicit needs further packages: pip install 'hilmix[elicit]'") from error


def _parser(chosen: ModuleType | None) -> argparse.ArgumentParser:
    """All actions by name and help; the options of the one that runs."""
    parser = argparse.ArgumentParser(
        prog="hilmix elicit", description="Collect judgments of your own mixes in a web study. docs/elicit.md"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (module, about) in ACTIONS.items():
        action = actions.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if chosen is not None and chosen.__name__.endswith(f".{module}"):
            chosen.add_arguments(action)
    return parser

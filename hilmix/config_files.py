"""Config files named on the command line: found, read, and checked for settings that would be ignored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hilmix.errors import ConfigError
from hilmix.given_settings import given_settings
from hilmix.parser_errors import LINKS


def refuse_linked(argv: list[str]) -> None:
    """A value for a setting that is taken from the data would be ignored by the parser.

    Raises:
        ConfigError: naming the setting and where its value comes from.
    """
    tokens = [token.split("=")[0] for token in argv]
    for name, source in LINKS.items():
        if f"--model.{name}" in tokens or f"--model.init_args.{name}" in tokens:
            raise ConfigError(f"model.{name} can not be set: it is taken from {source}. Leave it out.")
    for file in given_settings(argv):
        model = None if file.source.startswith("-") else file.settings.get("model")
        given = model.get("init_args") or {} if isinstance(model, dict) else {}
        for name, source in LINKS.items():
            if name in given:
                raise ConfigError(f"{file.source}: model.init_args.{name} can not be set: it is taken from {source}.")


def configs_folder() -> Path:
    """The packaged configs: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def with_packaged_configs(argv: Sequence[str]) -> list[str]:
    """Replaces ``-c configs/NAME`` by the packaged file where the working directory has no such file."""
    out: list[Any] = list(argv)
    for i, token in enumerate(argv):
        flag, equals, value = token.partition("=")
        if flag not in ("-c", "--config"):
            continue
        value = value if equals else (argv[i + 1] if i + 1 < len(argv) else "")
        if not value.startswith("configs/") or Path(value).exists():
            continue
        packaged = configs_folder() / value.removeprefix("configs/")
        if packaged.is_file():
            out[i] = f"--config={packaged}"
            if not equals:
                out[i + 1] = None
    return [token for token in out if token is not None]

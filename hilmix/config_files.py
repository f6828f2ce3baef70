"""Config files named on the command line: found, read, and checked for settings that would be ignored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hilmix.errors import ConfigError
from hilmix.parser_errors import LINKS
from hilmix.yaml_files import load_yaml


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
            settings: Any = load_yaml(Path(path).read_text()) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
        model = settings.get("model") if isinstance(settings, dict) else None
        given = model.get("init_args") or {} if isinstance(model, dict) else {}
        for name, source in LINKS.items():
            if name in given:
                raise ConfigError(f"{path}: model.init_args.{name} can not be set: it is taken from {source}.")


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

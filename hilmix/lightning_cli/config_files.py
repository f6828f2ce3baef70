"""Config files named on the command line: found, read, and checked for settings that would be ignored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hilmix.checks import near_names
from hilmix.errors import ConfigError
from hilmix.lightning_cli.given_settings import given_settings
from hilmix.lightning_cli.parser_errors import LINKS


def check_configs(argv: Sequence[str]) -> None:
    """Refuses config files that are not there or no mapping, and values that the parser would ignore.

    Args:
        argv: the command line, with ``-c`` or ``--config`` before each file.

    Raises:
        ConfigError: naming the file or the setting, and what is near or right.
    """
    tokens = [token.split("=")[0] for token in argv]
    for name, source in LINKS.items():
        if f"--model.{name}" in tokens or f"--model.init_args.{name}" in tokens:
            raise ConfigError(f"model.{name} cannot be set: it is taken from {source}. Leave it out.")
    paths = [argv[i + 1] for i, token in enumerate(argv[:-1]) if token in ("-c", "--config")]
    paths += [token.split("=", 1)[1] for token in argv if token.startswith(("-c=", "--config="))]
    for path in paths:
        _refuse_missing(path)
    for file in given_settings(argv):
        if not file.source.startswith("-"):
            _check_sections(file.source, file.settings)


def _refuse_missing(path: str) -> None:
    if Path(path).is_file():
        return
    what = "is a folder, not a config file" if Path(path).is_dir() else "does not exist"
    near = "".join(f", near: {name}" for name in _near_configs(path)[:1])
    raise ConfigError(
        f"The config file '{path}' {what}{near}. "
        "The packaged ones are in configs/method/, configs/mix/, configs/explanation/ and configs/experiment/."
    )


def _check_sections(path: str, settings: dict[str, Any]) -> None:
    for section in ("model", "data", "trainer"):
        given = settings.get(section)
        if isinstance(given, str) and section != "trainer":  # a class, or a file of its own
            continue
        if not isinstance(given, dict | None):
            raise ConfigError(f"{path}: `{section}` must be a mapping of settings, got {given!r}.")
        arguments = (given or {}).get("init_args")
        if not isinstance(arguments, dict | None):
            raise ConfigError(f"{path}: `{section}.init_args` must be a mapping of settings, got {arguments!r}.")
        for name in set(LINKS) & set(arguments or {}) if section == "model" else ():
            raise ConfigError(f"{path}: model.init_args.{name} cannot be set: it is taken from {LINKS[name]}.")


def _near_configs(path: str) -> list[str]:
    """Names of files that may be meant: packaged ones, and those beside the given path."""
    folder = configs_folder()
    names = [f"configs/{file.relative_to(folder).as_posix()}" for file in sorted(folder.rglob("*.yaml"))]
    names += [
        str(file) for file in sorted(Path(path).parent.glob("*.y*ml")) if file.is_file() and str(file) not in names
    ]
    by_stem = {Path(name).stem: name for name in reversed(names)}
    near = near_names(path, names)
    return near + [by_stem[stem] for stem in near_names(Path(path).stem, by_stem) if by_stem[stem] not in near]


def configs_folder() -> Path:
    """The packaged configs: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
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
                # Marked and dropped at the end, as the loop counts on the places of the tokens.
                out[i + 1] = None
    return [token for token in out if token is not None]

"""What the user gave: config files and options in their order, and whether all of it reaches the run."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonargparse import namespace_to_dict

from hilmix.errors import ConfigError
from hilmix.parser_errors import LINKS
from hilmix.yaml_files import load_yaml

log = logging.getLogger(__name__)
RESUME_ONLY = ("ckpt_path", "weights_only")
"""Settings of one attempt, which another run must not inherit."""
SAVED = "# python "
"""How a config that hilmix saved begins; see :func:`hilmix.saved_config.versions`."""


class Given(NamedTuple):
    """One config file, or one option of the command line."""

    source: str
    settings: dict[str, Any]
    saved: bool = False
    """Whether hilmix itself saved the file with a run."""


def given_settings(argv: Sequence[str]) -> list[Given]:
    """Returns what a command line gives, in its order: later ones override earlier ones.

    Raises:
        ConfigError: if a config file is missing or is not valid YAML.
    """
    return list(_given(argv))


def _given(argv: Sequence[str]) -> Iterator[Given]:
    for i, token in enumerate(argv):
        if not token.startswith("-"):
            continue
        name, equals, value = token.partition("=")
        value = value if equals else (argv[i + 1] if i + 1 < len(argv) else "")
        if name in ("-c", "--config"):
            if equals or i + 1 < len(argv):
                yield from_file(value)
        else:
            settings: Any = value
            for key in reversed(name.lstrip("-").removesuffix("+").split(".")):
                settings = {key: settings}
            yield Given(name, settings)


def from_file(path: str) -> Given:
    """Returns what a config file gives.

    Raises:
        ConfigError: if there is no such file, or it is not YAML or no mapping.
    """
    if not Path(path).is_file():
        raise ConfigError(f"There is no config file '{path}'. The packaged ones are in configs/method/.")
    try:
        text = Path(path).read_text()
        settings: Any = load_yaml(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        found = "nothing" if settings is None else type(settings).__name__
        raise ConfigError(f"{path} must be a mapping of settings, got {found}.")
    saved = text.startswith(SAVED) and " hilmix " in text.partition("\n")[0]
    return Given(path, settings, saved)


def last_of(given: Sequence[Given], name: str) -> Given | None:
    """Returns what gives a top-level setting its value."""
    having = [one for one in given if name in one.settings]
    return having[-1] if having else None


def refuse_inherited_checkpoint(given: Sequence[Given]) -> None:
    """A saved config describes a run, not one attempt at it: it must not continue another run by itself.

    Raises:
        ConfigError: if the checkpoint to start from is given by a config that hilmix saved.
    """
    by = last_of(given, "ckpt_path")
    if by is None or by.source.startswith("-") or by.settings["ckpt_path"] is None:
        return
    if by.saved:
        raise ConfigError(
            f"{by.source} is the saved config of a run that was resumed: its ckpt_path is "
            f"'{by.settings['ckpt_path']}'. Remove this line to start afresh, or give --ckpt_path."
        )
    log.warning("Starting from the checkpoint '%s', as %s sets ckpt_path.", by.settings["ckpt_path"], by.source)


def refuse_lost(given: Sequence[Given], config: Any, *, parts: Sequence[str], unused: Sequence[str]) -> None:
    """A class chosen in place of another one must take all settings that were given for it.

    Args:
        given: in order.
        config: what the parser made of it.
        parts: of ``data`` and ``model``, those that matter.
        unused: names of settings, such as ``data.targets``, that may be lost.

    Raises:
        ConfigError: naming the class, the settings that it lacks, and what gave them.
    """
    for part in parts:
        chosen = namespace_to_dict(config[part])
        taken = {*(chosen.get("init_args") or {}), *(chosen.get("dict_kwargs") or {})}
        lost = {
            name: one.source
            for one in given
            for name in _settings_of(one, part)
            if name not in taken and name not in LINKS and f"{part}.{name}" not in unused
        }
        if lost:
            raise ConfigError(
                f"{part}.class_path is {config[part].class_path}, which has no setting {', '.join(lost)} "
                f"(given by {', '.join(dict.fromkeys(lost.values()))}), so that it would be without effect. Let the "
                f"class take it, leave it out, or give --unused_settings '[{', '.join(f'{part}.{n}' for n in lost)}]'."
            )


def _settings_of(given: Given, part: str) -> list[str]:
    """Names of the settings that are given for the class of a part, but for those that are null."""
    value = given.settings.get(part)
    if isinstance(value, str) and Path(value).is_file():
        value = from_file(value).settings
    if not isinstance(value, dict):
        return []
    inner = value.get("init_args")
    inner = inner if isinstance(inner, dict) else {}
    outer = {k: v for k, v in value.items() if k not in ("class_path", "init_args", "dict_kwargs", "help")}
    return [name.removesuffix("+") for name, setting in {**outer, **inner}.items() if setting is not None]

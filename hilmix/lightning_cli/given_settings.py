"""Settings of the user: config files and options in their order, and a check that all of it reaches the run."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonargparse import namespace_to_dict

from hilmix.errors import ConfigError
from hilmix.lightning_cli.parser_errors import LINKS, differences
from hilmix.yaml_files import load_yaml

log = logging.getLogger(__name__)
RESUME_ONLY = ("ckpt_path", "weights_only", "overwrite")
"""Settings of one attempt, which another run must not inherit."""
SAVED = "# python "
"""First characters of a config that hilmix saved; see :func:`hilmix.lightning_cli.saved_config.versions`."""


class SettingSource(NamedTuple):
    """One config file, or one option of the command line."""

    source: str
    settings: dict[str, Any]
    saved: bool = False
    """Whether hilmix itself saved the file with a run."""


def given_settings(argv: Sequence[str]) -> list[SettingSource]:
    """Returns what a command line gives, in its order: later ones override earlier ones.

    Raises:
        ConfigError: if a config file is missing or is not valid YAML.
    """
    return list(_given(argv))


def _given(argv: Sequence[str]) -> Iterator[SettingSource]:
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
            # callbacks+ adds to the list of callbacks; it is the same setting.
            for key in reversed(name.lstrip("-").removesuffix("+").split(".")):
                settings = {key: settings}
            yield SettingSource(name, settings)


def from_file(path: str) -> SettingSource:
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
    return SettingSource(path, settings, saved)


def last_of(given: Sequence[SettingSource], name: str) -> SettingSource | None:
    """Returns what gives a top-level setting its value."""
    having = [one for one in given if name in one.settings]
    return having[-1] if having else None


def refuse_inherited_checkpoint(given: Sequence[SettingSource]) -> None:
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


def refuse_lost(given: Sequence[SettingSource], config: Any, *, parts: Sequence[str], unused: Sequence[str]) -> None:
    """A class chosen in place of another one must take all settings that were given for it, at any depth.

    A list, such as that of regularisers, is replaced as a whole by a later one, as a number is.

    Args:
        given: in order.
        config: what the parser made of it.
        parts: top-level names, such as ``data`` and ``model``, that matter.
        unused: names of settings, such as ``data.targets``, that may be lost, with all that is below them.

    Raises:
        ConfigError: naming each class, the settings that it lacks, and what gave them.
    """
    final = namespace_to_dict(config)
    lost: dict[str, dict[str, list[str]]] = {}
    for one in given:
        for part in parts:
            for setting, chosen in _lost(one.settings.get(part), final.get(part), part):
                if not any(f"{setting}.".startswith(f"{name}.") for name in unused):
                    lost.setdefault(chosen, {}).setdefault(setting, []).append(one.source)
    if not lost:
        return
    faults = [
        f"{chosen}, which has no setting {', '.join(name.rpartition('.')[2] for name in names)} "
        f"(given by {', '.join(dict.fromkeys(source for sources in names.values() for source in sources))})"
        for chosen, names in lost.items()
    ]
    every = ", ".join(setting for names in lost.values() for setting in names)
    raise ConfigError(
        f"{'; '.join(faults)}, so that it would be without effect. Let the class take it, leave it out, or give "
        f"--unused_settings '[{every}]'."
    )


def _lost(given: Any, final: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yields (setting, what was chosen) for everything in a given value that the final one has no place for."""
    settings = _settings_in(given) if isinstance(final, dict | None) else {}
    settings = {name: setting for name, setting in settings.items() if setting not in (None, "null")}
    if final is None and not (isinstance(given, dict) and {"class_path", "init_args"} & set(given)):
        return  # a plain mapping, such as the arguments of an optimizer, was replaced as any value is
    if final is None or "class_path" in final:
        init, more = ((final or {}).get(name) or {} for name in ("init_args", "dict_kwargs"))
        inner, taken = init, {*init, *more}
        chosen = f"{path} is null" if final is None else f"{path}.class_path is {final['class_path']}"
        missing = [name for name in settings if name not in taken and not (path == "model" and name in LINKS)]
        yield from ((f"{path}.{name}", chosen) for name in missing)
    else:
        inner = final
    for name in [name for name in settings if isinstance(inner.get(name, 0), dict | None)]:
        yield from _lost(settings[name], inner[name], f"{path}.{name}")


def refuse_contradictions(
    given: Sequence[SettingSource], built: Mapping[str, Any], trained: Mapping[str, Any], path: str
) -> None:
    """An evaluated model is that of its checkpoint: what is given for the model must not say otherwise.

    Only what was given counts, not the defaults of a model that is built around it.

    Args:
        given: in order.
        built: ``class_path`` and ``init_args`` of the model that the settings describe, plain values.
        trained: those of the checkpoint's model.
        path: of the checkpoint.

    Raises:
        ConfigError: naming each setting with both values, what gave it, and the remedy.
    """
    sources: dict[str, list[str]] = {}
    for one in given:
        if "model" in one.settings:
            for line in _contradictions(one.settings["model"], built, trained, "model"):
                sources.setdefault(line, []).append(one.source)
    if sources:
        found = "; ".join(f"{line} (given by {', '.join(dict.fromkeys(by))})" for line, by in sources.items())
        raise ConfigError(
            f"{path} was trained with other settings of the model: {found}. An evaluation takes the model from the "
            "checkpoint. Leave these settings out, or give the checkpoint of the run that was trained with them."
        )


def _contradictions(given: Any, built: Any, trained: Any, name: str) -> Iterator[str]:
    """Yields how a part that is built differs from the trained one, as far as the given value says anything of it."""
    if not all(isinstance(value, Mapping) and "class_path" in value for value in (built, trained)):
        yield from differences(name, trained, built)
        return
    settings = _mapping_of(given)
    # which class stands around the model's own settings is a default, unless it is given
    if built["class_path"] != trained["class_path"] and (name != "model" or not settings or "class_path" in settings):
        yield from differences(name, trained, built)
        return
    now, then = built.get("init_args") or {}, trained.get("init_args") or {}
    for key, value in _settings_in(settings).items():
        if key in now and key in then:
            yield from _contradictions(value, now[key], then[key], f"{name}.{key}")


def _settings_in(value: Any) -> dict[str, Any]:
    """Returns the settings that a value gives for the class of a part."""
    value = _mapping_of(value)
    inner = value.get("init_args")
    inner = inner if isinstance(inner, dict) else {}
    outer = {k: v for k, v in value.items() if k not in ("class_path", "init_args", "dict_kwargs", "help")}
    return {name.removesuffix("+"): setting for name, setting in {**outer, **inner}.items()}


def _mapping_of(value: Any) -> dict[str, Any]:
    """Returns the mapping that a value is, or that it holds or names as text; of any other value an empty one."""
    if isinstance(value, str) and value.startswith("{"):
        value = load_yaml(value)  # of an option, which the parser has read already
    elif isinstance(value, str) and value.endswith((".yaml", ".yml")) and Path(value).is_file():
        value = from_file(value).settings
    return value if isinstance(value, dict) else {}

"""Settings in sentences: the parser's tree of reasons as which setting, what was found, what is allowed; changes."""

import importlib
import inspect
import re
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

import jsonargparse

from hilmix.checks import near_names, with_article

LINKS = {
    "num_classes": "the classes of the data",
    "num_annotators": "the annotators of the data",
    "input_shape": "the inputs of the data",
    "num_annotator_features": "the annotators' metadata",
    "num_groups": "the groups of the data",
}
"""Settings of the model that are taken from the data, and from what."""
_CHOICE = re.compile(r"must be one of (?P<allowed>.+), got (?P<found>.+)")
# jsonargparse explains for every member of a union why it does not fit, and repeats the whole value.
_NOISE = re.compile(
    r"Does not validate against|Subtypes: |Errors:$|Expected a <class 'NoneType'>$|Given value|Expected a path but|"
    r"Not a valid subclass of|Subclass types expect|a class path \(str\)|a dict with"
)
_SHORT = reprlib.Repr()
"""A fitted policy may hold thousands of numbers."""
_SHORT.maxstring = _SHORT.maxother = 200


def one_sentence(message: str, settings: Sequence[str] = ()) -> str:
    """Returns what jsonargparse says over many lines as one sentence.

    Args:
        message: of its error.
        settings: that the parser knows, with dots: what is near a name that it does not know.

    Example:
        >>> one_sentence('''Parser key "trainer.max_epochs":
        ...   Does not validate against any of the Union subtypes
        ...   Subtypes: [<class 'int'>, <class 'NoneType'>]
        ...   Errors:
        ...     - Expected a <class 'int'>
        ...   Given value type: <class 'str'>
        ...   Given value: x''')
        'trainer.max_epochs: expected int, got x.'
        >>> one_sentence("unrecognized arguments: --run_dri x", ["run_dir", "trainer.devices"])
        "There is no setting 'run_dri', near: run_dir; there are ['run_dir', 'trainer']."
    """
    if (unknown := _unknown_option(message)) is not None:
        return unknown_setting(unknown, settings)
    if stray := re.match(r"unrecognized arguments: (.+)", message):
        return f"'{stray[1]}' is no option. Give a config file with -c FILE, a setting with --NAME VALUE."
    keys: list[str] = []
    reasons: list[str] = []
    owner = base = value = ""
    for line in (line.strip().removeprefix("- ") for line in message.splitlines()):
        if key := re.match(r'(?:Problems parsing config: )?Parser key "(.+?)":\s*(.*)', line):
            keys.append(key[1])
            reasons += [key[2]] if key[2] else []
        elif problem := re.match(r"Problem with given class_path '(.+)':\s*(.*)", line):
            owner = problem[1]
            reasons += [problem[2]] if problem[2] else []
        elif line.startswith("Subtypes: "):
            kinds = re.findall(r"\b(?!collections|typing)\w+(?:\.\w+)+", line)
            base = kinds[0] if kinds else ""
        elif given := re.match(r"Given value: (?!NestedArg)(.+)", line):
            value = value or given[1]  # the innermost comes first
        elif line and not _NOISE.match(line):
            reasons.append(line)
    # Members of a union give the same reason.
    plain = _joined_choices(list(dict.fromkeys(_plainly(reason, owner, base, value) for reason in reasons)))
    # Of a union, the member that was meant.
    precise = [reason for reason in plain if not reason.startswith("expected ")]
    sentence = "; ".join(precise or plain)
    if keys and sentence.startswith("must be "):
        return f"`{'.'.join(keys)}` {sentence}."
    return f"{'.'.join(keys)}: {sentence}." if keys else f"{sentence.rstrip('.')}."


def unknown_setting(name: str, settings: Sequence[str]) -> str:
    """Returns the sentence that refuses a setting which does not exist, with those near it and all on its level.

    Args:
        name: with dots, such as ``trainer.max_epoch``.
        settings: those that exist, with dots.
    """
    parts = name.split(".")
    known = ""
    while len(parts) > 1 and any(other.startswith(f"{known}{parts[0]}.") for other in settings):
        known += f"{parts.pop(0)}."
    level = list(
        dict.fromkeys(other.removeprefix(known).split(".")[0] for other in settings if other.startswith(known))
    )
    near = [f"{known}{other}" for other in near_names(parts[0], level)]
    near = near or [other for other in settings if other.split(".")[-1] == parts[-1]]
    hint = f", near: {', '.join(near)}" if near else ""
    where = f"; {known.rstrip('.')} has" if known else "; there are"
    return (
        f"There is no setting '{known}{parts[0]}'{hint}{where} {level}."
        if settings
        else f"There is no setting '{name}'."
    )


def _unknown_option(message: str) -> str | None:
    if found := re.search(r"unrecognized arguments: .*?--([\w.+]+)", message, re.DOTALL):
        return found[1].rstrip("+")
    if found := re.match(r"Group '(.+?)' does not accept option '(.+?)'", message):
        return f"{found[1]}.{found[2]}"
    # At the beginning: further down it is about a setting of a class, which is named there.
    found = re.match(r"Option '(.+?)' is not accepted", message)
    return found[1] if found else None


def differences(name: str, then: Any, now: Any) -> list[str]:
    """Returns what differs between two values of a setting, by the name that the command line has for it.

    Args:
        name: of the setting.
        then: plain value; parts as ``class_path`` and ``init_args``.
        now: the same.

    Example:
        >>> spec = {"class_path": "hilmix.mix.ItemMix", "init_args": {"alpha": 1.0}}
        >>> differences("data.mix", spec, {**spec, "init_args": {"alpha": 0.5}})
        ['data.mix.alpha: 1.0 then, 0.5 now']
    """
    if then == now:
        return []
    if not (isinstance(then, dict) and isinstance(now, dict)):
        return [f"{name}: {_SHORT.repr(then)} then, {_SHORT.repr(now)} now"]
    if then.get("class_path") != now.get("class_path"):
        return [f"{name}: {then.get('class_path')} then, {now.get('class_path')} now"]
    before, after = (value.get("init_args") or {} if "class_path" in value else value for value in (then, now))
    keys = dict.fromkeys([*before, *after])
    pairs = [(key, before.get(key, "not set"), after.get(key, "not set")) for key in keys]
    return [line for key, old, new in pairs for line in differences(f"{name}.{key}", old, new)]


def _plainly(reason: str, owner: str, base: str, value: str) -> str:
    if option := re.match(r"Option '(.+)' is not accepted$", reason):
        return _no_such_setting(owner, option[1])
    if name := re.match(r"Expected a dot import path string: (.+)", reason):
        return f"there is no {base.rpartition('.')[2] or 'class'} '{name[1]}'{_known(base, name[1])}"
    if missing := re.match(r"module '(.+)' has no attribute '(.+)'$", reason):
        return f"{missing[1]} has no '{missing[2]}'{_near(missing[2], dir(importlib.import_module(missing[1])))}"
    if module := re.match(r"No module named '(.+)'$", reason):
        return f"there is no module '{module[1]}'; install it, or add its folder to PYTHONPATH"
    if other := re.match(r"Import path (?:(.+) )?does not correspond to a subclass of (.+?)\.?$", reason):
        return f"'{other[1] or value}' is not {with_article(other[2])}"
    if choice := re.match(r"Expected a typing.Literal\[(.+)\](?:\. Got value: (.+))?$", reason):
        return f"must be one of {choice[1]}, got '{choice[2] or value}'"
    if kind := re.match(r"Expected a <class '(.+?)'>(?:\. Got value: (.+))?$", reason):
        return f"expected {kind[1]}, got {kind[2] or value}"
    return reason.rstrip(".")


def _joined_choices(reasons: Sequence[str]) -> list[str]:
    """Reasons of a union of literals as one."""
    choices = [found for reason in reasons if (found := _CHOICE.fullmatch(reason))]
    if len({choice["found"] for choice in choices}) != 1:
        return list(reasons)
    others = [reason for reason in reasons if not _CHOICE.fullmatch(reason)]
    allowed = ", ".join(choice["allowed"] for choice in choices)
    return [f"must be one of {allowed}, got {choices[0]['found']}", *others]


def _load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _no_such_setting(owner: str, option: str) -> str:
    settings = _settings(_load(owner))
    near = _near(option.split(".")[0], [*settings, "class_path", "init_args"])
    return f"{owner} has no setting '{option}'{near}; it has {settings or 'none'}"


def _near(name: str, names: Iterable[str]) -> str:
    near = near_names(name, names)
    return f", near: {', '.join(near)}" if near else ""


def _settings(owner: type) -> list[str]:
    """Arguments of a class; ``*args`` and ``**kwargs`` are followed to the classes that they are handed to."""
    names = jsonargparse.ArgumentParser().add_class_arguments(owner, fail_untyped=False)
    return [name for name in names if name not in LINKS]


def _known(base: str, name: str) -> str:
    """Classes of this kind: near names of any package, and all of hilmix."""
    if not base:
        return ""
    own: set[str] = set()
    others: set[str] = set()
    todo = [_load(base)]
    while todo:
        kind = todo.pop()
        # Knows imported classes only; lightning_cli/cli.py imports all packages of hilmix for this.
        todo += kind.__subclasses__()
        if not inspect.isabstract(kind) and not kind.__name__.startswith("_"):
            (own if kind.__module__.startswith("hilmix.") else others).add(kind.__name__)
    listed = f"hilmix has {sorted(own)}, others are" if own else "classes outside hilmix are"
    return f"{_near(name, own | others)}; {listed} named by their full path"


def library_of(error: Exception) -> str | None:
    """Returns Lightning or W&B if it refused a setting itself; None for errors of any other code."""
    if type(error).__module__.startswith("wandb."):
        return "W&B"
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    raised_by = "" if frame is None else str(frame.tb_frame.f_globals.get("__name__"))
    settings = isinstance(error, (ValueError, TypeError, ImportError)) and raised_by.startswith("lightning.")
    return "Lightning" if settings else None

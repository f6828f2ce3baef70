"""Settings in sentences: the parser's tree of reasons as which setting, what was found, what is allowed; changes."""

import importlib
import inspect
import re
import reprlib
from typing import Any

LINKS = {
    "num_classes": "the classes of the data",
    "num_annotators": "the annotators of the data",
    "input_shape": "the inputs of the data",
    "num_annotator_features": "the annotators' metadata",
    "num_groups": "the groups of the data",
}
"""Settings of the model that are taken from the data, and from what."""
_NOISE = re.compile(
    r"Does not validate against|Subtypes: |Errors:$|Expected a <class 'NoneType'>$|Given value|Expected a path but"
)
_SHORT = reprlib.Repr()
"""A fitted policy may hold thousands of numbers."""
_SHORT.maxstring = _SHORT.maxother = 200


def one_sentence(message: str) -> str:
    """Returns what jsonargparse says over many lines as one sentence.

    Example:
        >>> one_sentence('''Parser key "trainer.max_epochs":
        ...   Does not validate against any of the Union subtypes
        ...   Subtypes: [<class 'int'>, <class 'NoneType'>]
        ...   Errors:
        ...     - Expected a <class 'int'>
        ...   Given value type: <class 'str'>
        ...   Given value: x''')
        'trainer.max_epochs: expected int, got x.'
    """
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
        elif subtypes := re.match(r"Subtypes: \[.*?<class '(.+?)'>", line):
            base = subtypes[1]
        elif given := re.match(r"Given value: (?!NestedArg)(.+)", line):
            value = value or given[1]  # the innermost comes first
        elif line and not _NOISE.match(line):
            reasons.append(line)
    told = "; ".join(dict.fromkeys(_plainly(reason, owner, base, value) for reason in reasons))
    return f"{'.'.join(keys)}: {told}." if keys else f"{told.rstrip('.')}."


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
        return f"{owner} has no setting '{option[1]}'; it has {_settings(owner)}"
    if name := re.match(r"Expected a dot import path string: (.+)", reason):
        return f"there is no {base.rpartition('.')[2]} '{name[1]}'{_known(base)}"
    if choice := re.match(r"Expected a typing.Literal\[(.+)\]. Got value: (.+)", reason):
        return f"it is '{choice[2]}'; allowed are {choice[1]}"
    if kind := re.match(r"Expected a <class '(.+?)'>(?:\. Got value: (.+))?$", reason):
        return f"expected {kind[1]}, got {kind[2] or value}"
    return reason.rstrip(".")


def _load(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _settings(owner: str) -> list[str]:
    names = inspect.signature(_load(owner)).parameters  # type: ignore[arg-type]  # a class: it was a class_path
    return [name for name in names if name not in LINKS]


def _known(base: str) -> str:
    """hilmix's own classes of this kind."""
    found, todo = set(), [_load(base)]
    while todo:
        kind = todo.pop()
        assert isinstance(kind, type)
        todo += kind.__subclasses__()
        if kind.__module__.startswith("hilmix.") and not inspect.isabstract(kind):
            found.add(kind.__name__)
    return f"; hilmix has {sorted(found)}, others are named by their full path" if found else ""

"""Checks of settings: every argument of a constructor against its annotation, before anything is built from it."""

import difflib
import functools
import math
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from hilmix.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """Range of a number, as metadata of its annotation: ``Annotated[int, Range(low=1)]``.

    Args:
        low: lower bound.
        high: upper bound.
        above: whether ``low`` itself is excluded.
        below: whether ``high`` itself is excluded.
        remedy: a sentence that is added to the error.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False
    remedy: str = ""

    def __contains__(self, value: float) -> bool:
        # NaN is in no range: every comparison with it is false.
        over = value > self.low if self.above else value >= self.low
        return over and (value < self.high if self.below else value <= self.high)

    def __repr__(self) -> str:  # as --help shows it
        return str(self)

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"{'>' if self.above else '>='} {self.low:g}"
        return f"in {'(' if self.above else '['}{self.low:g}, {self.high:g}{')' if self.below else ']'}"


PositiveInt = Annotated[int, Range(1)]
NonNegativeInt = Annotated[int, Range(0)]
Positive = Annotated[float, Range(0, above=True)]
NonNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
PositiveShare = Annotated[float, Range(0, 1, above=True)]
OpenShare = Annotated[float, Range(0, 1, above=True, below=True)]
"""Between 0 and 1, both excluded."""
Rate = Annotated[float, Range(0, 1, below=True)]
"""From 0 on and below 1, as of dropout."""


class _Fault(NamedTuple):
    where: str
    """Index or key inside the value, such as ``[1]``."""
    must: str
    found: Any


def check_settings(owner: str, init: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Refuses values that do not fit the annotations of a constructor: other types, numbers out of range, NaN.

    Args:
        owner: what the settings belong to, such as ``data`` or the name of a class.
        init: whose annotations count; ``Annotated`` numbers carry a :class:`Range`.
        values: by argument; those without an annotation are not checked.

    Raises:
        ConfigError: naming the setting, what it must be and what was found.

    Example:
        >>> def init(self, width: PositiveInt = 3) -> None: ...
        >>> check_settings("Layer", init, {"width": 0})
        Traceback (most recent call last):
        hilmix.errors.ConfigError: `Layer.width` must be >= 1, got 0.
    """
    # Only what is annotated: arguments of classes of users need not be, and then anything goes.
    hints = _hints(init)
    for name, value in values.items():
        if name in hints:
            check_value(f"{owner}.{name}", value, hints[name])


def check_value(name: str, value: Any, hint: Any) -> None:
    """Refuses a value that does not fit a type annotation.

    Args:
        name: of the setting, as the error writes it.
        value: to check.
        hint: a type, maybe ``Annotated`` with a :class:`Range`; what it does not know is not checked.

    Raises:
        ConfigError: naming the setting, what it must be and what was found.
    """
    if (fault := _find_fault(value, hint, "")) is not None:
        raise ConfigError(refusal(f"{name}{fault.where}", fault.must, fault.found))


def refusal(name: str, must: str, found: Any) -> str:
    """Returns the sentence that refuses a setting: ```name` must be MUST, got FOUND.`` and the remedy after ``. ``."""
    must, _, remedy = must.partition(". ")
    shown = repr(found)
    # A fitted policy or a list of a million weights must not bury the sentence.
    shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
    return f"`{name}` must be {must}, got {shown}.{f' {remedy}' if remedy else ''}"


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Refuses a value that is none of several, where they are known only when the program runs.

    Args:
        name: of the setting, as the error writes it.
        value: to check.
        choices: allowed values, in the order that the error lists.

    Raises:
        ConfigError: naming the setting, the choices and what was found.
    """
    known = list(choices)
    if value not in known:
        raise ConfigError(refusal(name, f"one of {', '.join(map(str, known))}", value))


def near_names(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Returns those names that a mistyped one may mean, nearest first; letter case does not matter."""
    by_lower = {other.lower(): other for other in names}
    return [by_lower[near] for near in difflib.get_close_matches(name.lower(), by_lower, n=count, cutoff=0.6)]


def with_article(name: str) -> str:
    """Returns the name of a class with "a" or "an" before it, by its first letter.

    Example:
        >>> with_article("AnnotatorModel")
        'an AnnotatorModel'
        >>> with_article("Backbone")
        'a Backbone'
    """
    return f"{'an' if name.lower().startswith(('a', 'e', 'i', 'o')) else 'a'} {name}"


@functools.cache
def _hints(init: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(init, include_extras=True)
    except NameError:  # a class that is imported for type checkers only, or local to a function
        return {}


def _find_fault(value: Any, hint: Any, where: str) -> _Fault | None:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return None
    if origin is Annotated:
        ranges = (r for r in args[1:] if isinstance(r, Range) and value not in r)
        outside = (_Fault(where, f"{r}{f'. {r.remedy}' if r.remedy else ''}", value) for r in ranges)
        return _find_fault(value, args[0], where) or next(outside, None)
    if origin in (Union, types.UnionType):
        return _fault_of_union(value, args, where)
    if origin is Literal:
        # True == 1, so types are compared, too.
        fits = any(type(value) is type(choice) and value == choice for choice in args)
        return None if fits else _Fault(where, f"one of {list(args)}", value)
    if origin in (list, Sequence, tuple):
        return _fault_of_sequence(value, args, where)
    if origin in (dict, Mapping):
        return None if isinstance(value, Mapping) else _Fault(where, "a mapping of settings", value)
    return _fault_of_plain(value, hint, where) if isinstance(hint, type) else None


def _fault_of_union(value: Any, members: Sequence[Any], where: str) -> _Fault | None:
    faults = [_find_fault(value, member, where) for member in members if member is not type(None)]
    if None in faults or (value is None and type(None) in members):
        return None
    # The member of the union that got furthest into the value is the one that was meant.
    closest = max((fault for fault in faults if fault is not None), key=lambda fault: len(fault.where))
    must, dot, remedy = closest.must.partition(". ")
    null = " or null" if type(None) in members and closest.where == where else ""
    return closest._replace(must=f"{must}{null}{dot}{remedy}")


def _fault_of_sequence(value: Any, members: Sequence[Any], where: str) -> _Fault | None:
    if not isinstance(value, (list, tuple)):
        return _Fault(where, "a list", value)
    fixed = len(members) > 1 and members[-1] is not ...
    if fixed and len(value) != len(members):
        return _Fault(where, f"a list of {len(members)}", value)
    hints = members if fixed else [members[0]] * len(value)
    faults = (
        _find_fault(entry, hint, f"{where}[{i}]") for i, (entry, hint) in enumerate(zip(value, hints, strict=True))
    )
    return next((fault for fault in faults if fault is not None), None)


def _fault_of_plain(value: Any, kind: type, where: str) -> _Fault | None:
    if kind in (int, float):  # True is an int for Python, and not meant
        number = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        if not number or not abs(value) <= sys.float_info.max:  # NaN, infinities, whole numbers that no float can hold
            return _Fault(where, "a whole number" if kind is int else "a finite number", value)
        return None
    if hasattr(kind, "from_spec"):
        spec = isinstance(value, dict) and "class_path" in value
        return None if spec or isinstance(value, kind) else _Fault(where, with_article(kind.__name__), value)
    return None if isinstance(value, kind) else _Fault(where, _NAMES.get(kind, with_article(kind.__name__)), value)


_NAMES: dict[type, str] = {str: "a text", bool: "true or false"}

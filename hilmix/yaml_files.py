"""YAML from anywhere: read with the safe loader, refused where aliases or nesting would exhaust the memory; written."""

from typing import Any

import yaml

MAX_ADDED = 1_000_000
"""Most characters and nodes that aliases may add to what is written."""
MAX_DEPTH = 100
"""Most lists and maps inside each other; the constructors of PyYAML are recursive."""

# The parser in C, where PyYAML was built with it, is many times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BAD_SCALARS = (ValueError, OverflowError, LookupError, AttributeError, TypeError)
"""Exceptions of PyYAML's constructors for a scalar that does not fit its tag, such as the date 2026-13-45."""


class YAMLBomb(yaml.YAMLError):  # type: ignore[misc]  # PyYAML ships no types
    """A text whose aliases stand for far more than is written, or contain themselves."""


def load_yaml(text: str, *, loader: Any = _Loader) -> Any:
    """Returns the content of a YAML text.

    Args:
        text: of one document.
        loader: a loader class of PyYAML that builds plain values only, by default its safe one.

    Raises:
        yaml.YAMLError: if the text is no YAML, has a scalar that does not fit its tag, or is refused by
            :func:`check_yaml`.
    """
    check_yaml(text)
    try:
        return yaml.load(text, Loader=loader)  # the caller's loader is a safe one
    except _BAD_SCALARS as error:
        raise yaml.YAMLError(f"a value does not fit its type: {error}") from error


def check_yaml(text: str) -> None:
    """Refuses a text that would grow or nest beyond all use, before anything is built from it.

    Works on the stream of events, in time linear in the written text: an alias counts as much as what it stands for.

    Raises:
        yaml.YAMLError: if the text is no YAML.
        YAMLBomb: if aliases add more than :data:`MAX_ADDED` characters and nodes, an alias stands inside what it
            names, or more than :data:`MAX_DEPTH` lists and maps are inside each other.

    Example:
        >>> check_yaml("base: &base {lr: 0.1}\\nother: *base")
    """
    sizes: dict[str, int] = {}  # of what each anchor names, with all aliases followed
    stack: list[tuple[str | None, int]] = [(None, 0)]  # anchor and size so far of each open list or map
    added = 0
    for event in yaml.parse(text, Loader=_Loader):
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent):
            size = _size_of_alias(str(anchor), sizes, [name for name, _ in stack])
            added += size
        elif isinstance(event, yaml.ScalarEvent):
            size = 1 + len(event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            stack.append((anchor, 1))
            _check_depth(len(stack) - 1)
            continue
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = stack.pop()
        else:
            continue
        if anchor is not None and not isinstance(event, yaml.AliasEvent):
            sizes[anchor] = size
        stack[-1] = (stack[-1][0], stack[-1][1] + size)
        if added > MAX_ADDED:
            raise YAMLBomb(f"its aliases add more than {MAX_ADDED:,} characters to what is written; write it out")


def _size_of_alias(name: str, sizes: dict[str, int], open_anchors: list[str | None]) -> int:
    if name in open_anchors:
        raise YAMLBomb(f"alias '*{name}' stands inside what it names; write a value instead")
    if name not in sizes:
        raise yaml.YAMLError(f"alias '*{name}' names nothing above it; define '&{name}' first")
    return sizes[name]


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise YAMLBomb(f"more than {MAX_DEPTH} lists and maps are inside each other; flatten it")


def write_yaml(content: Any) -> str:
    """Returns a YAML text with the keys in their order; the emitter in C takes a fifth of the time."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(content, Dumper=dumper, default_flow_style=False, allow_unicode=True, sort_keys=False))

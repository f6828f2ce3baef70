"""Parts: the exchangeable pieces of a run (backbone, annotator model, mix policy, targets, regulariser).

A part is saved as its public class path and plain arguments, also when it was built in Python, and never pickled: a
checkpoint stays readable with ``weights_only=True`` and rebuilds the same part.
"""

import functools
import inspect
from typing import Any, Self, TypeVar

from hilmix.checks import check_settings, with_article
from hilmix.errors import ConfigError
from hilmix.moved import public_path, with_current_paths
from hilmix.trusted import find_class

PartT = TypeVar("PartT", bound="Part")


class Part:
    """Remembers the arguments it was built with, after it has checked them against their annotations.

    Raises:
        ConfigError: for an argument that does not fit its annotation (``hilmix.checks``), from every constructor.

    Example:
        >>> from hilmix.mix import ItemMix
        >>> ItemMix(alpha=0.5).spec()
        {'class_path': 'hilmix.mix.ItemMix', 'init_args': {'alpha': 0.5}}
    """

    _spec_args: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" not in cls.__dict__:
            return
        init = cls.__init__
        signature = inspect.signature(init)

        # jsonargparse reads the signature, which wraps() keeps.
        @functools.wraps(init)
        def remember(self: Any, *args: Any, **kw: Any) -> None:
            bound = signature.bind(self, *args, **kw)
            bound.apply_defaults()
            # Without `self`. The defaults are among them: a specification must not change when a default does.
            named = dict(list(bound.arguments.items())[1:])
            check_settings(type(self).__name__, init, named)
            if "_spec_args" not in self.__dict__:  # the outermost constructor runs first and names the part
                object.__setattr__(self, "_spec_args", named)
            init(self, *args, **kw)

        cls.__init__ = remember  # type: ignore[method-assign]

    def spec(self) -> dict[str, Any]:
        """Returns ``{"class_path": ..., "init_args": {...}}`` with plain values only; the path is the public one."""
        args = getattr(self, "_spec_args", {})
        return {
            "class_path": public_path(type(self)),
            # a part inside may have been given as its specification, from a file with a former path
            "init_args": with_current_paths({name: plain_value(value) for name, value in args.items()}),
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any] | Self) -> Self:
        """Builds the part that :meth:`spec` described; a part passes through unchanged.

        Raises:
            ConfigError: if the class path does not name a subclass of the class it is called on, or a class that
                :func:`hilmix.trusted.find_class` must not import.
        """
        if isinstance(spec, cls):
            return spec
        if not isinstance(spec, dict) or "class_path" not in spec:
            raise ConfigError(f"Expected {with_article(cls.__name__)} or its class_path and init_args, got {spec!r}.")
        found = find_class(spec["class_path"], cls)
        return found(**_accepted(found, spec.get("init_args") or {}))


def _accepted(part: type, args: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments if the constructor has them all and none is missing."""
    signature = inspect.signature(part)
    try:
        signature.bind(**args)
    except TypeError as error:
        raise ConfigError(f"{part.__name__}: {error}; its settings are {list(signature.parameters)}.") from error
    return args


def plain_value(value: Any) -> Any:
    """Parts become their specs, containers are copied; anything else must be a plain value already."""
    if isinstance(value, Part):
        return value.spec()
    # Tuples become lists, as they do in YAML and JSON: equal settings must compare equal after saving.
    if isinstance(value, (list, tuple)):
        return [plain_value(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain_value(v) for k, v in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ConfigError(f"A part's argument must be a plain value or a part, got {type(value).__name__}.")

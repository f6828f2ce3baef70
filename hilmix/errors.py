"""The one exception family a user meets: a sentence with what was found, what is allowed and what to do."""

import re

_KEY = re.compile('"[^"]+"')
_LOST = re.compile("Connection (closed|reset) by peer|remote process exited")
"""Errors of gloo and NCCL in the processes that wait for one that has failed."""


class HilmixError(Exception):
    """Base of every error that is the input's fault. The command line prints its message and exits with 2."""


class DataError(HilmixError, ValueError):
    """A data folder, table or file does not hold what it should."""


class SizeError(DataError):
    """A table would not fit into the memory; nothing of it is allocated."""


class ConfigError(HilmixError, ValueError):
    """A setting, or a combination of settings, cannot work."""


class UnverifiedError(DataError):
    """A file whose content cannot be verified is downloaded only with consent."""


class UntrustedError(ConfigError):
    """A file names a class of a package that is not trusted.

    Args:
        reason: the message.
        package: to trust.
    """

    def __init__(self, reason: str, package: str) -> None:
        super().__init__(reason)
        self.package = package


class RunError(HilmixError, RuntimeError):
    """A run folder or checkpoint is missing, taken, unwritable or belongs to another run."""


def find_user_error(error: BaseException | None) -> HilmixError | None:
    """Return the error meant for the user in a chain of causes, where jsonargparse or Lightning may have wrapped it.

    Args:
        error: that was caught; its causes and contexts are searched, the outermost first.
    """
    while error is not None:
        if isinstance(error, HilmixError):
            return error
        if isinstance(error, RuntimeError) and _LOST.search(str(error)):
            return RunError("Another process of this run has failed; its own message has the reason.")
        if isinstance(error, RuntimeError) and (unfit := unfit_weights(str(error))) is not None:
            return RunError(unfit)
        error = error.__cause__ or error.__context__
    return None


def unfit_weights(message: str, file: str = "the checkpoint") -> str | None:
    """Returns one sentence for PyTorch's refusal of weights that do not fit a model; None for any other message.

    Args:
        message: of the error that PyTorch raised.
        file: that holds the weights.

    Example:
        >>> unfit_weights('''Error(s) in loading state_dict for Net:
        ...     Missing key(s) in state_dict: "a", "b".
        ...     Unexpected key(s) in state_dict: "c". ''', "x.ckpt")
        "The weights in x.ckpt do not fit the model: missing are 'a', 'b'; unexpected are 'c'. Use a checkpoint and \
settings of the same run."
    """
    if not message.startswith("Error(s) in loading state_dict"):
        return None
    lines = [line.strip() for line in message.splitlines()]
    found: dict[str, list[str]] = {}
    for kind in ("Missing", "Unexpected"):
        start = f"{kind} key(s) in state_dict: "
        found[f"{kind.lower()} are"] = [key for line in lines if line.startswith(start) for key in _KEY.findall(line)]
    sizes = [line.split()[3].rstrip(":") for line in lines if line.startswith("size mismatch for ")]
    found["of another size are"] = [f'"{key}"' for key in sizes]
    faults = "; ".join(f"{kind} {_first(keys)}" for kind, keys in found.items() if keys)
    return f"The weights in {file} do not fit the model: {faults}. Use a checkpoint and settings of the same run."


def _first(keys: list[str], count: int = 5) -> str:
    """The first names, and how many others there are: a network has hundreds."""
    more = f" and {len(keys) - count} more" if len(keys) > count else ""
    return ", ".join(key.replace('"', "'") for key in keys[:count]) + more

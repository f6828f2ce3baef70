"""The one exception family a user meets: a sentence with what was found, what is allowed and what to do."""


class HilmixError(Exception):
    """Base of every error that is the input's fault. The command line prints its message and exits with 2."""


class DataError(HilmixError, ValueError):
    """A data folder, table or file does not hold what it should."""


class ConfigError(HilmixError, ValueError):
    """A setting, or a combination of settings, can not work."""


class RunError(HilmixError, RuntimeError):
    """A run folder or checkpoint is missing, taken, unwritable or belongs to another run."""

"""Exit codes of a command that a signal ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch.utilities.exceptions import SIGTERMException


@contextmanager
def exit_codes() -> Iterator[None]:
    """Ends with 128 plus the number of the signal where Lightning would end with 0 (SIGTERM) or 1 (SIGINT).

    Raises:
        SystemExit: with that code.
    """
    try:
        yield
    except SIGTERMException as stopped:
        raise SystemExit(128 + signal.SIGTERM) from stopped
    except KeyboardInterrupt as stopped:
        raise SystemExit(128 + signal.SIGINT) from stopped
    except SystemExit as stopped:
        # Lightning answers an interrupt of fit by sys.exit(1).
        if isinstance(stopped.__context__, KeyboardInterrupt):
            raise SystemExit(128 + signal.SIGINT) from stopped
        raise

"""Signals that end a training run: noted at once, obeyed when the step at hand is done."""

import signal
import threading
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Trainer

STOPPING = tuple(signal.Signals[name] for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))
"""Signals that schedulers, terminals and lost connections send."""


class StopSignals:
    """Notes the first of :data:`STOPPING` in place of Lightning, which would end the process with exit code 0.

    A second one acts at once, as it would without this class.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[signal.Signals, Any] = {}

    def listen(self, trainer: Trainer) -> None:
        """Installs the handlers; a SIGTERM that Lightning has noted before counts."""
        self.received = int(signal.SIGTERM) if trainer.received_sigterm else 0
        if threading.current_thread() is threading.main_thread():  # Python allows handlers only there
            self._before = {number: signal.signal(number, self._note) for number in STOPPING}

    def release(self) -> None:
        """Puts the former handlers back."""
        for number, handler in self._before.items():
            # None stands for a handler that was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def agreed(self, trainer: Trainer) -> int:
        """Returns the number of a signal that any rank has received, 0 without one; every rank calls it."""
        if trainer.world_size == 1:
            return self.received
        number = torch.tensor(self.received, device=trainer.strategy.root_device)
        return int(torch.as_tensor(trainer.strategy.reduce(number, reduce_op="max")))

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            self.release()
            # A second signal means not to wait; the former handler is the one that it reaches.
            signal.raise_signal(number)
        # Only noted: a handler may run in the middle of a write or a collective.
        self.received = number

"""Which weights a number belongs to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn


class Weights(NamedTuple):
    """The weights behind a number of a report."""

    checkpoint: str
    """``last``, ``best``, the name of another file, or ``memory`` for a model that no file was read for."""
    epoch: int
    """The epoch behind whose training they were taken, from 0; -1 for untrained ones."""
    step: int
    """Optimizer steps taken."""


def weights_of(trainer: Trainer) -> Weights:
    """Returns what the trainer's model holds: the last weights after ``fit``, else those of the checkpoint given."""
    path = None if trainer.state.fn == TrainerFn.FITTING else trainer.ckpt_path
    if path is None:
        name = "last" if trainer.state.fn == TrainerFn.FITTING else "memory"
        return Weights(name, trainer.current_epoch - 1, trainer.global_step)
    saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    name = Path(path).name
    return Weights(name.removesuffix(".ckpt") if name in ("best.ckpt", "last.ckpt") else name, *_position(saved))


def _position(saved: Mapping[str, Any]) -> tuple[int, int]:
    return int(saved.get("epoch", -1)), int(saved.get("global_step", 0))


def with_weights(text: str, weights: Mapping[str, Any]) -> str:
    """Returns ``text; weights: best, epoch 3, step 40``.

    Args:
        text: what the weights are named behind.
        weights: the fields of :class:`Weights`; without them, in files of older versions, the text stays as it is.
    """
    if any(weights.get(name) is None or weights[name] != weights[name] for name in Weights._fields):
        return text
    return f"{text}; weights: {weights['checkpoint']}, epoch {int(weights['epoch'])}, step {int(weights['step'])}"

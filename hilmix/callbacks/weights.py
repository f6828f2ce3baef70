"""The origin of the weights that a trainer's model holds."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging
from lightning.pytorch.trainer.states import TrainerFn

from hilmix.diagnostics.weights import Weights
from hilmix.integrity import read_checkpoint


def weights_of(trainer: Trainer) -> Weights:
    """Returns what the trainer's model holds: the last weights after ``fit``, else those of the checkpoint given."""
    path = None if trainer.state.fn == TrainerFn.FITTING else trainer.ckpt_path
    if path is None:
        name = "last" if trainer.state.fn == TrainerFn.FITTING else "memory"
        states = [c.state_dict() for c in trainer.callbacks if isinstance(c, StochasticWeightAveraging)]  # type: ignore[attr-defined]
        return Weights(name, *_trained(trainer.current_epoch - 1, trainer.global_step, states))
    return saved_weights(read_checkpoint(path), Path(path))


def saved_weights(saved: Mapping[str, Any], path: Path) -> Weights:
    """Returns what a checkpoint holds.

    Args:
        saved: its content.
        path: its file.
    """
    name = path.name
    swa = StochasticWeightAveraging.__name__
    states = [state for key, state in saved.get("callbacks", {}).items() if str(key).startswith(swa)]
    position = _trained(int(saved.get("epoch", -1)), int(saved.get("global_step", 0)), states)
    return Weights(name.removesuffix(".ckpt") if name in ("best.ckpt", "last.ckpt") else name, *position)


def _trained(epoch: int, step: int, states: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """The last epoch and step that trained.

    With batch norm, SWA runs one more epoch that only measures the statistics of the average; Lightning counts it, and
    a step at its end.
    """
    for state in states:
        if 0 <= state["latest_update_epoch"] < epoch:
            return state["latest_update_epoch"], step - 1
    return epoch, step

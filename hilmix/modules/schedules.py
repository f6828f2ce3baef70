"""Learning rates over the steps of a run: half a cosine, a warm-up, or any scheduler of torch."""

import math
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from hilmix.checks import near_names
from hilmix.errors import ConfigError

Schedule = Literal["cosine", "constant"]
STEPWISE = ("OneCycleLR", "CyclicLR")
"""Schedulers that torch defines per step; all others count epochs, as in Lightning."""
PER_GROUP = ("max_lr", "base_lr")
"""Arguments that are learning rates of each parameter group, which torch would set to one number for all."""
_LENGTHS = ("total_steps", "epochs", "steps_per_epoch")
MONITOR = "val/loss"
"""Metric that ``ReduceLROnPlateau`` follows unless its arguments name another."""


def schedule_rates(
    optimizer: torch.optim.Optimizer, steps: Callable[[], float], schedule: Schedule, *, warmup_steps: int = 0
) -> LambdaLR:
    """Returns the schedule that takes every learning rate to zero along half a cosine, or leaves it.

    In step s from 0 on a warm-up of W steps multiplies the rate by ``min(1, (s + 1) / W)``.

    Args:
        optimizer: whose learning rates are scheduled.
        steps: returns the number of steps of the run; called from the second step on, as an earlier call would open
            the train loader before a resume is restored.
        schedule: ``cosine`` or ``constant``.
        warmup_steps: W, 0 for none.
    """

    def factor(step: int) -> float:
        warm = 1.0 if not warmup_steps else min(1.0, (step + 1) / warmup_steps)
        # LambdaLR asks for step 0 when it is made. Beyond the estimated steps the cosine would rise again.
        if schedule == "constant" or step == 0:
            return warm
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps())))

    return LambdaLR(optimizer, factor)


class RunCycle(lr_scheduler.OneCycleLR):
    """``OneCycleLR`` over all steps of a run, whose number is asked for in the second step.

    Args:
        optimizer: whose learning rates are scheduled.
        steps: returns the number of steps; see :func:`schedule_rates`.
        **arguments: of ``OneCycleLR``, but for its length.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, *, steps: Callable[[], float], **arguments: Any) -> None:
        self._steps: Callable[[], float] | None = steps
        self._shape = {name: arguments[name] for name in ("pct_start", "three_phase") if name in arguments}
        super().__init__(optimizer, total_steps=sys.maxsize, **arguments)  # step 0 is the same whatever the length

    def get_lr(self) -> Any:
        if self._steps is not None and self.last_epoch > 0:
            if math.isinf(steps := self._steps()):
                raise ConfigError("`model.lr_scheduler` OneCycleLR needs an end; set trainer.max_epochs or max_steps.")
            some = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], momentum=0.9)
            made = lr_scheduler.OneCycleLR(some, 1.0, total_steps=int(steps), **self._shape).state_dict()
            self.__dict__ |= {name: made[name] for name in ("total_steps", "_schedule_phases")}
            self._steps = None
        return super().get_lr()

    def state_dict(self) -> dict[str, Any]:
        # not the function, which has no place in a checkpoint: a resumed run may have become longer
        return {name: value for name, value in super().state_dict().items() if name != "_steps"}


def make_scheduler(
    name: str, given: Mapping[str, Any], optimizer: torch.optim.Optimizer, lr: float, steps: Callable[[], float]
) -> dict[str, Any]:
    """Returns a scheduler of ``torch.optim.lr_scheduler`` as Lightning takes it.

    Args:
        name: of a class there.
        given: its arguments. ``OneCycleLR`` spans the steps of the run unless a length is given. ``monitor`` of
            ``ReduceLROnPlateau`` is ``val/loss`` by default. ``max_lr`` and ``base_lr`` are scaled in each parameter
            group as its rate is.
        optimizer: whose learning rates are scheduled.
        lr: learning rate of a group that is not scaled.
        steps: returns the number of steps of the run; see :func:`schedule_rates`.

    Returns:
        ``scheduler``, ``interval`` (``step`` for those of :data:`STEPWISE`, else ``epoch``), and ``monitor``.

    Raises:
        ConfigError: if there is no such scheduler, or it cannot be made with these arguments; from the second step of
            ``OneCycleLR`` if the run has no end.
    """
    _check_name(name)
    arguments = dict(given)
    scales = [group["lr"] / lr if lr else 1.0 for group in optimizer.param_groups]
    for key in PER_GROUP:
        if isinstance(arguments.get(key), int | float):
            arguments[key] = [scale * arguments[key] for scale in scales]
    monitored = {"monitor": arguments.pop("monitor", MONITOR)} if name == "ReduceLROnPlateau" else {}
    spans = name == "OneCycleLR" and all(arguments.get(length) is None for length in _LENGTHS)
    try:
        kind: Any = partial(RunCycle, steps=steps) if spans else getattr(lr_scheduler, name)
        scheduler = kind(
            optimizer, **{key: value for key, value in arguments.items() if not spans or key not in _LENGTHS}
        )
    except (TypeError, ValueError, AttributeError, LookupError, ZeroDivisionError) as error:
        raise ConfigError(f"model.lr_scheduler: {name} cannot be made with {arguments}: {error}.") from error
    return {"scheduler": scheduler, "interval": "step" if name in STEPWISE else "epoch", **monitored}


def _check_name(name: str) -> None:
    names = [n for n, k in vars(lr_scheduler).items() if isinstance(k, type) and issubclass(k, LRScheduler)]
    names = sorted(set(names) - {"LRScheduler", "_LRScheduler"})
    if name not in names:
        near = "".join(f", near: {other}" for other in near_names(name, names)[:1])
        raise ConfigError(
            f"`model.lr_scheduler` must be the name of a class in torch.optim.lr_scheduler, got '{name}'{near}."
        )

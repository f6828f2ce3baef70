"""Optimizers by name, and the learning rates that are given or go with the kind of input."""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import nn

from hilmix.backbones import InputKind
from hilmix.checks import near_names
from hilmix.errors import ConfigError
from hilmix.modules.parameter_groups import LrScaling, class_model_groups
from hilmix.modules.schedules import Schedule, make_scheduler, schedule_rates

log = logging.getLogger(__name__)


class LearningRate(NamedTuple):
    """A learning rate and how layers of other widths scale it."""

    lr: float
    scaling: LrScaling = "none"


DEFAULT_RATES: dict[InputKind, LearningRate] = {
    "vectors": LearningRate(1e-2),
    "images": LearningRate(1e-3),
    "pretrained": LearningRate(3e-4),
}
"""The rate where none is given, for RAdam and all methods; how it was chosen: experiments/annotators/README.md."""


def find_rate(kind: InputKind, lr: float | None, scaling: LrScaling | None) -> LearningRate:
    """Returns the learning rate as given, what is left out by the kind of input.

    Args:
        kind: of the backbone.
        lr: None for that of :data:`DEFAULT_RATES`.
        scaling: None for that of the default rate; a given rate is not scaled then.
    """
    default = DEFAULT_RATES[kind]
    if lr is None:
        return default if scaling is None else LearningRate(default.lr, scaling)
    return LearningRate(lr, scaling or "none")


@dataclass(frozen=True)
class Optimization:
    """Optimizer, learning rates and schedule; the fields are the settings of :class:`~hilmix.modules.Classifier`.

    Raises:
        ConfigError: if the optimizer cannot be made with these settings, or cannot take a step.
    """

    optimizer: str
    lr: float
    weight_decay: float
    optimizer_kwargs: dict[str, Any]
    lr_scaling: LrScaling
    schedule: Schedule
    lr_warmup_steps: int = 0
    lr_scheduler: str | None = None
    lr_scheduler_kwargs: dict[str, Any] = field(default_factory=dict)
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        made = try_optimizer(self.optimizer, self.lr, self.weight_decay, self.optimizer_kwargs)
        if self.lr_scheduler is not None:
            if self.lr_warmup_steps:
                raise ConfigError(
                    "`model.lr_warmup_steps` must be 0 with model.lr_scheduler, which replaces the built-in schedule, "
                    f"got {self.lr_warmup_steps}."
                )
            make_scheduler(self.lr_scheduler, self.lr_scheduler_kwargs, made, self.lr, lambda: 10)
        elif self.lr_scheduler_kwargs:
            raise ConfigError(
                "`model.lr_scheduler_kwargs` must be left out without model.lr_scheduler, got "
                f"{self.lr_scheduler_kwargs}."
            )

    def parameter_groups(self, class_model: Iterable[nn.Module], annotator_model: nn.Module) -> list[dict[str, Any]]:
        """Returns the parameter groups of one model.

        Args:
            class_model: backbone and head.
            annotator_model: without weight decay.
        """
        groups = class_model_groups(class_model, self.lr, self.lr_scaling, self.weight_decay, self.layer_decay)
        if annotators := [p for p in annotator_model.parameters() if p.requires_grad]:
            # Decay would pull confusion logits to zero, that is to annotators who answer at random.
            groups.append({"params": annotators, "weight_decay": 0.0})
        return groups

    def build(
        self, groups: list[dict[str, Any]], *, steps: Callable[[], float]
    ) -> tuple[torch.optim.Optimizer, dict[str, Any] | None]:
        """Returns the optimizer, and its scheduler as Lightning takes it, unless all rates are constant.

        Args:
            groups: :meth:`parameter_groups` of one model or several.
            steps: returns the number of steps of the run; see :func:`~hilmix.modules.schedules.schedule_rates`.
        """
        optimizer = make_optimizer(self.optimizer, groups, self.lr, self.optimizer_kwargs)
        if self.lr_scheduler is not None:
            return optimizer, make_scheduler(self.lr_scheduler, self.lr_scheduler_kwargs, optimizer, self.lr, steps)
        if self.schedule == "constant" and not self.lr_warmup_steps:
            return optimizer, None
        rates = schedule_rates(optimizer, steps, self.schedule, warmup_steps=self.lr_warmup_steps)
        return optimizer, {"scheduler": rates, "interval": "step"}


def make_optimizer(name: str, groups: list[dict[str, Any]], lr: float, kwargs: dict[str, Any]) -> torch.optim.Optimizer:
    """Returns the optimizer of that name in ``torch.optim``.

    Raises:
        ConfigError: if there is none, or it cannot be made with these settings.
    """
    kind = getattr(torch.optim, name, None)
    # Only classes of optimizers: getattr alone would also reach modules and functions of torch.optim.
    names = [n for n, k in vars(torch.optim).items() if isinstance(k, type) and issubclass(k, torch.optim.Optimizer)]
    if name not in names or kind is torch.optim.Optimizer:
        near = "".join(f", near: {other}" for other in near_names(name, names)[:1])
        raise ConfigError(f"`model.optimizer` must be the name of a class in torch.optim, got '{name}'{near}.")
    try:
        optimizer: torch.optim.Optimizer = getattr(torch.optim, name)(groups, lr=lr, **kwargs)
    except (TypeError, ValueError) as error:
        decay = groups[0].get("weight_decay")
        raise ConfigError(
            f"model.optimizer: {name} cannot be made with lr {lr}, weight_decay {decay} and optimizer_kwargs {kwargs}: "
            f"{error}."
        ) from error
    return optimizer


def try_optimizer(name: str, lr: float, weight_decay: float, kwargs: dict[str, Any]) -> torch.optim.Optimizer:
    """Returns an optimizer of two groups that has taken a step, so that what cannot work fails before training.

    Raises:
        ConfigError: see :func:`make_optimizer`; or if it does not take dense gradients of vectors.
    """
    # As a model's: LBFGS takes one group only, SparseAdam no dense gradients, Muon no vectors.
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": [weight], "weight_decay": weight_decay} for weight in weights]
    optimizer = make_optimizer(name, groups, lr, kwargs)
    for weight in weights:
        weight.grad = torch.ones(1)
    try:
        optimizer.step()
    except (RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"model.optimizer: {name} cannot train this model with {kwargs}: {error}.") from error
    return optimizer


def count_epochs(trainer: Trainer, what: str) -> int:
    """Returns the number of epochs of a run, by ``max_epochs`` or ``max_steps``.

    Args:
        trainer: while it trains.
        what: depends on it, for the message.

    Raises:
        ConfigError: if the run has no end.
    """
    steps = trainer.estimated_stepping_batches
    if math.isinf(steps):
        raise ConfigError(f"{what} is a share of the run; set trainer.max_epochs or max_steps.")
    # Rounded up: Lightning also steps at the end of an epoch, where fewer batches have accumulated.
    return math.ceil(steps / math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches))

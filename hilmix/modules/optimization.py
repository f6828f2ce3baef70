"""Optimizers by name, and learning rates that suit layers of any width."""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from hilmix.backbones import InputKind
from hilmix.checks import near_names
from hilmix.errors import ConfigError

log = logging.getLogger(__name__)

LrScaling = Literal["none", "fan-in"]
Schedule = Literal["cosine", "constant"]
# Chosen on validation items of eleven development sets, where 64 to 128 lie on one plateau; see
# experiments/annotators/README.md.
REFERENCE_FAN_IN = 64
"""Inputs of a layer whose learning rate ``fan-in`` leaves as it is."""


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

    def __post_init__(self) -> None:
        try_optimizer(self.optimizer, self.lr, self.weight_decay, self.optimizer_kwargs)

    def parameter_groups(self, class_model: Iterable[nn.Module], annotator_model: nn.Module) -> list[dict[str, Any]]:
        """Returns the parameter groups of one model.

        Args:
            class_model: backbone and head.
            annotator_model: without weight decay.
        """
        groups = class_model_groups(class_model, self.lr, self.lr_scaling, self.weight_decay)
        if annotators := list(annotator_model.parameters()):
            # Decay would pull confusion logits to zero, that is to annotators who answer at random.
            groups.append({"params": annotators, "weight_decay": 0.0})
        return groups

    def build(
        self, groups: list[dict[str, Any]], *, steps: Callable[[], float]
    ) -> tuple[torch.optim.Optimizer, LambdaLR | None]:
        """Returns the optimizer, and its schedule unless all rates are constant.

        Args:
            groups: :meth:`parameter_groups` of one model or several.
            steps: returns the number of steps of the run; see :func:`schedule_rates`.
        """
        optimizer = make_optimizer(self.optimizer, groups, self.lr, self.optimizer_kwargs)
        if self.schedule == "constant" and not self.lr_warmup_steps:
            return optimizer, None
        return optimizer, schedule_rates(optimizer, steps, self.schedule, warmup_steps=self.lr_warmup_steps)


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


def try_optimizer(name: str, lr: float, weight_decay: float, kwargs: dict[str, Any]) -> None:
    """Makes an optimizer of two groups and takes a step with it, so that what cannot work fails before training.

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


def class_model_groups(
    parts: Iterable[nn.Module], lr: float, scaling: LrScaling, weight_decay: float
) -> list[dict[str, Any]]:
    """Returns parameter groups of the class model, one for each learning rate that the scaling gives.

    Args:
        parts: backbone and head.
        lr: learning rate of a layer with few inputs, of biases and of norms.
        scaling: ``fan-in`` multiplies the learning rate of each weight matrix and filter by
            ``min(1, 64 / number of its inputs)``: a step of Adam moves every weight by about ``lr``, and so the output
            by ``lr`` times the number of inputs.
        weight_decay: the same for all.

    Reference: Yang et al., Tensor Programs V, NeurIPS 2021, table 3, the learning rates of Adam.
    """
    parts = list(parts)
    modules = [module for part in parts for module in part.modules()]
    # A dict, so that a parameter shared by two modules is listed once: optimizers warn of repeats or refuse them.
    scales: dict[Tensor, float] = dict.fromkeys((p for part in parts for p in part.parameters()), 1.0)
    if scaling == "fan-in":
        for module in modules:
            if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
                # The number of weights of one output is its fan-in, of matrices and filters alike, grouped ones too.
                scales[module.weight] = min(1.0, REFERENCE_FAN_IN / module.weight[0].numel())
    groups: dict[float, list[Tensor]] = {}
    for parameter, scale in scales.items():
        groups.setdefault(scale, []).append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay, "lr": lr * scale} for scale, parameters in groups.items()
    ]


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

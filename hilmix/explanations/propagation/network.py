"""One network, walked with bounds, with parts of a sum, and backwards with bounds of the gradient."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from hilmix.explanations.propagation.rules import Rule
from hilmix.explanations.propagation.trace import steps_of
from hilmix.functional.explanation import intervals
from hilmix.functional.explanation.contextual import Parts
from hilmix.functional.explanation.intervals import Interval

Value = TypeVar("Value", Interval, Parts)


class Propagation:
    """Sends boxes and parts through the layers of a network as they are in evaluation.

    The network is traced once and read at every call: its present parameters count and get gradients, on whatever
    device and of whatever type they are. Dropout does nothing, batch norm uses its running statistics, hooks are not
    called. Everything is differentiable.

    Args:
        network: maps (R, ...) to logits (R, K), made of the layers in
            :data:`hilmix.explanations.propagation.rules.LAYERS`: an MLP, a plain CNN, a ResNet of timm. It is not
            copied, and not registered as a submodule.

    Raises:
        ConfigError: if a layer has no rule, such as attention, layer norm, or an activation that falls somewhere.

    Example:
        >>> network = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.ones_(network.weight)
        >>> bounds = Propagation(network).bounds(torch.zeros(1, 2), torch.tensor([[1.0, 2.0]]))
        >>> bounds.lower.item(), bounds.upper.item()
        (0.0, 3.0)
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.input, self.steps = steps_of(network)

    def bounds(self, lower: Tensor, upper: Tensor) -> Interval:
        """Returns bounds (R, K) of the logits of all inputs between two, by interval propagation.

        Args:
            lower: (R, ...) float.
            upper: (R, ...) float, nowhere below ``lower``.
        """
        return self._walk(Interval(lower, upper), lambda rule, x: rule.bounds(*x))[self.steps[-1].output]

    def decompose(self, beta: Tensor, gamma: Tensor) -> Parts:
        """Returns parts (R, K) of the logits of ``beta + gamma`` that sum to them, by contextual decomposition.

        Args:
            beta: (R, ...) float, the inputs in question and 0 elsewhere.
            gamma: (R, ...) float, the other inputs.
        """
        return self._walk(Parts(beta, gamma), lambda rule, x: rule.parts(*x))[self.steps[-1].output]

    def gradient_bounds(
        self, lower: Tensor, upper: Tensor, *, start: Callable[[Interval], Interval] | None = None
    ) -> Interval:
        """Returns bounds (R, ...) of a gradient with respect to the inputs at all inputs between two.

        Args:
            lower: (R, ...) float.
            upper: (R, ...) float, nowhere below ``lower``.
            start: maps bounds (R, K) of the logits to bounds (R, K) of the gradient, with respect to them, of what is
                differentiated. None for the sum of a row's logits, whose gradient is 1 everywhere.
        """
        values = self._walk(Interval(lower, upper), lambda rule, x: rule.bounds(*x))
        last = self.steps[-1].output
        gradients = {last: _ones(values[last]) if start is None else start(values[last])}
        for step in reversed(self.steps):
            rule, x = step.rule(self.network), [values[name] for name in step.inputs]
            # Complete by now: all layers that read this value come later, so they have added their share. Popped to
            # free it.
            before = rule.gradient(gradients.pop(step.output), *x)
            for name, gradient in zip(step.inputs, before, strict=True):
                gradients[name] = intervals.add(gradients[name], gradient) if name in gradients else gradient
        return gradients[self.input]

    def _walk(self, x: Value, through: Callable[[Rule, list[Value]], Value]) -> dict[str, Value]:
        """Returns every value of the network by name, the input's included."""
        values = {self.input: x}
        for step in self.steps:
            values[step.output] = through(step.rule(self.network), [values[name] for name in step.inputs])
        return values


def _ones(logits: Interval) -> Interval:
    one = torch.ones_like(logits.lower)
    return Interval(one, one)

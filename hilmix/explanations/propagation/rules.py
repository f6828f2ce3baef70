"""Rules of each kind of layer for bounds, for parts and, backwards, for bounds of the gradient.

A rule is made of a live layer at every pass, so it always has the layer's present parameters.
"""

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hilmix.errors import ConfigError
from hilmix.functional.explanation import contextual, interval_gradients, intervals
from hilmix.functional.explanation.contextual import Parts
from hilmix.functional.explanation.intervals import Bilinear, Interval

Function: TypeAlias = Callable[[Tensor], Tensor]


class Rule(ABC):
    """One layer, for every kind of value that ``Propagation`` sends through a network."""

    @abstractmethod
    def bounds(self, *x: Interval) -> Interval:
        """Returns the bounds of the outputs, given those of the inputs."""

    @abstractmethod
    def parts(self, *x: Parts) -> Parts:
        """Returns the parts of the outputs, given those of the inputs."""

    @abstractmethod
    def gradient(self, gradient: Interval, *x: Interval) -> tuple[Interval, ...]:
        """Returns the bounds of the gradient before the layer, one for each of its inputs."""


@dataclass(frozen=True)
class Affine(Rule):
    """Weights of any sign and a bias: linear, convolution."""

    weight: Tensor
    bias: Tensor | None
    apply: Bilinear = F.linear

    def bounds(self, *x: Interval) -> Interval:
        return intervals.affine(x[0], self.weight, self.bias, apply=self.apply)

    def parts(self, *x: Parts) -> Parts:
        return contextual.affine(x[0], self.weight, self.bias, apply=self.apply)

    def gradient(self, gradient: Interval, *x: Interval) -> tuple[Interval, ...]:
        return (interval_gradients.affine_gradient(gradient, self.weight, x[0].lower, apply=self.apply),)


@dataclass(frozen=True)
class Channelwise(Rule):
    """A factor and a shift (C,) for each channel of (R, C, ...): evaluated batch norm."""

    scale: Tensor
    shift: Tensor

    def bounds(self, *x: Interval) -> Interval:
        return self._affine(x[0].lower).bounds(*x)

    def parts(self, *x: Parts) -> Parts:
        return self._affine(x[0].beta).parts(*x)

    def gradient(self, gradient: Interval, *x: Interval) -> tuple[Interval, ...]:
        return self._affine(x[0].lower).gradient(gradient, *x)

    def _affine(self, like: Tensor) -> Affine:
        shape = (-1, *(1 for _ in like.shape[2:]))
        return Affine(self.scale.reshape(shape), self.shift.reshape(shape), torch.mul)


@dataclass(frozen=True)
class Linear(Rule):
    """A linear map with weights from 0 on and no bias: average pooling, reshaping, the identity."""

    function: Function

    def bounds(self, *x: Interval) -> Interval:
        return intervals.monotone(x[0], self.function)

    def parts(self, *x: Parts) -> Parts:
        return contextual.linear(x[0], self.function)

    def gradient(self, gradient: Interval, *x: Interval) -> tuple[Interval, ...]:
        return (interval_gradients.linear_gradient(gradient, self.function, x[0].lower),)


@dataclass(frozen=True)
class Activation(Rule):
    """An elementwise function that never falls."""

    function: Function
    derivative: Function
    slope: Callable[[Interval, Function], Interval] = interval_gradients.rising_slope

    def bounds(self, *x: Interval) -> Interval:
        return intervals.monotone(x[0], self.function)

    def parts(self, *x: Parts) -> Parts:
        return contextual.elementwise(x[0], self.function)

    def gradient(self, gradient: Interval, *x: Interval) -> tuple[Interval, ...]:
        return (interval_gradients.slope_gradient(gradient, self.slope(x[0], self.derivative)),)


@dataclass(frozen=True)
class MaxPool(Rule):
    """Max pooling of images."""

    layer: nn.MaxPool2d

    def bounds(self, *x: Interval) -> Interval:
        return intervals.monotone(x[0], self.layer.forward)

    def parts(self, *x: Parts) -> Parts:
        pool = partial(F.max_pool2d_with_indices, **self._windows(), ceil_mode=self.layer.ceil_mode)
        return contextual.max_pool(x[0], pool)

    def gradient(self, gradient: Interval, *x: Interval) -> tuple[Interval, ...]:
        return (interval_gradients.max_pool_gradient(gradient, x[0], **self._windows()),)

    def _windows(self) -> dict[str, Any]:
        sizes = {name: getattr(self.layer, name) for name in ("kernel_size", "stride", "padding", "dilation")}
        return {name: size if isinstance(size, tuple) else (size, size) for name, size in sizes.items()}


@dataclass(frozen=True)
class Add(Rule):
    """The sum of two values of the network, as at the end of a residual block."""

    def bounds(self, *x: Interval) -> Interval:
        return intervals.add(*x)

    def parts(self, *x: Parts) -> Parts:
        return contextual.add(*x)

    def gradient(self, gradient: Interval, *x: Interval) -> tuple[Interval, ...]:
        return gradient, gradient


def _same(x: Tensor) -> Tensor:
    return x


def _positive(x: Tensor) -> Tensor:
    return (x > 0).to(x.dtype)


def _sigmoid_slope(x: Tensor) -> Tensor:
    # 1 - sigmoid(x) would lose all digits where x is large.
    return x.sigmoid() * (-x).sigmoid()


def _tanh_slope(x: Tensor) -> Tensor:
    return 1 - x.tanh().square()


RELU = Activation(F.relu, _positive)
IDENTITY = Linear(_same)


def _conv(layer: nn.Conv2d) -> Rule:
    if layer.padding_mode != "zeros":
        raise ConfigError(f"it has padding_mode '{layer.padding_mode}'; only 'zeros' is supported")
    shape = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups}
    return Affine(layer.weight, _per_channel(layer.bias), partial(F.conv2d, **shape))


def _per_channel(values: Tensor | None) -> Tensor | None:
    return None if values is None else values[:, None, None]


def _batch_norm(layer: nn.modules.batchnorm._BatchNorm) -> Rule:
    mean, variance = layer.running_mean, layer.running_var
    if mean is None or variance is None:
        raise ConfigError("it has no running statistics; track_running_stats has to be True")
    scale = (variance + layer.eps).rsqrt()
    scale = scale if layer.weight is None else scale * layer.weight
    shift = -mean * scale if layer.bias is None else layer.bias - mean * scale
    return Channelwise(scale, shift)


def _leaky_relu(layer: nn.LeakyReLU) -> Rule:
    slope = layer.negative_slope
    # Outside of these the derivative does not rise, as rising_slope requires.
    if not 0 <= slope <= 1:
        raise ConfigError(f"it has negative_slope {slope}; only slopes in [0, 1] are supported")
    return Activation(partial(F.leaky_relu, negative_slope=slope), lambda x: torch.where(x > 0, 1.0, slope).to(x.dtype))


def _max_pool(layer: nn.MaxPool2d) -> Rule:
    if layer.return_indices:
        raise ConfigError("it returns indices")
    return MaxPool(layer)


LAYERS: dict[type[nn.Module], Callable[[Any], Rule]] = {
    nn.Linear: lambda layer: Affine(layer.weight, layer.bias),
    nn.Conv2d: _conv,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.SyncBatchNorm: _batch_norm,
    nn.ReLU: lambda layer: RELU,
    nn.LeakyReLU: _leaky_relu,
    nn.Sigmoid: lambda layer: Activation(torch.sigmoid, _sigmoid_slope, interval_gradients.bell_slope),
    nn.Tanh: lambda layer: Activation(torch.tanh, _tanh_slope, interval_gradients.bell_slope),
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: lambda layer: Linear(layer.forward),
    nn.AdaptiveAvgPool2d: lambda layer: Linear(layer.forward),
    nn.Flatten: lambda layer: Linear(layer.forward),
    nn.Identity: lambda layer: IDENTITY,
    nn.Dropout: lambda layer: IDENTITY,
    nn.Dropout2d: lambda layer: IDENTITY,
}
"""Rules by kind of layer; dropout and batch norm are those of evaluation."""

FUNCTIONS: dict[Callable[..., Any] | str, Rule] = {
    operator.add: Add(),
    # timm's residual blocks add in place.
    operator.iadd: Add(),
    torch.add: Add(),
    F.relu: RELU,
    torch.relu: RELU,
    "relu": RELU,
    F.dropout: IDENTITY,
    torch.flatten: Linear(partial(torch.flatten, start_dim=1)),
    "flatten": Linear(partial(torch.flatten, start_dim=1)),
}
"""Rules by function or method of a tensor; ``flatten`` is that of a row."""


def kind_of(layer: nn.Module) -> type[nn.Module] | None:
    """Returns the entry of :data:`LAYERS` that computes what a layer does; a subclass may have a forward of its own."""
    return next((kind for kind in LAYERS if isinstance(layer, kind) and type(layer).forward is kind.forward), None)


def rule_of(layer: nn.Module) -> Rule:
    """Returns the rule of a layer of a known kind, with its present parameters.

    Raises:
        ConfigError: if one of its settings is not supported; says which, without the name of the layer.
    """
    kind = kind_of(layer)
    assert kind is not None  # a trace has none but such layers
    return LAYERS[kind](layer)

"""Backbones: from inputs to features (R, D). Any timm model by name, an MLP for vectors, or ready features."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from hilmix.checks import PositiveInt, Rate
from hilmix.errors import ConfigError
from hilmix.functional.mixing import mix_rows
from hilmix.parts import Part
from hilmix.timm_networks import (
    keep_resolution,
    layers_of,
    one_line,
    output_width,
    report_missing_weights,
    size_remedy,
    small_patches,
)
from hilmix.types import MixPlan

__all__ = ["MLP", "Backbone", "ReadyFeatures", "TimmBackbone", "default_backbone"]
Norm = Literal["none", "batch"]
InputKind = Literal["vectors", "images", "pretrained"]
"""Vectors or images for a network with random weights, or any input of a pretrained one."""
SMALL_IMAGE = 32
"""Largest side in pixels for which the network's stem keeps the resolution."""
RESERVED = {
    "num_classes": "the classifier is hilmix's own",
    "in_chans": "it is taken from the data",
    "features_only": "it makes the model return maps of several layers",
    "out_indices": "it is of models that return maps of several layers",
    "pretrained": "it is a setting of TimmBackbone itself",
}
"""Arguments of ``timm.create_model`` that would break what a backbone returns, and why."""
_REFUSALS = (RuntimeError, TypeError, ValueError, AssertionError, AttributeError, LookupError, OSError, ArithmeticError)
"""Exceptions of timm for arguments that a model does not take or cannot work with."""


class Backbone(Part, nn.Module, ABC):
    """Settings in the constructor, sizes in :meth:`build`; then ``forward`` maps ``(R, *input_shape)`` to (R, D)."""

    num_features: int
    net: nn.Module
    _frozen: Sequence[nn.Module] = ()
    """Modules that stay in evaluation mode."""

    @abstractmethod
    def build(self, input_shape: Sequence[int]) -> Self:
        """Creates the parameters for inputs of this shape, (C, H, W) or (D,), and returns the backbone itself."""

    @property
    def input_normalisation(self) -> tuple[list[float], list[float]] | None:
        """Mean and std per channel that pretrained weights expect, or None: then the training data's are used."""
        return None

    @property
    def input_kind(self) -> InputKind:
        """The kind of input, by which the default learning rate is chosen."""
        return "images" if self.input_normalisation is None else "pretrained"

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.net(x)
        return features

    @property
    def hidden_layers(self) -> list[str]:
        """Names of the layers that :class:`~hilmix.mix.HiddenMix` is meant for."""
        return [name for name, _ in self.net.named_children()]

    def freeze(self, names: Sequence[str]) -> None:
        """Takes layers out of training: their parameters get no gradient, and they stay in evaluation mode.

        So batch norm keeps its running statistics, and dropout does nothing there.

        Args:
            names: of layers or parameters of the network, such as ``layer1`` or ``blocks.0``; ``backbone`` for all.

        Raises:
            ConfigError: for a name that the network lacks.
        """
        for name in names:
            # a trailing dot, so that `blocks.1` is not also `blocks.10`
            path = "" if name == "backbone" else f"{name}."
            found = [p for n, p in self.net.named_parameters() if f"{n}.".startswith(path)]
            if not found:
                raise ConfigError(
                    f"`model.freeze` must name layers of the backbone, which has {self.hidden_layers}, or be "
                    f"['backbone'], got '{name}'."
                )
            for parameter in found:
                parameter.requires_grad_(False)
            self._frozen = [*self._frozen, *(m for n, m in self.net.named_modules() if f"{n}.".startswith(path))]
        self.train(self.training)  # Lightning starts from the modes that it finds

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for module in self._frozen:
            module.training = False
        return self

    @property
    def layers(self) -> list[list[nn.Parameter]]:
        """Parameters of each layer from the input on; a norm belongs to the layer before it."""
        layers: list[list[nn.Parameter]] = []
        for child in self.net.children():
            found = list(child.parameters())
            if layers and all(parameter.ndim <= 1 for parameter in found):
                layers[-1] += found
            elif found:
                layers.append(found)
        return layers

    @contextmanager
    def mixing_at(self, plan: MixPlan) -> Iterator[None]:
        """Within the context the named layer's output is mixed by the plan.

        Raises:
            ConfigError: if the backbone has no such layer; the message lists those it has.
        """
        try:
            layer = self.net.get_submodule(plan.layer)
        except AttributeError:
            raise ConfigError(
                f"mix: the backbone has no layer '{plan.layer}'; it has {self.hidden_layers}, and 'features'."
            ) from None
        # A hook needs no fork of any network: the names in timm's feature_info are those of modules in every family
        # tried.
        hook = layer.register_forward_hook(lambda _module, _args, out: mix_rows(out, plan.partner, plan.weight))
        try:
            yield
        finally:
            hook.remove()


class TimmBackbone(Backbone):
    """Any timm model without its classifier.

    Args:
        name: a name from ``timm.list_models()``.
        pretrained: load ImageNet weights (from timm's hub, or a file given as
            ``kwargs: {pretrained_cfg_overlay: {file: PATH}}``).
        kwargs: further arguments of ``timm.create_model``. The model must return one vector per image, so
            ``features_only``, ``out_indices``, ``num_classes`` and ``in_chans`` are refused, and so is a
            ``global_pool`` that leaves a map.

    Images of 32 px or less get a stem that keeps the resolution: 3x3 with stride 1 and no pooling for a ResNet,
    smaller patches for ViT and ConvNeXt, stride 1 in the first convolution for other networks. A ViT takes the patch
    that divides both sides and gives as nearly 8 patches along the shorter one as any.

    Raises:
        ConfigError: for a reserved argument; in :meth:`build`, if timm has no such model, or it cannot be made so, does
            not take these images, or does not return one vector per image.
    """

    def __init__(self, name: str = "resnet10t", pretrained: bool = False, kwargs: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.name, self.pretrained, self.kwargs = name, pretrained, dict(kwargs or {})
        for argument in RESERVED.keys() & self.kwargs.keys():
            raise ConfigError(f"`TimmBackbone.kwargs.{argument}` must be left out: {RESERVED[argument]}.")

    def build(self, input_shape: Sequence[int]) -> Self:
        if len(input_shape) != 3:
            raise ConfigError(
                f"TimmBackbone needs images (C, H, W), the data has inputs of shape {tuple(input_shape)}. "
                "For vectors choose the backbone MLP or ReadyFeatures."
            )
        import timm  # here, as it takes a sixth of the start of every command, and vectors need none of it

        channels, *sides = input_shape
        self.in_channels = channels
        small = max(sides) <= SMALL_IMAGE
        kwargs = {"in_chans": channels, **self.kwargs}  # the user's last: they win over what the images suggest
        if small:
            kwargs = {**small_patches(self.name, sides, given=self.kwargs), **kwargs}
        if ":" not in self.name and not timm.is_model(self.name):  # with a colon it names a hub or a folder
            close = difflib.get_close_matches(self.name, timm.list_models(), n=5, cutoff=0.5)
            raise ConfigError(f"TimmBackbone: timm has no model '{self.name}'; close names are {close}.")
        self.creation_arguments = {name: value for name, value in kwargs.items() if name != "in_chans"}
        try:
            with report_missing_weights():
                self.net = timm.create_model(self.name, pretrained=self.pretrained, num_classes=0, **kwargs)
        except _REFUSALS as error:
            raise ConfigError(
                f"TimmBackbone: cannot create '{self.name}' with pretrained={self.pretrained}, {kwargs}: "
                f"{one_line(error)}"
            ) from error
        if small:
            keep_resolution(self.net, channels)
        try:
            self.num_features = output_width(self.net, input_shape)  # by one image, so that it fails before training
        except ConfigError as error:
            raise ConfigError(f"TimmBackbone: '{self.name}' with {kwargs} {error}") from error
        except _REFUSALS as error:
            raise ConfigError(
                f"TimmBackbone: '{self.name}' cannot take inputs {tuple(input_shape)}: {one_line(error)}"
                f"{size_remedy(self.net, sides)}"
            ) from error
        return self

    @property
    def input_normalisation(self) -> tuple[list[float], list[float]] | None:
        if not self.pretrained:
            return None
        config: dict[str, Any] = self.net.pretrained_cfg  # type: ignore[assignment]  # not a module
        mean, std = list(config["mean"]), list(config["std"])
        if self.in_channels != len(mean):  # timm folds the colour channels of the first layer into these
            return [sum(mean) / len(mean)] * self.in_channels, [sum(std) / len(std)] * self.in_channels
        return mean, std

    @property
    def hidden_layers(self) -> list[str]:
        return [stage["module"] for stage in getattr(self.net, "feature_info", [])] or super().hidden_layers

    @property
    def layers(self) -> list[list[nn.Parameter]]:
        return layers_of(self.net) or super().layers


class MLP(Backbone):
    """Fully connected layers with ReLU and dropout, for vectors (images are flattened).

    Args:
        hidden: widths of the layers; the last one is D.
        dropout: probability after each layer, in [0, 1).
        norm: ``batch`` puts batch norm between each layer and its ReLU, as in the published settings of annot-mix;
            ``none`` leaves it out. A batch of one row is normalised by the running statistics. Under several ranks each
            normalises by its own rows, unless the trainer has ``sync_batchnorm``.

    The network for vectors where none is named is another: see :func:`default_backbone`.
    """

    def __init__(self, hidden: list[PositiveInt] | None = None, dropout: Rate = 0.5, norm: Norm = "none") -> None:
        super().__init__()
        # 128 units and a dropout of one half: the head on ready features in the annot-mix study.
        self.hidden = [128] if hidden is None else list(hidden)
        self.dropout, self.norm = dropout, norm
        if not self.hidden:
            raise ConfigError("`MLP.hidden` must have at least one width, such as [128], got [].")

    @property
    def input_kind(self) -> InputKind:
        return "vectors"

    def build(self, input_shape: Sequence[int]) -> Self:
        width = int(torch.Size(input_shape).numel())
        layers: list[nn.Module] = [nn.Flatten()]
        for out in self.hidden:
            norm = [nn.BatchNorm1d(out)] if self.norm == "batch" else []
            layers += [nn.Linear(width, out), *norm, nn.ReLU(inplace=True), nn.Dropout(self.dropout)]
            width = out
        self.net = nn.Sequential(*layers)
        self.num_features = width
        return self


class ReadyFeatures(Backbone):
    """The inputs are the features: what follows is a linear probe."""

    @property
    def input_kind(self) -> InputKind:
        return "vectors"

    def build(self, input_shape: Sequence[int]) -> Self:
        self.net = nn.Flatten()
        self.num_features = int(torch.Size(input_shape).numel())
        return self


def default_backbone(input_shape: Sequence[int]) -> Backbone:
    """Returns the backbone where none is named, by the kind of input.

    Vectors get two hidden layers of 256 and 128 units with batch norm and a dropout of one half, images a small ResNet,
    which has batch norm of its own. Chosen once for all methods, see experiments/annotators/README.md.

    Args:
        input_shape: (D,) or (C, H, W).
    """
    return MLP([256, 128], norm="batch") if len(input_shape) == 1 else TimmBackbone()


def without_pretrained(spec: Any) -> Any:
    """Returns the specification of a backbone whose weights a checkpoint brings: pretrained ones are not fetched.

    Args:
        spec: ``class_path`` and ``init_args`` as a map or a namespace of jsonargparse; not changed. Anything else, such
            as a backbone that is built already, is returned as it is.
    """
    args = spec.get("init_args") if hasattr(spec, "get") else None
    if not (args and args.get("pretrained")):
        return spec
    spec = deepcopy(spec)  # the given one is what the next checkpoint is saved with
    spec["init_args"]["pretrained"] = False
    return spec

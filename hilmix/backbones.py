"""Backbones: from inputs to features (R, D). Any timm model by name, an MLP for vectors, or ready features."""

import difflib
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import timm
import torch
from timm.models import ConvNeXt, ResNet, VisionTransformer
from torch import Tensor, nn

from hilmix.checks import PositiveInt, Rate
from hilmix.errors import ConfigError
from hilmix.functional.mixing import mix_rows
from hilmix.parts import Part
from hilmix.types import MixPlan

__all__ = ["MLP", "Backbone", "ReadyFeatures", "TimmBackbone", "default_backbone"]
log = logging.getLogger(__name__)
SMALL_IMAGE = 32
"""Largest side in pixels for which the network's stem keeps the resolution."""
# At 25 px a small ViT took 20.7 s a step with a token for each pixel, 0.47 s with 5 x 5.
TOKENS = 8
"""Patches along the shorter side of a small image that a transformer gets, as nearly as its sides allow."""
RESERVED = {
    "num_classes": "the classifier is hilmix's own",
    "in_chans": "it is taken from the data",
    "features_only": "it makes the model return maps of several layers",
    "out_indices": "it is of models that return maps of several layers",
    "pretrained": "it is a setting of TimmBackbone itself",
}
"""Arguments of ``timm.create_model`` that would break what a backbone returns, and why."""
_REFUSALS = (RuntimeError, TypeError, ValueError, AssertionError, AttributeError, LookupError, OSError, ArithmeticError)
"""What timm raises for arguments that a model does not take or cannot work with."""


class Backbone(Part, nn.Module, ABC):
    """Settings in the constructor, sizes in :meth:`build`; then ``forward`` maps (R, *input_shape) to (R, D)."""

    num_features: int
    net: nn.Module

    @abstractmethod
    def build(self, input_shape: Sequence[int]) -> Self:
        """Creates the parameters for inputs of this shape, (C, H, W) or (D,), and returns the backbone itself."""

    @property
    def input_normalisation(self) -> tuple[list[float], list[float]] | None:
        """Mean and std per channel that pretrained weights expect, or None: then the training data's are used."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.net(x)
        return features

    @property
    def hidden_layers(self) -> list[str]:
        """Names of the layers that :class:`~hilmix.mix.HiddenMix` is meant for."""
        return [name for name, _ in self.net.named_children()]

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
        channels, *sides = input_shape
        self.in_channels = channels
        small = max(sides) <= SMALL_IMAGE
        kwargs = {"in_chans": channels, **self.kwargs}
        if small:
            kwargs = {**_small_patches(self.name, sides, given=self.kwargs), **kwargs}
        if ":" not in self.name and not timm.is_model(self.name):  # with a colon it names a hub or a folder
            close = difflib.get_close_matches(self.name, timm.list_models(), n=5, cutoff=0.5)
            raise ConfigError(f"TimmBackbone: timm has no model '{self.name}'; close names are {close}.")
        try:
            with _missing_weights_told():
                self.net = timm.create_model(self.name, pretrained=self.pretrained, num_classes=0, **kwargs)
        except _REFUSALS as error:
            raise ConfigError(
                f"TimmBackbone: cannot create '{self.name}' with pretrained={self.pretrained}, {kwargs}: {_line(error)}"
            ) from error
        if small:
            _keep_resolution(self.net, channels)
        try:
            self.num_features = _width(self.net, input_shape)
        except ConfigError as error:
            raise ConfigError(f"TimmBackbone: '{self.name}' with {kwargs} {error}") from error
        except _REFUSALS as error:
            raise ConfigError(
                f"TimmBackbone: '{self.name}' cannot take inputs {tuple(input_shape)}: {_line(error)}"
                f"{_size_remedy(self.net, sides)}"
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


class MLP(Backbone):
    """Fully connected layers with ReLU and dropout, for vectors (images are flattened).

    Args:
        hidden: widths of the layers; the last one is D.
        dropout: probability after each layer, in [0, 1).
    """

    def __init__(self, hidden: list[PositiveInt] | None = None, dropout: Rate = 0.5) -> None:
        super().__init__()
        # 128 units and a dropout of one half: the head on ready features in the annot-mix study.
        self.hidden = [128] if hidden is None else list(hidden)
        self.dropout = dropout
        if not self.hidden:
            raise ConfigError("`MLP.hidden` must have at least one width, such as [128], got [].")

    def build(self, input_shape: Sequence[int]) -> Self:
        width = int(torch.Size(input_shape).numel())
        layers: list[nn.Module] = [nn.Flatten()]
        for out in self.hidden:
            layers += [nn.Linear(width, out), nn.ReLU(inplace=True), nn.Dropout(self.dropout)]
            width = out
        self.net = nn.Sequential(*layers)
        self.num_features = width
        return self


class ReadyFeatures(Backbone):
    """The inputs are the features: what follows is a linear probe."""

    def build(self, input_shape: Sequence[int]) -> Self:
        self.net = nn.Flatten()
        self.num_features = int(torch.Size(input_shape).numel())
        return self


def default_backbone(input_shape: Sequence[int]) -> Backbone:
    """Returns a sensible choice for the kind of input: an MLP for vectors, a small ResNet for images."""
    return MLP() if len(input_shape) == 1 else TimmBackbone()


@contextmanager
def _missing_weights_told() -> Iterator[None]:
    """timm leaves weights that a pretrained file lacks at random, and says so at a level that is not shown."""
    timm_log = logging.getLogger("timm.models._builder")
    before, handler = timm_log.level, logging.Handler()
    handler.emit = lambda record: (  # type: ignore[method-assign]
        log.warning("%s", record.getMessage()) if record.getMessage().startswith("Missing keys") else None
    )
    timm_log.setLevel(logging.INFO)
    timm_log.addHandler(handler)
    try:
        yield
    finally:
        timm_log.removeHandler(handler)
        timm_log.setLevel(before)


def common_patch(sides: Sequence[int]) -> int | None:
    """Returns the patch size that divides both sides and gives as nearly :data:`TOKENS` along the shorter one as any.

    Args:
        sides: height and width in pixels.

    Returns:
        None if none gives from half to twice as many; of equally near ones the smaller patch.

    Example:
        >>> common_patch([28, 28]), common_patch([25, 25]), common_patch([31, 31])
        (4, 5, None)
    """
    shorter = min(sides)
    fits = [p for p in range(1, shorter + 1) if math.gcd(*sides) % p == 0]
    fits = [p for p in fits if TOKENS / 2 <= shorter / p <= TOKENS * 2]
    return min(fits, key=lambda p: abs(math.log(shorter / p / TOKENS)), default=None)


def _size_remedy(net: nn.Module, sides: Sequence[int]) -> str:
    """What to set for a network of a fixed input size."""
    if not hasattr(net, "patch_embed"):
        return ""
    patch = common_patch(sides)
    patches = "" if patch is None else f", patch_size: {patch}"
    return (
        f" Set kwargs: {{img_size: [{sides[0]}, {sides[1]}]{patches}}}, or data.image_size to what the model expects."
    )


def _line(error: Exception) -> str:
    """What an error of timm says, in one line."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return f"{text if isinstance(error, (RuntimeError, ValueError)) else f'{type(error).__name__}: {text}'}."


def _small_patches(name: str, sides: list[int], *, given: dict[str, Any]) -> dict[str, Any]:
    """Arguments that give a patch-based network a grid of about 8x8 tokens."""
    entry = timm.model_entrypoint(name) if timm.is_model(name) else None
    module = getattr(entry, "__module__", "")
    if module.endswith(("vision_transformer", "deit")):
        patch = given.get("patch_size", common_patch(sides))
        if patch is None:
            raise ConfigError(
                f"TimmBackbone: '{name}' needs a patch that divides both sides into 4 to 16; {sides} pixels have none. "
                "Set data.image_size to a multiple of 4, or pad: kwargs: {patch_size: 4, dynamic_img_size: true, "
                "dynamic_img_pad: true}."
            )
        return {"img_size": tuple(sides), "patch_size": patch}
    if module.endswith("convnext"):
        # With 2 a ConvNeXt still ends in a map of 1x1 at 32 px, with 1 in 4x4.
        return {"patch_size": 1}
    return {}


def _keep_resolution(net: nn.Module, channels: int) -> None:
    """Gives a convolutional network for small images a stem of stride 1."""
    if isinstance(net, (VisionTransformer, ConvNeXt)):
        return
    if isinstance(net, ResNet):
        # timm has no setting for a 3x3 stem. The width is read behind it, as deep stems are sequences of convolutions.
        width = next(net.bn1.parameters()).shape[0]
        stem = nn.Conv2d(channels, width, kernel_size=3, stride=1, padding=1, bias=False)
        # As timm initialises the convolutions of its ResNets.
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        net.set_submodule("conv1", stem)
        net.set_submodule("maxpool", nn.Identity())
        return
    for module in net.modules():  # the convolutions that read the input; a patch embedding has to keep its stride
        if isinstance(module, nn.Conv2d) and module.in_channels == channels and module.kernel_size != module.stride:
            module.stride = (1, 1)


def _width(net: nn.Module, input_shape: Sequence[int]) -> int:
    """The network's true output width; timm's ``num_features`` is another number for some families."""
    training = net.training
    # Batch norm in training may refuse a single row.
    net.eval()
    with torch.no_grad():
        features = net(torch.zeros(1, *input_shape))
    net.train(training)
    if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != 1:
        found = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ConfigError(
            f"must return one vector per image, (1, D) for one, got {found}. Leave out what changes the pooling."
        )
    # Not num_features: for mobilenetv3_small_050 that is 288 where the output has 1,024.
    return int(features.shape[1])

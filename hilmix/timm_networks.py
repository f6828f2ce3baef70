"""Networks of timm for images of any size: patches, stems and output widths.

Functions import timm themselves: a command that trains on vectors starts without it.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hilmix.errors import ConfigError

log = logging.getLogger(__name__)
# At 25 px a small ViT took 20.7 s a step with a token for each pixel, 0.47 s with 5 x 5.
TOKENS = 8
"""Patches along the shorter side of a small image that a transformer gets, as nearly as its sides allow."""


@contextmanager
def report_missing_weights() -> Iterator[None]:
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
    # A patch must divide both sides: timm cuts off, or refuses, what is left over.
    fits = [p for p in range(1, shorter + 1) if math.gcd(*sides) % p == 0]
    fits = [p for p in fits if TOKENS / 2 <= shorter / p <= TOKENS * 2]
    # In the logarithm, as twice too many tokens are as far off as half of them.
    return min(fits, key=lambda p: abs(math.log(shorter / p / TOKENS)), default=None)


def size_remedy(net: nn.Module, sides: Sequence[int]) -> str:
    """Returns the setting that fits a network of a fixed input size."""
    if not hasattr(net, "patch_embed"):
        return ""
    patch = common_patch(sides)
    patches = "" if patch is None else f", patch_size: {patch}"
    return (
        f" Set kwargs: {{img_size: [{sides[0]}, {sides[1]}]{patches}}}, or data.image_size to what the model expects."
    )


def one_line(error: Exception) -> str:
    """Returns the message of an error of timm in one line."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return f"{text if isinstance(error, (RuntimeError, ValueError)) else f'{type(error).__name__}: {text}'}."


def small_patches(name: str, sides: list[int], *, given: dict[str, Any]) -> dict[str, Any]:
    """Arguments that give a patch-based network a grid of about 8x8 tokens."""
    import timm

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


def keep_resolution(net: nn.Module, channels: int) -> None:
    """Gives a convolutional network for small images a stem of stride 1."""
    from timm.models import ConvNeXt, ResNet, VisionTransformer

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


def output_width(net: nn.Module, input_shape: Sequence[int]) -> int:
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


def layers_of(net: nn.Module) -> list[list[nn.Parameter]]:
    """Returns the parameters of each layer as timm counts layers, from the input on; empty where it does not say."""
    from timm.models import group_parameters

    matcher: Any = getattr(net, "group_matcher", None)
    if matcher is None:
        return []
    named = dict(net.named_parameters())
    layers = group_parameters(net, matcher(coarse=False))
    return [[named[name] for name in layers[place]] for place in sorted(layers)]

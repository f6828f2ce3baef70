"""Parameter groups of an optimizer: learning rates by the width and the depth of layers."""

from collections.abc import Iterable
from typing import Any, Literal

from torch import Tensor, nn

from hilmix.backbones import Backbone

LrScaling = Literal["none", "fan-in"]
# Chosen on validation items of eleven development sets, where 64 to 128 lie on one plateau; see
# experiments/annotators/README.md.
REFERENCE_FAN_IN = 64
"""Inputs of a layer whose learning rate ``fan-in`` leaves as it is."""


def class_model_groups(
    parts: Iterable[nn.Module], lr: float, scaling: LrScaling, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Returns parameter groups of the class model, one for each learning rate that the scaling gives.

    Args:
        parts: backbone and head.
        lr: learning rate of a layer with few inputs, of biases and of norms.
        scaling: ``fan-in`` multiplies the learning rate of each weight matrix and filter by
            ``min(1, 64 / number of its inputs)``: a step of Adam moves every weight by about ``lr``, and so the output
            by ``lr`` times the number of inputs.
        weight_decay: the same for all.
        layer_decay: factor per layer of the backbone below the head; see :func:`layer_scales`.

    Returns:
        The groups, without parameters that are frozen.

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
    for part in parts:
        if isinstance(part, Backbone) and layer_decay < 1:
            for parameter, scale in layer_scales(part, layer_decay).items():
                scales[parameter] *= scale
    groups: dict[float, list[Tensor]] = {}
    for parameter, scale in scales.items():
        if parameter.requires_grad:
            groups.setdefault(scale, []).append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay, "lr": lr * scale} for scale, parameters in groups.items()
    ]


def layer_scales(backbone: Backbone, decay: float) -> dict[Tensor, float]:
    """Returns the factor of each parameter's learning rate: ``decay ** (n - i)`` in layer i of n, counted from 0.

    The head, above all layers, has factor 1.

    Args:
        backbone: built.
        decay: in (0, 1].

    Reference: K. Clark et al., ELECTRA, ICLR 2020, appendix A; in timm, ``layer_decay``.
    """
    layers = backbone.layers
    return {p: decay ** (len(layers) - i) for i, layer in enumerate(layers) for p in layer}

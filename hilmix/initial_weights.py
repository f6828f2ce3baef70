"""Weights that a new run starts from: backbone and class head of a trained one, classes matched by name."""

import logging
from collections.abc import Sequence

import torch
from lightning.pytorch import LightningModule

from hilmix.errors import ConfigError
from hilmix.modules import CrowdModel
from hilmix.names import printable
from hilmix.predictor import Predictor

__all__ = ["take_weights"]
log = logging.getLogger(__name__)


@torch.no_grad()
def take_weights(model: LightningModule, classes: Sequence[str], source: Predictor) -> None:
    """Puts backbone and head of a trained model into one that is to be trained.

    The annotator model starts anew, and so do fold networks: those of another run may have seen the items of their
    fold. Inputs are scaled by the new data.

    Args:
        model: of the new run, in place.
        classes: K of the new data; a class that the source lacks keeps its random weights.
        source: a trained model of one network, with the same backbone.

    Raises:
        ConfigError: if the networks differ, or have no class in common.
    """
    if not isinstance(model, CrowdModel) or len(source.networks) != 1:
        raise ConfigError(
            "`init_from` must be a run of one network for a model of one network, not a cross-fitted one."
        )
    network = source.networks[0]
    mine, theirs = (one.settings["backbone"]["class_path"] for one in (model, network))
    try:
        model.backbone.load_state_dict(network.backbone.state_dict())
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"`init_from` must have the backbone of the model, {mine}, got {theirs}: {reason}") from error
    place = {name: k for k, name in enumerate(source.classes)}
    known = [k for k, name in enumerate(classes) if name in place]
    if not known:
        raise ConfigError(f"`init_from` must share a class with the data, {list(classes)}, got {list(source.classes)}.")
    rows = [place[classes[k]] for k in known]
    model.head.weight[known] = network.head.weight[rows].to(model.head.weight)
    model.head.bias[known] = network.head.bias[rows].to(model.head.bias)
    if new := [name for name in classes if name not in place]:
        log.info("init_from: %d class(es) start from random weights: %s", len(new), ", ".join(map(printable, new[:5])))

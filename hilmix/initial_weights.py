"""Weights that a new run starts from: those of a trained one, classes and annotators matched by name."""

import logging
from collections.abc import Sequence

import torch
from lightning.pytorch import LightningModule

from hilmix.annotators import AnnotatorModel, Perfect
from hilmix.errors import ConfigError
from hilmix.modules import CrowdModel
from hilmix.names import printable
from hilmix.predictor import Predictor

__all__ = ["take_weights"]
log = logging.getLogger(__name__)


@torch.no_grad()
def take_weights(
    model: LightningModule, classes: Sequence[str], source: Predictor, annotators: Sequence[str] = ()
) -> None:
    """Puts backbone, head and annotators of a trained model into one that is to be trained.

    Fold networks start anew: those of another run may have seen the items of their fold. Inputs are scaled by the new
    data. Annotators start anew, which is logged, unless both runs have the same annotator model and the same classes.

    Args:
        model: of the new run, in place.
        classes: K of the new data; a class that the source lacks keeps its random weights.
        source: a trained model of one network, with the same backbone.
        annotators: A of the new data, in the order of the model; one that the source was not trained on starts anew.

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
    _take_annotators(model, classes, source, annotators)


def _take_annotators(model: CrowdModel, classes: Sequence[str], source: Predictor, annotators: Sequence[str]) -> None:
    network = source.networks[0]
    if isinstance(model.annotator_model, Perfect):
        return
    if model.settings["annotator_model"] != network.settings["annotator_model"]:
        log.info("init_from: annotators start anew, as the source has another annotator model.")
        return
    if tuple(classes) != tuple(source.classes):
        log.info("init_from: annotators start anew, as the classes are not those of the source in its order.")
        return
    place = {name: row for row, name in enumerate(source.all_annotators) if name}
    known = [row for row, name in enumerate(annotators) if name in place]
    rows, theirs = torch.tensor(known), torch.tensor([place[annotators[row]] for row in known])
    mine, given = model.annotator_model.state_dict(), network.annotator_model.state_dict()
    axes = _annotator_axes(network)
    if not known or axes.keys() != mine.keys() or axes.keys() != given.keys():
        log.info("init_from: annotators start anew, as the source knows none of them in matrices of the same form.")
        return
    for key, axis in axes.items():
        if axis is None:
            mine[key].copy_(given[key])
        else:
            mine[key].index_copy_(axis, rows, given[key].index_select(axis, theirs).to(mine[key]))
    new = [printable(name) for name in annotators if name not in place]
    log.info(
        "init_from: %d of %d annotators by name%s",
        len(known),
        len(annotators),
        f"; new: {', '.join(new[:5])}" * bool(new),
    )


def _annotator_axes(network: CrowdModel) -> dict[str, int | None]:
    """The axis of each tensor of the annotator model along which annotators stand, None for those that all share."""

    def shapes(annotators: int) -> dict[str, torch.Size]:
        part = AnnotatorModel.from_spec(network.settings["annotator_model"])
        built = part.build(
            num_features=network.backbone.num_features,
            num_classes=network.settings["num_classes"],
            num_annotators=annotators,
            num_annotator_features=network.settings["num_annotator_features"],
        )
        return {name: value.shape for name, value in built.state_dict().items()}

    # the size that grows with the number of annotators, however a model arranges them
    two, three = shapes(2), shapes(3)
    grown = {name: [a != b for a, b in zip(shape, three[name], strict=True)] for name, shape in two.items()}
    return {name: sizes.index(True) if any(sizes) else None for name, sizes in grown.items()}

"""A trained model as one function of its inputs, and what a reader of its file must know."""

import json
import math
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hilmix.backbones import Backbone
from hilmix.functional.inputs import as_float, normalise
from hilmix.modules import CrowdModel
from hilmix.predictor import Predictor


class ModelCard(NamedTuple):
    """Facts about a model, as its file holds them."""

    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    """(C, H, W) or (D,)."""
    input_dtype: str
    """``uint8`` for images, ``float32`` for vectors."""
    temperature: float
    preprocessing: str
    method: str
    """Class of the annotator model that the network was trained with."""
    hilmix: str
    """Version."""

    def json(self) -> str:
        """Returns the card as text."""
        return json.dumps(self._asdict(), ensure_ascii=False)

    def properties(self) -> dict[str, str]:
        """Returns one text for each fact, as ONNX and safetensors hold them: lists as JSON."""
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in self._asdict().items()}


class ExportModule(nn.Module):
    """Class probabilities (B, K) of inputs as they are stored: scaling, network and temperature in one.

    Reads images (B, C, H, W) uint8 or float in [0, 1], or vectors (B, D) float. All of it is traced for any B.

    Args:
        predictor: a trained model with its temperature.
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.networks = nn.ModuleList(_Network(network) for network in predictor.networks)
        self.temperature = predictor.temperature
        self.eval()

    def forward(self, input: Tensor) -> Tensor:
        """Returns (B, K) float probabilities."""
        x = as_float(input)
        log_probs = torch.stack([network(x).log_softmax(-1) for network in self.networks])
        # The mean prediction of all networks; one alone is itself.
        logits = log_probs.logsumexp(0) - math.log(len(self.networks))
        return (logits / self.temperature).softmax(-1)


class _Network(nn.Module):
    """Logits without what training needs: a branch on the number of rows would be a constant of the trace."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: CrowdModel) -> None:
        super().__init__()
        self.backbone: Backbone = model.backbone
        self.head = model.head
        self.register_buffer("mean", model.input_mean)
        self.register_buffer("std", model.input_std)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(normalise(x, self.mean, self.std)))
        return logits


def card_of(predictor: Predictor) -> ModelCard:
    """Returns the facts about a model."""
    shape = predictor.input_shape
    images = len(shape) == 3
    resizing = f"resize until {shape[1]} x {shape[2]} px are just covered, crop the middle; " if images else ""
    return ModelCard(
        classes=predictor.classes,
        input_shape=shape,
        input_dtype="uint8" if images else "float32",
        temperature=predictor.temperature,
        preprocessing=f"{resizing}scaling by mean and deviation is inside",
        method=type(predictor.networks[0].annotator_model).__name__,
        hilmix=version("hilmix"),
    )


def example_inputs(predictor: Predictor, rows: int, *, seed: int = 0) -> Tensor:
    """Returns random inputs (B, C, H, W) uint8 or (B, D) float32, vectors of the scale of the training data."""
    g = torch.Generator().manual_seed(seed)
    shape = (rows, *predictor.input_shape)
    if len(shape) == 4:
        return torch.randint(0, 256, shape, generator=g, dtype=torch.uint8)
    network: Any = predictor.networks[0]
    noise = torch.randn(shape, generator=g)
    # Of plain noise on features in thousands, all rows would look alike, and a wrong scaling would not show.
    scaled: Tensor = noise * network.input_std.cpu() + network.input_mean.cpu()
    return scaled

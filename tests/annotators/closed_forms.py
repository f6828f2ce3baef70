"""Plain Python for the tests of annotator models: slow, obvious, in the papers' terms."""

import math
from collections.abc import Sequence

import torch

from hilmix.annotators import AnnotatorModel, AnnotatorOutput
from hilmix.types import Batch

P = [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]
"""Class probabilities of two items."""
ROW, ANNOTATOR, LABEL = [0, 0, 1], [1, 0, 1], [0, 2, 1]
"""Three answers of two annotators."""


def softmax(values: Sequence[float]) -> list[float]:
    total = sum(math.exp(v) for v in values)
    return [math.exp(v) / total for v in values]


def with_parameters(model: AnnotatorModel, name: str) -> tuple[AnnotatorModel, list[list[list[float]]]]:
    """The model for 3 classes and 2 annotators with random matrices, and these as lists."""
    model.build(num_features=4, num_classes=3, num_annotators=2)
    with torch.no_grad():
        matrices = getattr(model, name).normal_(generator=torch.Generator().manual_seed(3))
    return model, matrices.tolist()


def dot(x: Sequence[float], y: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def linear(layer: torch.nn.Linear, x: Sequence[float]) -> list[float]:
    return [dot(row, x) + b for row, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)]


def answered(
    model: AnnotatorModel, features: Sequence[Sequence[float]] = ((0.0,) * 4,) * 2
) -> tuple[AnnotatorOutput, Batch]:
    """What the model says of the three answers; ``features`` are those of the two items."""
    row, annotator = torch.tensor(ROW), torch.tensor(ANNOTATOR)
    log_probs = torch.tensor(P).log()[row]
    label_log_probs, confusion = model(torch.tensor(features)[row], log_probs, annotator)
    nothing = torch.zeros(2, dtype=torch.int64)
    batch = Batch(torch.zeros(2, 4), nothing, nothing, row, annotator, torch.tensor(LABEL))
    return AnnotatorOutput(label_log_probs, confusion, log_probs, annotator), batch

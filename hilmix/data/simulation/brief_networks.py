"""Simulated annotators of the annot-mix study: the multilayer perceptron of a data set, briefly trained."""

from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from hilmix.annotations import IntArray
from hilmix.data.simulation.weak_classifiers import ClassifierFactory

_AT_ONCE = 8192  # rows of a prediction


class BriefNetwork:
    """Multilayer perceptron with batch norm, trained by RAdam at its default rate; fit and predict as in scikit-learn.

    Args:
        hidden: widths of the hidden layers, each followed by batch norm, ReLU and dropout.
        num_classes: K outputs.
        dropout: probability, in [0, 1).
        epochs: passes over the data.
        batch_size: rows per step; the rest of an epoch that fills no batch is left out, as in the published code, so
            that fewer rows than one batch train nothing.
        seed: seed of the initial weights, the order of rows and dropout.
    """

    def __init__(
        self, hidden: tuple[int, ...], num_classes: int, *, dropout: float, epochs: int, batch_size: int, seed: int
    ) -> None:
        self.hidden, self.num_classes, self.dropout = hidden, num_classes, dropout
        self.epochs, self.batch_size, self.seed = epochs, batch_size, seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on (N, D) numbers and (N,) classes in [0, K); torch's global generator stays as it is."""
        inputs, target = torch.as_tensor(np.asarray(X, dtype=np.float32)), torch.as_tensor(np.asarray(y))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.net = self._build(inputs.shape[1])
            optimizer = torch.optim.RAdam(self.net.parameters())
            for _ in range(self.epochs):
                whole = len(inputs) - len(inputs) % self.batch_size
                for rows in torch.randperm(len(inputs))[:whole].split(self.batch_size):  # type: ignore[no-untyped-call]  # of torch
                    self._step(optimizer, inputs[rows], target[rows])
        self.net.eval()
        return self

    @torch.inference_mode()
    def predict(self, X: ArrayLike) -> IntArray:
        """Return (N,) int64 most probable classes."""
        inputs = torch.as_tensor(np.asarray(X, dtype=np.float32))
        parts = inputs.split(_AT_ONCE)  # type: ignore[no-untyped-call]  # of torch
        found: IntArray = torch.cat([self.net(part).argmax(1) for part in parts]).numpy()
        return found

    def _build(self, width: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for size in self.hidden:
            layers += [nn.Linear(width, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Dropout(self.dropout)]
            width = size
        return nn.Sequential(*layers, nn.Linear(width, self.num_classes))

    def _step(self, optimizer: torch.optim.Optimizer, inputs: Tensor, target: Tensor) -> None:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.net(inputs), target)
        loss.backward()  # type: ignore[no-untyped-call]  # of torch
        optimizer.step()


def published_network(
    hidden: tuple[int, ...], num_classes: int, *, dropout: float = 0.0, batch_size: int = 64
) -> ClassifierFactory:
    """Return the factory of the annotators of the annot-mix study, for :func:`simulate_classifiers`.

    Args:
        hidden: widths of the hidden layers of the data set's own network, such as (256, 128).
        num_classes: K.
        dropout: probability after each of them, in [0, 1).
        batch_size: rows per training step.

    Reference:
        Herde, Luehrs, Huseljic, Sick: Annot-Mix, ECAI 2024, annotator simulation. The published script draws a learning
        rate for each annotator, but passes none on: all train at RAdam's default, 0.001, as here.
    """

    def build(*, epochs: int, seed: int) -> BriefNetwork:
        return BriefNetwork(hidden, num_classes, dropout=dropout, epochs=epochs, batch_size=batch_size, seed=seed)

    return build

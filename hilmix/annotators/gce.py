"""Generalised cross-entropy: between the likelihood, which learns fast, and the absolute error, which resists noise."""

from typing import Annotated

import torch
from torch import Tensor

from hilmix.annotators.base import AnnotatorOutput
from hilmix.annotators.perfect import Perfect
from hilmix.checks import Range
from hilmix.functional.losses import annotation_nll
from hilmix.types import Batch


class GCE(Perfect):
    """Labels at face value, with a loss that is bounded: ``(1 - p[z]^q) / q``.

    It tends to ``-log p[z]`` for q to 0 and is ``1 - p[z]`` for q = 1. Its gradient is that of the cross-entropy
    times ``p[z]^q``: a label that the network does not believe pulls less.

    Args:
        q: in (0, 1].

    Raises:
        ConfigError: if q is not in (0, 1].

    Reference: Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    NeurIPS 2018, equation 6, with its q = 0.7. Differs from the paper: the truncated form of section 3.3, which drops
    items below a confidence, is left out.
    """

    def __init__(self, q: Annotated[float, Range(0, 1, above=True)] = 0.7) -> None:
        super().__init__()
        self.q = float(q)

    def loss(self, output: AnnotatorOutput, batch: Batch) -> Tensor:
        """Returns the loss of each of the L pairs; soft answers and mixed rows count by their shares."""
        # expm1, as p^q - 1 cancels where the network is sure.
        scores = torch.expm1(self.q * output.label_log_probs) / self.q
        return annotation_nll(scores, batch.label, batch.probs, batch.row, batch.plan)

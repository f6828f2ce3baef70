"""CoNAL: confusions that all annotators share, and each annotator's own, blended per pair."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from hilmix.annotators.base import AnnotatorModel
from hilmix.annotators.matrices import diagonal_matrices, gather_annotators
from hilmix.checks import NonNegative, PositiveInt
from hilmix.functional.confusion import LogitConfusion
from hilmix.types import MixPlan

DIAGONAL, SPREAD = 2.0, 0.01
"""Initial value on the diagonals, and standard deviation of what the annotators' own layers start with around it."""


class CoNAL(AnnotatorModel):
    """Two layers of logits on the class probabilities p, one common to all annotators and one of the annotator.

        u = W_x stopgrad(h) + b_x,   v_a free                                           (E) each
        g = sigmoid(<u / |u|, v_a / |v_a|>)                                             share of common confusion
        q = softmax(g p W_0 + (1 - g) p W_a),   W_0 = 2 I,  W_a = 2 I + noise at the start
        loss = mean -log q[z] - weight * sum_a |W_a - W_0|_F

    The penalty keeps an annotator's own layer apart from the common one. The noise, normal with standard deviation
    0.01, is ours: where W_a = W_0, as in the authors' start, g is without effect and u and v get no gradient, nor does
    the norm give a direction. An annotator never seen in training gets the mean W_a and the mean v_a.

    Args:
        embed_dim: E.
        weight: lambda, at least 0.

    Raises:
        ConfigError: if E is not positive, or the weight is negative or not finite.

    Reference: Chu, Ma, Wang, "Learning from Crowds by Modeling Common Confusions", AAAI 2021. Differs from the paper:
    the noise; u comes from the backbone's features, which its gradient does not reach, in place of an auxiliary network
    on the input; p(right) is ``sum_c p[c] q_c[c]``, where ``q_c`` is the answer where the class is certainly c.
    """

    # Both values are those of the annot-mix study (Herde et al., ECAI 2024).
    def __init__(self, embed_dim: PositiveInt = 20, weight: NonNegative = 1e-5) -> None:
        super().__init__()
        self.embed_dim, self.weight = embed_dim, float(weight)

    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        self.embed_features = nn.Linear(num_features, self.embed_dim)
        self.embed_annotator = nn.Parameter(torch.randn(num_annotators, self.embed_dim))
        self.common = nn.Parameter(DIAGONAL * torch.eye(num_classes))
        self.individual = diagonal_matrices(num_annotators, num_classes, DIAGONAL, 0.0)
        with torch.no_grad():
            self.individual.add_(SPREAD * torch.randn_like(self.individual))
        return self

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, LogitConfusion]:
        with torch.autocast(features.device.type, enabled=False):  # a length leaves the range of half precision
            u = normalize(self.embed_features(features.detach().to(self.embed_annotator.dtype)), dim=1)
        v = normalize(gather_annotators(self.embed_annotator, annotator, plan), dim=1)
        share = (u * v).sum(1).sigmoid().reshape(-1, 1, 1)
        own = gather_annotators(self.individual, annotator, plan)
        # `own` is at least float32, also where the parameters are not, and lerp takes one type only.
        confusion = LogitConfusion(torch.lerp(own, self.common.to(own.dtype), share.to(own.dtype)))
        return confusion.log_marginal(log_probs), confusion

    def penalty(self) -> Tensor:
        """Returns ``-weight * sum_a |W_a - W_0|_F``; its gradient is zero, not NaN, where the two are equal."""
        apart: Tensor = torch.linalg.vector_norm(self.individual - self.common, dim=(1, 2))
        return apart.sum() * -self.weight

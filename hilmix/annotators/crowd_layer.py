"""A linear layer per annotator on top of the class probabilities."""

from typing import Self

from torch import Tensor

from hilmix.annotators.base import AnnotatorModel
from hilmix.annotators.matrices import diagonal_matrices, gather_annotators, needs_matrices
from hilmix.functional.confusion import Confusion, LogitConfusion
from hilmix.functional.confusion_tables import LogitTable
from hilmix.types import MixPlan


class CrowdLayer(AnnotatorModel):
    """The answer of annotator a is the softmax of a linear map of the class probabilities p.

        q = softmax(p W_a),   W_a = I at the start                                     (K)
        loss = -sum log q[z] over the pairs

    W_a is free, not stochastic: nothing keeps it near a confusion matrix, and at the start q is flatter than p. Its
    A K^2 weights are all there is to train. An annotator never seen in training gets the mean W.

    Reference: Rodrigues and Pereira, "Deep Learning from Crowds", AAAI 2018, the variant "matrix of weights" (MW).
    Differs from the reference code: p(right) is ``sum_c p[c] softmax(W_a[c])[c]``, what the layer says where the class
    is c, and not ``sum_c p[c] q[c]``, which takes answer and truth as independent.
    """

    @property
    def matrix_per_pair(self) -> bool:
        return False

    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        self.weight = diagonal_matrices(num_annotators, num_classes, diagonal=1.0, off_diagonal=0.0)
        return self

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, Confusion]:
        confusion: Confusion = LogitTable(self.weight, annotator)
        if needs_matrices(self.weight, plan):
            confusion = LogitConfusion(gather_annotators(self.weight, annotator, plan))
        return confusion.log_marginal(log_probs), confusion

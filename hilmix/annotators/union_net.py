"""All annotators as one: a distribution over every (annotator, label) outcome given the class."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from hilmix.annotators.base import AnnotatorModel, AnnotatorOutput
from hilmix.annotators.matrices import diagonal_matrices, gather_annotators, needs_matrices
from hilmix.checks import Rate
from hilmix.functional.confusion import Confusion, DenseConfusion
from hilmix.functional.confusion_tables import SoftmaxTable
from hilmix.functional.losses import annotation_nll
from hilmix.functional.precision import at_least_float32
from hilmix.types import Batch, MixPlan


class UnionConfusion(NamedTuple):
    """The block of one annotator per pair, cut out of a distribution over all (annotator, label) outcomes; O(L K^2).

    Its mass is how likely the annotator is among all outcomes of a class, so given that the annotator answered the
    classes weigh ``p[c] mass[c]``: the label is a mixture of the rows with these weights, not with p.

    Args:
        log_block: (L, K, K) float, log p(annotator of the pair, says k | class c); rows sum to less than one.
    """

    log_block: Tensor

    def log_union(self, log_probs: Tensor) -> Tensor:
        """(L, K) log p(annotator of the pair, says k) for class log-probabilities (L, K)."""
        return torch.logsumexp(log_probs.unsqueeze(-1) + self.log_block, dim=1)

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        # Normalised over the labels alone: the mass of the annotator is how often it labels, not which label it gives.
        return self.log_union(log_probs).log_softmax(-1)

    def rows(self) -> DenseConfusion:
        """p(says k | class c) of the annotator, the block without its masses."""
        return DenseConfusion(self.log_block.log_softmax(-1))

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        return self.rows().log_likelihood(label, probs)

    def diagonal(self) -> Tensor:
        return self.rows().diagonal()

    def dense(self) -> Tensor:
        return self.rows().dense()


class UnionTable(SoftmaxTable):
    """:class:`UnionConfusion` without a block for each pair.

    Args:
        table: (A, K, K) float T.
        annotator: (L,) int64 in [0, A), or -1 for the mean of the table.
        total: (K,) float, log of the sum over all outcomes of a class.
    """

    def __init__(self, table: Tensor, annotator: Tensor, total: Tensor) -> None:
        super().__init__(table, annotator)
        self.total = total

    def log_union(self, log_probs: Tensor) -> Tensor:
        """(L, K) log p(annotator of the pair, says k) for class log-probabilities (L, K)."""
        return self.mix_rows(log_probs + self.normaliser - self.total)

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        return self.log_union(log_probs).log_softmax(-1)


class UnionNet(AnnotatorModel):
    """A class gives rise to one outcome out of all A K pairs of annotator and label.

        U[c] = softmax over all (a, k) of T[a, c, k],   T = 1 - eps where k = c, eps / (K - 1) elsewhere at the start
        u[a, k] = sum_c p[c] U[c][a, k]                                                (A, K)
        loss = -sum log u[a, z] over the pairs
        q = u[a] / sum_k u[a, k]                                                       (K) what annotator a says

    The likelihood covers *who* answers as well as the label: the loss of an answer is ``-log q[z]`` minus the log
    mass of the annotator, about ``log A`` at the start. The normaliser is one logsumexp per class over the parameters;
    beyond it only the blocks of the batch's own pairs are formed, O(A K^2 + L K^2). An annotator never seen in training
    gets the mean T.

    Args:
        eps: initial share of wrong labels in T, in [0, 1).

    Raises:
        ConfigError: if ``eps`` is not in [0, 1).

    Reference: Wei et al., "Deep Learning From Multiple Noisy Annotators as A Union", IEEE TNNLS 2022, variant B.
    Differs from the paper: the loss counts every pair alike in place of every item.
    """

    # The value of the annot-mix study (Herde et al., ECAI 2024).
    def __init__(self, eps: Rate = 1e-5) -> None:
        super().__init__()
        self.eps = float(eps)

    @property
    def matrix_per_pair(self) -> bool:
        return False

    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        elsewhere = self.eps / max(1, num_classes - 1)
        self.logits = diagonal_matrices(num_annotators, num_classes, 1 - self.eps, elsewhere)
        return self

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, Confusion]:
        # Over all annotators and labels, in float32: a sum of A K terms in half precision loses the small ones.
        normaliser = at_least_float32(self.logits).logsumexp(dim=(0, 2))
        if not needs_matrices(self.logits, plan):
            table = UnionTable(self.logits, annotator, normaliser)
            return table.log_marginal(log_probs), table
        confusion = UnionConfusion(gather_annotators(self.logits, annotator, plan) - normaliser.unsqueeze(1))
        return confusion.log_marginal(log_probs), confusion

    def loss(self, output: AnnotatorOutput, batch: Batch) -> Tensor:
        """Returns the negative log-likelihood of the (annotator, label) outcomes, (L,)."""
        if not isinstance(output.confusion, UnionConfusion | UnionTable):
            raise TypeError(f"UnionNet.loss needs the confusion of UnionNet.forward, got {type(output.confusion)}.")
        return annotation_nll(
            output.confusion.log_union(output.log_probs), batch.label, batch.probs, batch.row, batch.plan
        )

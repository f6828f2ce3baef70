"""Sample-wise label fusion: the labels of an item are corrected, weighed and merged into its target."""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from hilmix.annotators.base import AnnotatorModel, AnnotatorOutput
from hilmix.annotators.matrices import gather_annotators, require_outputs
from hilmix.checks import NonNegative, PositiveInt
from hilmix.errors import ConfigError
from hilmix.functional.confusion import DenseConfusion
from hilmix.functional.label_fusion import draw_permutations, fuse_labels
from hilmix.types import Batch, MixPlan

UNIFORM = 1e-4
"""Share of the uniform matrix in every matrix, which keeps logarithms and their gradients finite."""


class FusedConfusion(NamedTuple):
    """A correcting matrix for each label, and what the label counts; O(L K^2).

    Its reading as a confusion matrix is hilmix's own: ``C = g P + (1 - g) / K`` with g = sigmoid(score). A label
    without weight in the target leaves its matrix to the penalty, which makes it the identity; so P alone would call
    those annotators perfect to whom the classifier does not listen.

    Args:
        matrix: (L, K, K) float P, whose rows and columns sum to 1.
        score: (L,) float; an item's labels are weighed by its softmax.
    """

    matrix: Tensor
    score: Tensor

    def rows(self) -> DenseConfusion:
        """The confusion matrices C."""
        uniform = torch.full_like(self.matrix, 1 / self.matrix.shape[1])
        return DenseConfusion(torch.lerp(uniform, self.matrix, self.score.sigmoid().reshape(-1, 1, 1)).log())

    def log_marginal(self, log_probs: Tensor) -> Tensor:
        return self.rows().log_marginal(log_probs)

    def log_likelihood(self, label: Tensor, probs: Tensor | None = None) -> Tensor:
        return self.rows().log_likelihood(label, probs)

    def diagonal(self) -> Tensor:
        return self.rows().diagonal()

    def dense(self) -> Tensor:
        return self.rows().dense()


class LabelFusion(AnnotatorModel):
    """The target of an item is a mean of its labels, each corrected by a matrix and weighed, both from the item.

        u = relu(W_h stopgrad(h) + b_h)                                                 (E)
        s_a, v_a = W_a u + b_a                                                          (M) and a number
        P_a = sum_m softmax(s_a)[m] Perm_m,   Perm_0 = I, the others random             (K, K)
        t = sum_a w_a P_a[:, z_a],   w = softmax of v over the annotators of the item   (K)
        loss = mean over the labels of KL(t || p) / K + weight mean_k (1 - P_a[k, k])^2

    The classifier learns t, and t learns from the classifier: the second term is what keeps labels from being explained
    away. Rows and columns of P_a sum to 1. What is read of it as a confusion matrix is ours, see
    :class:`FusedConfusion`. An annotator never seen in training gets the mean W_a and b_a.

    Args:
        hidden_dim: E.
        permutations: M.
        weight: lambda, at least 0.

    Raises:
        ConfigError: if E or M is not positive, or the weight is negative or not finite; in training, if the batch is
            mixed.

    Reference: Gao et al., "Learning from Multiple Annotator Noisy Labels via Sample-wise Label Fusion", ECCV 2022
    (arXiv 2207.11327); formulas, M = 20 and lambda = 1 as in the authors' code for MNIST, which divides the divergence
    by K; it has M = 150 for 100 classes. Differs from it: one hidden layer for all annotators in place of two for
    each, on the features that the class head reads, which the gradient of this part does not reach; weights over the
    annotators who have labelled the item, where every one has labelled all there; a share of 1e-4 of the uniform
    matrix; and items count by their number of labels.
    """

    permutation: Tensor

    def __init__(self, hidden_dim: PositiveInt = 84, permutations: PositiveInt = 20, weight: NonNegative = 1.0) -> None:
        super().__init__()
        self.hidden_dim, self.permutations, self.weight = hidden_dim, permutations, float(weight)

    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        require_outputs(num_annotators, num_classes, rows=self.permutations)
        self.register_buffer("permutation", draw_permutations(self.permutations, num_classes))
        self.hidden = nn.Linear(num_features, self.hidden_dim)
        bound = self.hidden_dim**-0.5  # as nn.Linear starts
        outputs = self.permutations + 1
        self.heads = nn.Parameter(torch.empty(num_annotators, outputs, self.hidden_dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_annotators, outputs).uniform_(-bound, bound))
        return self

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, FusedConfusion]:
        heads, bias = (gather_annotators(table, annotator, plan) for table in (self.heads, self.bias))
        k = self.permutation.shape[1]
        with torch.autocast(features.device.type, enabled=False):  # products would be rounded to half precision
            hidden = self.hidden(features.detach().to(self.bias.dtype)).relu().to(heads.dtype)
            scores = torch.einsum("loe,le->lo", heads, hidden) + bias
            share = scores[:, :-1].softmax(1)
            matrix = (share @ self.permutation.flatten(1).to(share.dtype)).reshape(-1, k, k)
        confusion = FusedConfusion(torch.lerp(matrix, torch.full_like(matrix, 1 / k), UNIFORM), scores[:, -1])
        return confusion.log_marginal(log_probs), confusion

    def loss(self, output: AnnotatorOutput, batch: Batch) -> Tensor:
        """Returns the loss of each of the L pairs, (L,); that of its item is in each of them.

        Raises:
            ConfigError: if the batch is mixed.
        """
        if not isinstance(output.confusion, FusedConfusion):
            raise TypeError(
                f"LabelFusion.loss needs the confusion of LabelFusion.forward, got {type(output.confusion)}."
            )
        if batch.plan is not None:
            raise ConfigError("LabelFusion merges the labels of an item. Set data.mix to NoMix.")
        matrix, k = output.confusion.matrix, output.log_probs.shape[1]
        if batch.probs is None:
            corrected = matrix.gather(2, batch.label.reshape(-1, 1, 1).expand(-1, k, 1)).squeeze(2)
        else:
            corrected = torch.einsum("lck,lk->lc", matrix, batch.probs.to(matrix.dtype))
        target = fuse_labels(corrected, output.confusion.score, batch.row, len(batch.index))[batch.row]
        divergence = (torch.xlogy(target, target) - target * output.log_probs).sum(1) / k
        away = (1 - matrix.diagonal(dim1=1, dim2=2)).square().mean(1)
        return divergence + self.weight * away

"""MaDL: a confusion matrix per pair from interacting embeddings, and less weight for annotators who copy."""

import math
from typing import Self

import torch
from torch import Tensor, nn

from hilmix.annotators.base import AnnotatorModel, AnnotatorOutput
from hilmix.annotators.matrices import gather_annotators, require_outputs
from hilmix.checks import OpenShare, PositiveInt
from hilmix.functional.confusion import DenseConfusion, log_prior_diagonal
from hilmix.functional.losses import annotation_nll
from hilmix.types import Batch, MixPlan

SHAPE, RATE = 1.25, 0.25
"""Of the Gamma prior of the kernel's gamma, from the paper; its mode is (SHAPE - 1) / RATE = 1."""
HIDDEN = 128
"""Width of the hidden layer, from the authors' code."""


class MaDL(AnnotatorModel):
    """Confusion matrix from the instance's features and the annotator's embedding, likelihood weighted per annotator.

        u = W_x stopgrad(h) + b_x,   v = W_a a + b_a                                    (E) each
        o_p = (u + v)' W_p (u + v),  p = 1..E                                           (E)
        t = ReLU(BatchNorm(W_2 ReLU(BatchNorm(W_1 [v; u; o] + b_1)) + b_2) + v)         3E -> 128 -> E
        C = row-softmax(reshape(W_o t + b_o, (K, K))),   b_o set so that C starts near diagonal ``eta``

        s_m = sum_j exp(-gamma |v_m - v_j|^2) over all A annotators,  w_m = A (1 / s_m) / sum_j (1 / s_j)
        loss = mean_i w_m(i) (-log q_i[z_i]) - log Gamma(gamma; shape 1.25, rate 0.25),   q_i = p_i' C_i

    The embeddings in ``s`` are detached, so that the weights teach gamma and not the embeddings; w has mean 1. gamma
    is trained as its logarithm and starts at 1, the mode of its prior, which is a density of gamma itself: no Jacobian
    enters. ``a`` is one-hot, with the annotator's metadata appended where the data have them. Memory of the
    weights: O(A^2).

    Args:
        embed_dim: E.
        eta: diagonal of the confusion matrices that the initial bias encodes, in (0, 1).

    Reference: Herde, Huseljic, Sick, "Multi-annotator Deep Learning: A Probabilistic Framework for Classification",
    TMLR 2023. Differs from the paper: the mean embedding and weight 1 for an annotator never seen in training.
    """

    metadata: Tensor

    # Both values are those of the annot-mix study (Herde et al., ECAI 2024).
    def __init__(self, embed_dim: PositiveInt = 16, eta: OpenShare = 0.8) -> None:
        super().__init__()
        self.embed_dim, self.eta = embed_dim, eta

    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        k, e = num_classes, self.embed_dim
        require_outputs(num_annotators, k, rows=e + 1)
        self.embed_features = nn.Linear(num_features, e)
        self.embed_annotator = nn.Linear(num_annotators, e)  # applied to one-hot rows: its columns are looked up
        self.embed_metadata: nn.Linear | None = None
        if num_annotator_features:
            self.embed_metadata = nn.Linear(num_annotator_features, e, bias=False)
            self.register_buffer("metadata", torch.zeros(num_annotators, num_annotator_features))
        self.product = nn.Bilinear(e, e, e, bias=False)
        self.hidden = nn.Sequential(
            nn.Linear(3 * e, HIDDEN),
            nn.BatchNorm1d(HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, e),
            nn.BatchNorm1d(e),
        )
        self.out = nn.Linear(e, k * k)
        with torch.no_grad():
            self.out.bias.copy_(log_prior_diagonal(k, self.eta) * torch.eye(k).flatten())
        # As a logarithm gamma stays positive whatever step an optimizer takes.
        self.log_gamma = nn.Parameter(torch.tensor((SHAPE - 1) / RATE).log())
        return self

    def set_annotator_features(self, features: Tensor) -> None:
        # In place, so that it stays the buffer that moves with the module and lies in checkpoints.
        self.metadata.copy_(features)

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, DenseConfusion]:
        with torch.autocast(features.device.type, enabled=False):  # squares leave the range of half precision
            u = self.embed_features(features.detach().to(self.embed_features.weight.dtype))
            v = gather_annotators(self.embeddings(), annotator, plan).to(u.dtype)
            hidden = self.hidden(torch.cat([v, u, self.product(u + v, u + v)], dim=1))
            out = self.out(torch.relu(hidden + v))
        k = log_probs.shape[1]
        confusion = DenseConfusion(out.reshape(-1, k, k).log_softmax(-1))
        return confusion.log_marginal(log_probs), confusion

    def embeddings(self) -> Tensor:
        """Returns v (A, E) of all annotators."""
        table = self.embed_annotator.weight.t() + self.embed_annotator.bias
        if self.embed_metadata is not None:
            with torch.autocast(table.device.type, enabled=False):  # distances between them would be rounded
                table = table + self.embed_metadata(self.metadata)
        return table

    def annotator_weights(self) -> Tensor:
        """Returns w (A,) > 0 with mean 1: small for annotators whose embeddings are close to those of others."""
        v = self.embeddings().detach()
        v = v.to(torch.promote_types(v.dtype, torch.float32))  # distances in half precision do not exist
        # no shortcut through a matrix product, which leaves an annotator at some distance from itself
        squared = torch.cdist(v, v, compute_mode="donot_use_mm_for_euclid_dist").square()
        squared = squared.clamp_max(torch.finfo(v.dtype).max)  # infinity would spoil the gradient of gamma
        # An annotator is at distance 0 from itself, so the sum is at least 1 and can be inverted.
        share = (-self.log_gamma.exp() * squared).exp().sum(1).reciprocal()
        return share / share.mean()

    def loss(self, output: AnnotatorOutput, batch: Batch) -> Tensor:
        pairwise = batch.plan if batch.plan is not None and batch.plan.rows == "pairs" else None
        weight = gather_annotators(self.annotator_weights().unsqueeze(1), output.annotator, pairwise)
        return annotation_nll(weight * output.label_log_probs, batch.label, batch.probs, batch.row, batch.plan)

    def penalty(self) -> Tensor:
        """Returns -log Gamma(gamma; 1.25, 0.25)."""
        normaliser = SHAPE * math.log(RATE) - math.lgamma(SHAPE)
        return RATE * self.log_gamma.exp() - (SHAPE - 1) * self.log_gamma - normaliser

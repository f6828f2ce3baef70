"""The annotator model of annot-mix: a confusion matrix per (instance, annotator) pair."""

from typing import Literal, Self

import torch
from torch import Tensor, nn

from hilmix.annotators.base import AnnotatorModel
from hilmix.annotators.matrices import require_outputs
from hilmix.checks import OpenShare, PositiveInt, Rate
from hilmix.functional.confusion import Confusion, DenseConfusion, SharedDiagonalConfusion, log_prior_diagonal
from hilmix.functional.mixing import mix_rows
from hilmix.functional.precision import at_least_float32
from hilmix.types import UNKNOWN, MixPlan

# At 100 classes and E = 128 that layer has 1.3 million parameters, at 1,000 already 129 million.
FULL_UP_TO = 100
"""Most classes for which ``confusion: auto`` takes the full matrix: its last layer has (E + 1) K^2 parameters."""


class AnnotMixHead(AnnotatorModel):
    """Confusion matrix from the instance's features and the annotator's embedding.

        u = W_x stopgrad(h) + b_x,   v = W_a a + b_a                                    (E) each
        t = ReLU(BatchNorm(W_h Dropout([u; v]) + b_h))                                  (E)
        C = row-softmax(reshape(W_o t + b_o, (K, K))),   b_o set so that C starts near diagonal ``eta``

    The gradient of the annotator model does not reach the backbone through ``h``; it does through the class
    probabilities. ``a`` is one-hot, with the annotator's metadata appended where the data have them. An annotator never
    seen in training gets the mean embedding.

    Args:
        embed_dim: E.
        eta: diagonal of the confusion matrices that the initial bias encodes, in (0, 1).
        dropout: in [0, 1).
        confusion: ``full`` as in the paper; ``shared-diagonal`` gives every pair its own skill per class on top of
            one shared matrix, O(L K) memory in place of O(L K^2); ``auto`` takes ``full`` up to 100 classes.

    Reference: Herde et al., "annot-mix", ECAI 2024. Differs from the paper: ``shared-diagonal``, and the mean
    embedding for unknown annotators.
    """

    def __init__(
        self,
        embed_dim: PositiveInt = 128,
        eta: OpenShare = 0.9,
        dropout: Rate = 0.5,
        confusion: Literal["auto", "full", "shared-diagonal"] = "auto",
    ) -> None:
        super().__init__()
        self.embed_dim, self.eta, self.dropout, self.confusion = embed_dim, eta, dropout, confusion

    metadata: Tensor

    @property
    def matrix_per_pair(self) -> bool:
        return self.full

    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        k, e = num_classes, self.embed_dim
        self.full = self.confusion == "full" or (self.confusion == "auto" and k <= FULL_UP_TO)
        self.num_classes = k
        require_outputs(num_annotators, k, rows=e + 1 if self.full else 1)
        self.embed_features = nn.Linear(num_features, e)
        self.embed_annotator = nn.Linear(num_annotators, e)  # applied to one-hot rows: its columns are looked up
        self.embed_metadata: nn.Linear | None = None
        if num_annotator_features:
            # Without a bias, as embed_annotator has one.
            self.embed_metadata = nn.Linear(num_annotator_features, e, bias=False)
            self.register_buffer("metadata", torch.zeros(num_annotators, num_annotator_features))
        # ReLU may overwrite the output of batch norm, which no backward pass reads.
        self.hidden = nn.Sequential(
            nn.Dropout(self.dropout), nn.Linear(2 * e, e), nn.BatchNorm1d(e), nn.ReLU(inplace=True)
        )
        prior = log_prior_diagonal(k, self.eta)
        if self.full:
            self.out = nn.Linear(e, k * k)
            with torch.no_grad():
                # As in the authors' code the weights stay random, so rows start near eta, not at it.
                self.out.bias.copy_(prior * torch.eye(k).flatten())
        else:
            self.out = nn.Linear(e, k)
            self.shared = nn.Parameter(torch.zeros(k, k))
            nn.init.constant_(self.out.bias, prior)
        return self

    def set_annotator_features(self, features: Tensor) -> None:
        # In place, so that it stays the buffer that moves with the module and lies in checkpoints.
        self.metadata.copy_(features)

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, Confusion]:
        who = self._embed(annotator)
        if plan is not None:  # the embedding is affine, so mixing embeddings is mixing one-hot annotators
            who = mix_rows(who, plan.partner, plan.weight)
        hidden = self.hidden(torch.cat([self.embed_features(features.detach()), who], dim=1))
        # Half precision rounds the log-probabilities of rare confusions to three digits.
        out = at_least_float32(self.out(hidden))
        confusion: Confusion
        if self.full:
            matrix = out.reshape(-1, self.num_classes, self.num_classes)
            confusion = DenseConfusion(matrix.log_softmax(-1))
        else:
            confusion = SharedDiagonalConfusion(at_least_float32(self.shared), out)
        return confusion.log_marginal(log_probs), confusion

    def _embed(self, annotator: Tensor) -> Tensor:
        """(L, E) W_a a + b_a, a being one-hot, followed by the annotator's metadata if there are any."""
        table = self.embed_annotator.weight.t()
        if self.embed_metadata is not None:
            table = table + self.embed_metadata(self.metadata)
        # -1 would look up the last annotator; what 0 gives for it is replaced below.
        known = table[annotator.clamp_min(0)]
        unknown = (annotator == UNKNOWN).unsqueeze(1)
        return torch.where(unknown, table.mean(0), known) + self.embed_annotator.bias

    def extra_repr(self) -> str:
        return f"eta={self.eta}, initial diagonal logit={log_prior_diagonal(self.num_classes, self.eta):.2f}"

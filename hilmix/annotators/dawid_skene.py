"""Confusion matrices that are estimated in closed form, not by gradients."""

import logging
from typing import Self

import torch
from torch import Tensor

from hilmix.annotators.base import AnnotatorModel, AnnotatorOutput
from hilmix.annotators.matrices import require_matrices
from hilmix.checks import OpenShare, Positive, Share
from hilmix.errors import ConfigError
from hilmix.functional.confusion import (
    Confusion,
    DenseConfusion,
    confusion_log_likelihood,
    diagonal_confusion,
    label_posterior,
)
from hilmix.functional.expectation import discount_dependence, expected_counts, shrunk_confusion
from hilmix.functional.out_of_fold import LabelColumns, MatrixPrior, fit_out_of_fold
from hilmix.functional.precision import at_least_float32
from hilmix.types import Batch, MixPlan

log = logging.getLogger(__name__)
WEAK_ODDS = 4.0
"""Of the true class against any other class, in the matrices before EM from out-of-fold predictions."""


class DawidSkene(AnnotatorModel):
    """One confusion matrix per annotator, shrunk towards the crowd's; :class:`~hilmix.modules.EMClassifier` fits it.

        shared = rows-normalised(sum_a N[a] + N0),   C[a] = rows-normalised(N[a] + strength shared)
        p(c | x, labels) ~ p(c | x) prod_m C[m][c, z_m]^(1 / (1 + (n - 1) dependence))

    with expected counts ``N[a][c, k]`` and one pseudo-label per row in N0, right with probability ``eta``. Before the
    first M step every matrix has the diagonal ``eta``. An annotator never seen in training gets the shared matrix.
    Matrices are a buffer, O(A K^2): no learning rate decides how quickly an annotator's few labels are believed.

    Args:
        eta: diagonal of the initial matrices, in (0, 1).
        strength: pseudo-labels per row that pull an annotator towards the crowd, > 0.
        dependence: correlation in [0, 1] of the labels of an item, by which n labels count as fewer; see
            :func:`~hilmix.functional.expectation.discount_dependence`.

    Raises:
        ConfigError: for values outside these ranges.

    Reference: A. P. Dawid and A. M. Skene, Applied Statistics 28 (1979); with a classifier as the class prior:
    V. C. Raykar et al., Learning From Crowds, JMLR 11 (2010), section 3. Differs from both: shrinkage towards a shared
    matrix, and the power of the likelihood.
    """

    log_confusion: Tensor
    start: Tensor

    # Chosen on validation items of eleven development sets, where strength 1 to 10 and dependence 0 to 0.6 lie on one
    # plateau; see experiments/annotators/README.md.
    def __init__(self, eta: OpenShare = 0.8, strength: Positive = 3.0, dependence: Share = 0.3) -> None:
        super().__init__()
        self.eta, self.strength, self.dependence = eta, strength, dependence

    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        require_matrices(num_annotators, num_classes, copies=3)
        start = diagonal_confusion(num_classes, self.eta)
        self.register_buffer("start", start)
        self.register_buffer("log_confusion", start.log().repeat(num_annotators + 1, 1, 1))
        return self

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, Confusion]:
        """Mixed pairs are judged by the annotator of the row itself."""
        confusion = DenseConfusion(self.log_confusion[annotator])  # -1, the last entry, is the shared matrix
        return confusion.log_marginal(at_least_float32(log_probs)), confusion

    def loss(self, output: AnnotatorOutput, batch: Batch) -> Tensor:
        """Refused: a gradient does not reach the matrices.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "DawidSkene: its matrices are not trained by gradients; model.class_path must be "
            "hilmix.modules.EMClassifier, as in configs/method/hilmix.yaml."
        )

    def log_likelihood(self, annotator: Tensor, label: Tensor, probs: Tensor | None = None) -> Tensor:
        """Returns (L, K) log p(label of the pair | true class c) without a matrix per pair at one time.

        Args:
            annotator: (L,) int64 in [0, A), or -1.
            label: (L,) int64.
            probs: optional (L, K) float soft labels.
        """
        return confusion_log_likelihood(self.log_confusion, annotator, label, probs)

    def posterior(self, log_probs: Tensor, log_likelihood: Tensor, row: Tensor) -> Tensor:
        discounted = discount_dependence(log_likelihood, row, len(log_probs), self.dependence)
        return label_posterior(log_probs, discounted, row)

    @property
    def untouched(self) -> bool:
        """True until the first M step."""
        return torch.equal(self.log_confusion, self.start.log().expand_as(self.log_confusion))

    @torch.no_grad()
    def maximise(self, posterior: Tensor, annotator: Tensor, label: Tensor, probs: Tensor | None = None) -> None:
        """The M step: sets the matrices from p(true class) of the items of all training pairs.

        Args:
            posterior: (L, K) float.
            annotator: (L,) int64 in [0, A).
            label: (L,) int64.
            probs: optional (L, K) float soft answers.
        """
        counts = expected_counts(posterior, annotator, label, probs, len(self.log_confusion) - 1)
        # In place, so that it stays the buffer that moves with the module and lies in checkpoints.
        self.log_confusion.copy_(shrunk_confusion(counts, self.start, self.strength).log())

    @torch.no_grad()
    def maximise_out_of_fold(self, log_probs: Tensor, labels: LabelColumns, fold: Tensor) -> None:
        """The M step from out-of-fold predictions: EM of the matrices alone, begun anew.

        It begins with the odds :data:`WEAK_ODDS`, whatever ``eta`` is: a start that trusts the annotators, as 36 to 1
        for ten classes does, outvotes a network that is not confident yet, and every posterior is the label. See
        :func:`~hilmix.functional.out_of_fold.fit_out_of_fold`.

        Args:
            log_probs: (N, K) float, by networks that have not seen the labels of the item.
            labels: of the training items, annotators in [0, A).
            fold: (N,) int64 fold of each item.
        """
        classes = len(self.start)
        start = diagonal_confusion(classes, WEAK_ODDS / (WEAK_ODDS + classes - 1)).log().to(self.start)
        prior = MatrixPrior(start.expand_as(self.log_confusion), self.start, self.strength, self.dependence)
        matrices, steps = fit_out_of_fold(log_probs, labels, fold, prior)
        log.debug("EM steps by the likelihood of held-out labels: %d", steps)
        self.log_confusion.copy_(matrices)

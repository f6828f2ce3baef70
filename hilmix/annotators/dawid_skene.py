"""Confusion matrices that are estimated in closed form, not by gradients."""

import logging
from typing import Self

import torch
from torch import Tensor

from hilmix.annotators.base import AnnotatorModel, AnnotatorOutput
from hilmix.annotators.matrices import require_matrices
from hilmix.checks import NonNegativeInt, OpenShare, Positive, Share
from hilmix.errors import ConfigError
from hilmix.functional.confusion import (
    Confusion,
    confusion_log_likelihood,
    diagonal_confusion,
    label_posterior,
)
from hilmix.functional.confusion_tables import TableConfusion
from hilmix.functional.expectation import discount_dependence
from hilmix.functional.label_columns import LabelColumns
from hilmix.functional.out_of_fold import MatrixPrior, fit_out_of_fold
from hilmix.functional.precision import at_least_float32
from hilmix.functional.prototypes import MixtureConfusion, PrototypePrior, Prototypes, start_prototypes
from hilmix.types import Batch, MixPlan

log = logging.getLogger(__name__)
WEAK_ODDS = 4.0
"""Of the true class against any other class, in the matrices before EM from out-of-fold predictions."""
# 256 MiB in float32, eight times of which an M step with held-out labels holds at once.
MATRIX_NUMBERS = 2**26
"""Most numbers A K^2 for which ``prototypes: null`` gives each annotator a matrix."""
PROTOTYPES = 4
"""Number of prototypes where there are more."""


class DawidSkene(AnnotatorModel):
    """One confusion matrix per annotator, shrunk towards the crowd's; :class:`~hilmix.modules.EMClassifier` fits it.

        shared = rows-normalised(sum_a N[a] + N0),   C[a] = rows-normalised(N[a] + strength shared)
        p(c | x, labels) ~ p(c | x) prod_m C[m][c, z_m]^(1 / (1 + (n - 1) dependence))

    with expected counts ``N[a][c, k]`` and one pseudo-label per row in N0, right with probability ``eta``. Before the
    first M step every matrix has the diagonal ``eta``. An annotator never seen in training gets the shared matrix.
    Matrices are a buffer, O(A K^2): no learning rate decides how quickly an annotator's few labels are believed.

    With S prototypes an annotator is a mixture over a few matrices that all share, O(S K^2 + A S):

        C[a] = sum_s share[a, s] C_s,   C_s and share[a] from expected counts, shrunk towards those of all

    see :class:`~hilmix.functional.prototypes.PrototypePrior`. Thousands of annotators with few labels of many classes
    can have them where matrices would fill the memory, and an annotator's labels of one class then tell of the others.

    Args:
        eta: diagonal of the initial matrices, in (0, 1).
        strength: pseudo-labels per row that pull an annotator towards the crowd, > 0.
        dependence: correlation in [0, 1] of the labels of an item, by which n labels count as fewer; see
            :func:`~hilmix.functional.expectation.discount_dependence`.
        prototypes: S; 0 for a matrix of each annotator. None chooses by size alone, whatever the machine: matrices up
            to 2^26 numbers A K^2, four prototypes beyond.

    Raises:
        ConfigError: for values outside these ranges.

    Reference: A. P. Dawid and A. M. Skene, Applied Statistics 28 (1979); with a classifier as the class prior:
    V. C. Raykar et al., Learning From Crowds, JMLR 11 (2010), section 3. Differs from both: shrinkage towards a shared
    matrix, and the power of the likelihood. Prototypes: PTBCC, arXiv 2508.02123, which samples where this counts.
    """

    log_confusion: Tensor
    """(A + 1, K, K), the last for an unknown annotator; with prototypes (S, K, K)."""
    log_share: Tensor | None
    """(A + 1, S) with prototypes."""
    start: Tensor

    # Chosen on validation items of eleven development sets, where strength 1 to 10 and dependence 0 to 0.6 lie on one
    # plateau; see experiments/annotators/README.md.
    def __init__(
        self,
        eta: OpenShare = 0.8,
        strength: Positive = 3.0,
        dependence: Share = 0.3,
        prototypes: NonNegativeInt | None = None,
    ) -> None:
        super().__init__()
        self.eta, self.strength, self.dependence, self.prototypes = eta, strength, dependence, prototypes

    def build(
        self, *, num_features: int, num_classes: int, num_annotators: int, num_annotator_features: int = 0
    ) -> Self:
        self.num_annotators = num_annotators
        self.num_prototypes = self.prototypes
        if self.num_prototypes is None:
            self.num_prototypes = PROTOTYPES if num_annotators * num_classes**2 > MATRIX_NUMBERS else 0
        require_matrices(self.num_prototypes or num_annotators, num_classes, copies=3)
        self.register_buffer("start", diagonal_confusion(num_classes, self.eta))
        matrices = self._prior(self.eta).start
        if isinstance(matrices, Prototypes):
            self.register_buffer("log_confusion", matrices.log_confusion)
            self.register_buffer("log_share", matrices.log_share)
        else:
            self.register_buffer("log_confusion", matrices.clone())
            self.log_share = None
        return self

    def _prior(self, diagonal: float) -> MatrixPrior | PrototypePrior:
        """Prior of the estimated matrices, from a start with the diagonal ``diagonal``."""
        others = (self.start, self.strength, self.dependence)
        a, k = self.num_annotators, len(self.start)
        if not self.num_prototypes:
            start = diagonal_confusion(k, diagonal).log().to(self.start)
            return MatrixPrior(start.expand(a + 1, k, k), *others)
        found = start_prototypes(self.num_prototypes, k, a, diagonal)
        return PrototypePrior(Prototypes(*(one.to(self.start) for one in found)), *others)

    @property
    def matrix_per_pair(self) -> bool:
        return False

    @property
    def structure(self) -> str:
        k = len(self.start)
        size = f"{self.num_annotators:,} x {k:,} x {k:,} numbers"
        if not self.num_prototypes:
            return f"dense, {size}"
        chosen = f" in place of {size}" if self.prototypes is None else ""
        return f"{self.num_prototypes} prototypes ({k:,} x {k:,}) mixed for each annotator{chosen}"

    @property
    def _shared(self) -> Prototypes:
        assert self.log_share is not None, "only models with prototypes ask"
        return Prototypes(self.log_confusion, self.log_share)

    def _set(self, matrices: Tensor | Prototypes) -> None:
        # In place, so that they stay the buffers that move with the module and lie in checkpoints.
        if isinstance(matrices, Prototypes):
            assert self.log_share is not None
            self.log_confusion.copy_(matrices.log_confusion)
            self.log_share.copy_(matrices.log_share)
        else:
            self.log_confusion.copy_(matrices)

    def forward(
        self, features: Tensor, log_probs: Tensor, annotator: Tensor, plan: MixPlan | None = None
    ) -> tuple[Tensor, Confusion]:
        """Mixed pairs are judged by the annotator of the row itself."""
        confusion: Confusion
        if self.num_prototypes:
            confusion = MixtureConfusion(self._shared, annotator)
        else:
            confusion = TableConfusion(self.log_confusion, annotator)  # -1, the last entry, is the shared matrix
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
        if self.num_prototypes:
            return self._shared.log_likelihood(annotator, label, probs)
        return confusion_log_likelihood(self.log_confusion, annotator, label, probs)

    def posterior(self, log_probs: Tensor, log_likelihood: Tensor, row: Tensor) -> Tensor:
        discounted = discount_dependence(log_likelihood, row, len(log_probs), self.dependence)
        return label_posterior(log_probs, discounted, row)

    @property
    def untouched(self) -> bool:
        """True until the first M step."""
        start = self._prior(self.eta).start
        return torch.equal(self.log_confusion, start.log_confusion if isinstance(start, Prototypes) else start)

    @torch.no_grad()
    def maximise(self, posterior: Tensor, annotator: Tensor, label: Tensor, probs: Tensor | None = None) -> None:
        """The M step: sets the matrices from p(true class) of the items of all training pairs.

        Args:
            posterior: (L, K) float.
            annotator: (L,) int64 in [0, A).
            label: (L,) int64.
            probs: optional (L, K) float soft answers.
        """
        labels, prior = LabelColumns(torch.arange(len(label)), annotator, label, probs), self._prior(self.eta)
        if isinstance(prior, PrototypePrior):
            self._set(prior.maximise(self._shared, posterior, labels))
        else:
            self._set(prior.maximise(self.log_confusion, posterior, labels))

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
        prior = self._prior(WEAK_ODDS / (WEAK_ODDS + len(self.start) - 1))
        if isinstance(prior, PrototypePrior):
            mixed, steps = fit_out_of_fold(log_probs, labels, fold, prior)
            self._set(mixed)
        else:
            matrices, steps = fit_out_of_fold(log_probs, labels, fold, prior)
            self._set(matrices)
        log.debug("EM steps by the likelihood of held-out labels: %d", steps)

"""Dawid-Skene: one confusion matrix per annotator."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from hilmix.functional.aggregation.gold import pin_scores, pin_shares
from hilmix.functional.aggregation.rounds import require_counts, require_positive, run_rounds
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import (
    OnRound,
    entries,
    soft_labels,
    softmax_in_place,
    weighted_counts,
)
from hilmix.functional.sizes import bytes_needed, require_memory


class DawidSkene(NamedTuple):
    """Result of :func:`dawid_skene`. ``posterior`` is Bayes' rule under the other fields."""

    posterior: FloatArray
    """(N, K) float64, p(true class | all labels); the class prior for items without votes."""
    confusion: FloatArray
    """(A, K, K) float64, p(label k | true class c) at ``[a, c, k]``."""
    prior: FloatArray
    """(K,) float64, class prior."""
    log_likelihood: FloatArray
    """(rounds,) float64, log p(labels) plus the log-density of the parameters' prior up to a constant. Never falls."""
    converged: bool
    """Whether the last round gained no more than the tolerance."""
    rounds: int
    """Number of rounds."""


def dawid_skene(
    table: Votes,
    *,
    right: float = 2.0,
    wrong: float = 1.0,
    class_count: float = 1.0,
    tolerance: float = 1e-6,
    max_rounds: int = 200,
    on_round: OnRound | None = None,
) -> DawidSkene:
    """Returns the maximum a posteriori fit of one confusion matrix per annotator, by expectation maximisation.

    A round is an M step (confusions and class prior from the posteriors) and an E step (posteriors from both), each
    one sparse product; it starts from the shares of the votes. Memory is O(L + N K + A K^2). Repeated labels of an
    annotator for an item count as independent. Where identities are unknown and all labels bear one annotator id,
    the model is one confusion matrix shared by the crowd: it learns which classes are confused, not who errs.

    Args:
        table: the votes, rows in any order.
        right: pseudo-count of right answers in each row of each confusion matrix, > 0.
        wrong: pseudo-count of wrong answers in each row, > 0, shared equally by the K - 1 wrong classes. The
            pseudo-counts s of a row stand for the prior density Dirichlet(1 + s). The default is an opinion of three
            labels, two of them right, so that an annotator with a handful of labels is neither trusted nor inverted.
        class_count: pseudo-count of each class in the class prior, > 0.
        tolerance: stop when a round gains no more than this much log-likelihood per label.
        max_rounds: at least 1.
        on_round: called with the number of rounds done.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for a pseudo-count that is not positive, or no rounds.

    Reference:
        A. P. Dawid and A. M. Skene, Maximum likelihood estimation of observer error-rates using the EM algorithm,
        Applied Statistics 28 (1979), equations 2.3 to 2.5. Differs from the paper: pseudo-counts, soft answers.
    """
    require_positive("Dawid-Skene", right=right, wrong=wrong, class_count=class_count)
    require_counts("Dawid-Skene", max_rounds=max_rounds)
    sizes = {"items": table.num_items, "annotators": table.num_annotators, "classes": table.num_classes}
    require_memory("Dawid-Skene", bytes_needed(**sizes, per_item=2, per_pair=4), **sizes)
    model = _Model(table, right, wrong, class_count)
    least = tolerance * len(table.item)
    history, converged = run_rounds(model.round, least=least, max_rounds=max_rounds, on_round=on_round)
    confusion, prior = model.parameters()
    return DawidSkene(model.posterior, confusion, prior, np.array(history), converged, len(history))


class _Model:
    """Posteriors and parameters, and the sparse products of a round.

    Everything about confusions is laid out [annotator, label, true class], so that both products are plain.
    """

    def __init__(self, table: Votes, right: float, wrong: float, class_count: float) -> None:
        k = table.num_classes
        self.shape, self.class_count = (table.num_annotators, k, k), class_count
        flat = entries(table)
        counts = weighted_counts(flat, num_items=table.num_items, num_classes=k)
        self.voted = counts.sum(axis=1) > 0
        # float64 throughout: in float32 posteriors are off by up to 1e-4 after eleven rounds.
        self.gold = table.gold
        self.posterior = pin_shares(soft_labels(counts), self.gold)
        del counts  # what is large goes as soon as it can: this sets the peak of memory
        cell = flat.annotator * k + flat.label
        self.votes = sparse.csr_array((flat.weight, (flat.item, cell)), shape=(table.num_items, self.shape[0] * k))
        del flat, cell
        # CSR in both directions: the transpose alone would be CSC, whose products scatter.
        self.votes_of_cell = self.votes.T.tocsr()
        eye = np.eye(k)
        # The wrong labels share one pseudo-count: one each would make the prior weigh more, the more classes there are.
        self.pseudo = np.tile(right * eye + wrong / max(1, k - 1) * (1 - eye), (self.shape[0], 1))
        self.log_prior: FloatArray
        self.log_confusion: FloatArray

    def round(self) -> float:
        """One M step and one E step; returns the penalised log-likelihood under the new parameters."""
        # Items without votes hold the prior itself and would count as evidence for it.
        self.log_prior = np.log(self.voted @ self.posterior + self.class_count)
        self.log_prior -= np.logaddexp.reduce(self.log_prior)
        counts = (self.votes_of_cell @ self.posterior + self.pseudo).reshape(self.shape)
        # [annotator, label, class] as the votes are: a distribution over labels lies along axis 1.
        self.log_confusion = np.log(counts / counts.sum(axis=1, keepdims=True)).reshape(-1, self.shape[1])
        self.posterior = self.votes @ self.log_confusion
        # Once per item: added once per label, as in crowd-kit, the criterion is no bound and can stop EM in round 2.
        self.posterior += self.log_prior
        evidence = softmax_in_place(pin_scores(self.posterior, self.gold))
        return evidence + float((self.pseudo * self.log_confusion).sum() + self.class_count * self.log_prior.sum())

    def parameters(self) -> tuple[FloatArray, FloatArray]:
        """Returns (A, K, K) confusions, rows by the true class, and the (K,) class prior."""
        return np.exp(self.log_confusion).reshape(self.shape).swapaxes(1, 2), np.exp(self.log_prior)

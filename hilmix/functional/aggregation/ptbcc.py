"""PTBCC: annotators share a few prototype confusion matrices, each with proportions of their own."""

from typing import NamedTuple

import numpy as np
import scipy
from scipy import sparse

from hilmix.functional.aggregation.bcc import dirichlet_logs
from hilmix.functional.aggregation.gold import pin_scores, pin_shares
from hilmix.functional.aggregation.rounds import require_counts, require_positive, run_rounds
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import (
    Entries,
    OnRound,
    entries,
    log_beta,
    soft_labels,
    softmax_in_place,
    weighted_counts,
)
from hilmix.functional.sizes import require_memory


class Ptbcc(NamedTuple):
    """Result of :func:`ptbcc`."""

    posterior: FloatArray
    """(N, K) float64, approximate p(true class | all labels); ``prior`` for items without votes."""
    prototypes: FloatArray
    """(S, K, K) float64, posterior mean of p(label k | true class c) at ``[s, c, k]``."""
    proportions: FloatArray
    """(A, S) float64, posterior mean of how often an annotator labels as each prototype; rows sum to 1."""
    prior: FloatArray
    """(K,) float64, posterior mean of the class prior."""
    lower_bound: FloatArray
    """(rounds,) float64, lower bound of log p(labels), where soft answers are fractional labels. Never falls."""
    converged: bool
    """Whether the last round gained no more than the tolerance."""
    rounds: int
    """Number of rounds."""

    @property
    def recall(self) -> FloatArray:
        """(A, K) float64, posterior mean of p(label k | true class k)."""
        right: FloatArray = self.proportions @ np.diagonal(self.prototypes, axis1=1, axis2=2)
        return right


def ptbcc(
    table: Votes,
    *,
    prototypes: int = 5,
    right: float = 4.0,
    wrong: float = 1.0,
    class_count: float = 1.0,
    proportion_count: float = 1.0,
    tolerance: float = 1e-6,
    max_rounds: int = 500,
    on_round: OnRound | None = None,
) -> Ptbcc:
    """Returns the variational posterior of Bayesian classifier combination with shared prototypes.

    For each label, an annotator draws one of S prototypes by proportions of their own, and the label from that
    prototype's row of the item's class. Few labels thus suffice for an annotator, and the rows of a rare class are
    learned from all. A label's prototype keeps its own factor for each class of its item; a round sets the posteriors
    of proportions, prototypes and class prior given the classes and prototypes, then those given these. Prototypes
    start as annotators of evenly spaced accuracies, classes as the shares of the votes: nothing is drawn. Time of a
    round is O((L + N) K + P K S), P <= L the number of pairs (annotator, label) that occur; memory O((L + N) K).

    Args:
        table: the votes, rows in any order.
        prototypes: S, at least 1; with 1 all annotators are one.
        right: Dirichlet parameter of the right label in each row of a prototype, > 0.
        wrong: Dirichlet parameter of each wrong label, > 0.
        class_count: Dirichlet parameter of each class in the class prior, > 0.
        proportion_count: Dirichlet parameter of all prototypes together in an annotator's proportions, > 0, shared
            evenly.
        tolerance: stop when a round raises the bound by no more than this per label.
        max_rounds: at least 1.
        on_round: called with the number of rounds done.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for a parameter that is not positive, no prototypes or no rounds.

    Reference:
        J. Chen, J. Feng and S. Zhang, Understanding the essence: delving into annotator prototype learning for
        multi-class annotation aggregation, 2025 (arXiv 2508.02123): the model, written down here from its description,
        as no program of the authors was at hand. Differs from the paper in what that leaves open: a label's prototype
        depends on the class in the approximation, the start, the parameters of the priors; and in soft answers.
    """
    require_positive(
        "PTBCC",
        right=right,
        wrong=wrong,
        class_count=class_count,
        proportion_count=proportion_count,
    )
    require_counts("PTBCC", prototypes=prototypes, max_rounds=max_rounds)
    n, a, k = table.num_items, table.num_annotators, table.num_classes
    pairs = min(len(table.item) * (1 if table.probs is None else k), a * k)
    needed = 8 * (3 * n * k + 6 * pairs * k + 3 * prototypes * k * k + 4 * a * prototypes)
    require_memory("PTBCC", needed, items=n, annotators=a, classes=k)
    model = _Model(table, prototypes, (right, wrong, class_count, proportion_count))
    least = tolerance * len(table.item)
    history, converged = run_rounds(model.round, least=least, max_rounds=max_rounds, on_round=on_round)
    return model.result(history, converged)


class _Model:
    """Counts and their products; a pair is an annotator with a label that they gave. Items without votes stay out."""

    def __init__(self, table: Votes, prototypes: int, pseudo: tuple[float, float, float, float]) -> None:
        right, wrong, self.class_count, proportion_count = pseudo
        self.proportion_count = proportion_count / prototypes
        self.gold = table.gold
        flat = entries(table)
        counts = weighted_counts(flat, num_items=table.num_items, num_classes=table.num_classes)
        self.voted = counts.sum(axis=1) > 0
        self.known = None if table.gold is None else table.gold[self.voted]
        self.posterior = pin_shares(soft_labels(counts[self.voted]), self.known)
        self._set_votes(flat, table.num_annotators, table.num_classes)
        wrong_label = ~np.eye(table.num_classes, dtype=bool)
        self.label_prior = np.where(wrong_label, wrong, right)
        self.log_proportions = np.full((table.num_annotators, prototypes), -np.log(prototypes))
        # From near guessing to near perfect, at equal distances: equal prototypes would get equal updates for ever.
        accuracy = 1 / table.num_classes + (1 - 1 / table.num_classes) * np.arange(1, prototypes + 1) / (prototypes + 1)
        others = (1 - accuracy) / max(1, table.num_classes - 1)
        # (S, class, label)
        self.log_prototypes = np.log(np.where(wrong_label, others[:, None, None], accuracy[:, None, None]))
        self.proportion_counts: FloatArray
        self.label_counts: FloatArray
        self._count()

    def round(self) -> float:
        """The parameters given classes and prototypes, then those given the parameters; returns the bound."""
        self.log_proportions, proportions = dirichlet_logs(self.proportion_counts, self.proportion_count)
        log_prior, prior = dirichlet_logs(self.posterior.sum(axis=0)[None], self.class_count)
        prototypes = self._set_prototype_logs()
        self.posterior = self.votes @ self._log_labels() + log_prior
        evidence = softmax_in_place(pin_scores(self.posterior, self.known))
        self._count()
        return evidence - proportions - prior - prototypes

    def result(self, history: list[float], converged: bool) -> Ptbcc:
        prior = self.posterior.sum(axis=0) + self.class_count
        prior /= prior.sum()
        full = np.tile(prior, (len(self.voted), 1))
        full[self.voted] = self.posterior
        prototypes = self.label_counts + self.label_prior
        prototypes /= prototypes.sum(axis=2, keepdims=True)
        proportions = self.proportion_counts + self.proportion_count
        proportions /= proportions.sum(axis=1, keepdims=True)
        pin_shares(full, self.gold)
        return Ptbcc(full, prototypes, proportions, prior, np.array(history), converged, len(history))

    def _set_votes(self, flat: Entries, num_annotators: int, k: int) -> None:
        row = np.cumsum(self.voted) - 1
        kept = self.voted[flat.item]  # soft answers may have a weight of zero throughout
        pairs, pair = np.unique(flat.annotator * k + flat.label, return_inverse=True)
        self.owner, self.label = pairs // k, pairs % k
        shape = (len(self.posterior), len(pairs))
        self.votes = sparse.csr_array((flat.weight[kept], (row[flat.item[kept]], pair[kept])), shape=shape)
        # CSR in both directions: the transpose alone would be CSC, whose products scatter.
        self.votes_of_pair = self.votes.T.tocsr()
        index, ones = np.arange(len(pairs)), np.ones(len(pairs))
        self.pairs_of_annotator = sparse.csr_array((ones, (self.owner, index)), shape=(num_annotators, len(pairs)))
        self.pairs_of_label = sparse.csr_array((ones, (self.label, index)), shape=(k, len(pairs)))

    def _log_joint(self, prototype: int) -> FloatArray:
        """(pairs, K) logarithms of drawing the prototype, and from it the label, for every class."""
        logs: FloatArray = self.log_prototypes[prototype].T[self.label]
        logs = logs + self.log_proportions[self.owner, prototype][:, None]
        return logs

    def _log_labels(self) -> FloatArray:
        """(pairs, K) logarithms of the labels for every class, over the prototypes; one at a time, to save memory."""
        total = self._log_joint(0)
        for prototype in range(1, len(self.log_prototypes)):
            np.logaddexp(total, self._log_joint(prototype), out=total)
        return total

    def _count(self) -> None:
        """Sets the expected labels of each annotator and prototype, and of each prototype, class and label."""
        counts, total = self.votes_of_pair @ self.posterior, self._log_labels()
        self.proportion_counts = np.empty_like(self.log_proportions)
        self.label_counts = np.empty_like(self.log_prototypes)
        for prototype in range(len(self.log_prototypes)):
            part = counts * np.exp(self._log_joint(prototype) - total)
            self.proportion_counts[:, prototype] = self.pairs_of_annotator @ part.sum(axis=1)
            self.label_counts[prototype] = (self.pairs_of_label @ part).T

    def _set_prototype_logs(self) -> float:
        """Sets the expected logarithms of the prototypes; returns the divergence from their prior."""
        alpha = self.label_counts + self.label_prior
        self.log_prototypes = scipy.special.digamma(alpha) - scipy.special.digamma(alpha.sum(axis=2, keepdims=True))
        k = alpha.shape[-1]
        normaliser = log_beta(alpha.reshape(-1, k)).sum() - len(alpha) * log_beta(self.label_prior).sum()
        return float((self.label_counts * self.log_prototypes).sum() - normaliser)

"""Variational Bayes of Bayesian classifier combination, shared by IBCC and EBCC.

An item has a state: its class and one of M subtypes of that class. An annotator has one distribution over labels per
state. With M = 1 that is IBCC; with more, the annotators' labels depend on each other given the class, which is EBCC.
"""

from typing import NamedTuple

import numpy as np
import scipy
from scipy import sparse

from hilmix.functional.aggregation.gold import pin_scores, pin_shares
from hilmix.functional.aggregation.rounds import run_rounds
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

_TINY = np.finfo(np.float64).tiny
"""In place of a number of labels that is 0."""


class Pseudo(NamedTuple):
    """Parameters of the Dirichlet priors."""

    right: float
    """Of the right label in every annotator's distribution over labels."""
    wrong: float
    """Of each wrong label."""
    classes: float
    """Of each class."""
    subtypes: float
    """Of all subtypes of a class together, shared evenly."""


class Run(NamedTuple):
    """A fit from one start."""

    posterior: FloatArray
    """(N, K) float64; the mean of the class prior for items without votes."""
    recall: FloatArray
    """(A, K) float64, posterior mean of p(label k | true class k)."""
    prior: FloatArray
    """(K,) float64, posterior mean of the class prior."""
    history: FloatArray
    """(rounds,) float64, the lower bound of log p(labels)."""
    converged: bool
    """Whether the last round gained no more than the tolerance."""


def require_room(what: str, table: Votes, subtypes: int) -> None:
    """Refuses tables of votes whose fit would fill the memory.

    Raises:
        SizeError: with the sizes and the gigabytes.
    """
    n, a, k = table.num_items, table.num_annotators, table.num_classes
    labels = len(table.item) * (1 if table.probs is None else k)
    # posteriors and their copies per item, sums per annotator, parameters and logarithms per pair (annotator, label)
    rows = 3 * n + 3 * a + 6 * min(labels, a * k)
    require_memory(what, 8 * k * subtypes * rows, items=n, annotators=a, classes=k)


class Combination:
    """The votes as two sparse products, for any number of starts.

    Only pairs (annotator, label) that occur have parameters of their own: where an annotator never gives a label, the
    posterior of its pseudo-count is the prior, which adds nothing to the bound.
    """

    def __init__(self, table: Votes, subtypes: int, pseudo: Pseudo) -> None:
        self.subtypes, self.pseudo = subtypes, pseudo
        self.num_annotators, self.num_classes = table.num_annotators, table.num_classes
        flat = entries(table)
        counts = weighted_counts(flat, num_items=table.num_items, num_classes=self.num_classes)
        # Items without votes integrate out of the likelihood; kept, they would count as evidence for the class prior.
        self.voted = counts.sum(axis=1) > 0
        self.gold = table.gold
        self.known = None if table.gold is None else table.gold[self.voted]
        self.label_shares = soft_labels(counts[self.voted])
        self.shares = pin_shares(self.label_shares.copy(), self.known)
        self._set_votes(flat)
        self._set_label_prior()

    def fit(self, spread: FloatArray, *, least: float, max_rounds: int, on_round: OnRound | None, done: int = 0) -> Run:
        """Returns the fit from one start: shares of the votes, spread over subtypes.

        Args:
            spread: (voted items, M), rows sum to 1: where each item starts among the subtypes, alike for all classes,
                so that the names of the classes do not matter.
            least: stop when a round raises the bound by no more than this.
            max_rounds: at least 1.
            on_round: called with the number of rounds, ``done`` more than those of this fit.
            done: rounds of earlier starts.
        """
        # sizes written out, as -1 stands for none where there are no rows
        size = (len(self.shares), self.num_classes * self.subtypes)
        posterior = (self.shares[:, :, None] * spread[:, None, :]).reshape(size)

        def step() -> float:
            nonlocal posterior
            posterior, bound = self._round(posterior)
            return bound

        history, converged = run_rounds(step, least=least, max_rounds=max_rounds, on_round=on_round, done=done)
        return self._result(posterior, history, converged)

    def easiness(self) -> FloatArray:
        """Returns (voted items,) standardised excess of the agreement of an item's labels with the shares of its votes.

        Agreement is compared with the mean of the same annotators over all of their labels.
        """
        agreed = self.votes_of_cell @ self.shares
        agreed = agreed[np.arange(len(agreed)), self.label]  # per pair (annotator, label)
        given = self.votes_of_cell @ np.ones(len(self.shares))
        mean = (self.cells_of_annotator @ agreed) / np.maximum(self.cells_of_annotator @ given, _TINY)
        number = self.votes @ np.ones(len(self.label))
        own = (self.label_shares * self.shares).sum(axis=1) * number
        # Divided by the root, as a sum of n agreements varies by that much: else items with many labels take both ends.
        excess: FloatArray = (own - self.votes @ mean[self.owner]) / np.sqrt(np.maximum(number, _TINY))
        return excess

    def _set_votes(self, flat: Entries) -> None:
        row = np.cumsum(self.voted) - 1
        # One integer per pair: numpy sorts a vector faster than rows of two columns.
        cells, cell = np.unique(flat.annotator * self.num_classes + flat.label, return_inverse=True)
        self.owner, self.label = cells // self.num_classes, cells % self.num_classes
        kept = self.voted[flat.item]  # soft answers may have a weight of zero throughout
        index = (row[flat.item[kept]], cell[kept])
        self.votes = sparse.csr_array((flat.weight[kept], index), shape=(len(self.shares), len(cells)))
        # CSR in both directions: the transpose alone would be CSC, whose products scatter.
        self.votes_of_cell = self.votes.T.tocsr()
        ones = (np.ones(len(cells)), (self.owner, np.arange(len(cells))))
        self.cells_of_annotator = sparse.csr_array(ones, shape=(self.num_annotators, len(cells)))

    def _set_label_prior(self) -> None:
        """(pairs in use, K M) parameters of the prior, their sum over labels, and the normaliser of all of them."""
        pairs, k, m, pseudo = len(self.label), self.num_classes, self.subtypes, self.pseudo
        prior = np.full((pairs, k, m), pseudo.wrong)
        prior[np.arange(pairs), self.label] = pseudo.right
        self.label_prior = prior.reshape(pairs, k * m)
        # Of all K labels, also those without a row: their counts are 0, so that only this total keeps them.
        self.prior_total = pseudo.right + (k - 1) * pseudo.wrong
        normaliser = pairs * (scipy.special.gammaln(pseudo.right) + (k - 1) * scipy.special.gammaln(pseudo.wrong))
        normaliser -= self.num_annotators * k * scipy.special.gammaln(self.prior_total)
        self.log_prior_normaliser = float(m * normaliser)

    def _round(self, posterior: FloatArray) -> tuple[FloatArray, float]:
        """The parameters given the states, then the states given the parameters; returns them and the bound."""
        log_state, bound = self._log_state(posterior)
        counts = self.votes_of_cell @ posterior
        log_label, divergence = self._log_label(counts)
        scores: FloatArray = self.votes @ log_label
        scores += log_state
        # a view, so that what is pinned are the scores
        pin_scores(scores.reshape(len(scores), self.num_classes, self.subtypes), self.known)
        # At the optimal states the expected scores and the entropy of the states add up to the log-normalisers.
        return scores, bound - divergence + softmax_in_place(scores)

    def _log_state(self, posterior: FloatArray) -> tuple[FloatArray, float]:
        """(K M,) expected logarithms of class times subtype, and minus the divergences from their priors."""
        counts = posterior.sum(axis=0).reshape(-1, self.subtypes)
        log_class, of_class = dirichlet_logs(counts.sum(axis=1)[None], self.pseudo.classes)
        log_subtype, of_subtype = dirichlet_logs(counts, self.pseudo.subtypes / self.subtypes)
        return (log_class.T + log_subtype).ravel(), -of_class - of_subtype

    def _log_label(self, counts: FloatArray) -> tuple[FloatArray, float]:
        """(pairs in use, K M) expected logarithms of the labels, and their divergence from the prior."""
        alpha = counts + self.label_prior
        total = self.cells_of_annotator @ counts + self.prior_total
        logs: FloatArray = scipy.special.digamma(alpha) - scipy.special.digamma(total)[self.owner]
        normaliser = scipy.special.gammaln(alpha).sum() - scipy.special.gammaln(total).sum() - self.log_prior_normaliser
        return logs, float((counts * logs).sum() - normaliser)

    def _result(self, posterior: FloatArray, history: list[float], converged: bool) -> Run:
        states = posterior.reshape(len(posterior), self.num_classes, self.subtypes)
        classes = states.sum(axis=2)
        prior = classes.sum(axis=0) + self.pseudo.classes
        prior /= prior.sum()
        full = np.tile(prior, (len(self.voted), 1))
        full[self.voted] = classes
        return Run(pin_shares(full, self.gold), self._recall(posterior), prior, np.array(history), converged)

    def _recall(self, posterior: FloatArray) -> FloatArray:
        k, m = self.num_classes, self.subtypes
        subtype = posterior.sum(axis=0).reshape(k, m) + self.pseudo.subtypes / m
        subtype /= subtype.sum(axis=1, keepdims=True)
        counts = self.votes_of_cell @ posterior
        total = self.cells_of_annotator @ counts + self.prior_total
        right = np.full((self.num_annotators, k, m), self.pseudo.right)
        of_own_class = counts.reshape(-1, k, m)[np.arange(len(counts)), self.label]
        right[self.owner, self.label] += of_own_class
        # p(label | class) is the mean over subtypes, each weighted by how often an item of the class has it.
        recall: FloatArray = (right / total.reshape(-1, k, m) * subtype).sum(axis=2)
        return recall


def dirichlet_logs(counts: FloatArray, pseudo: float) -> tuple[FloatArray, float]:
    """Returns expected logarithms of Dirichlet(counts + pseudo), and their divergence from Dirichlet(pseudo).

    Args:
        counts: (rows, K) non-negative.
        pseudo: parameter of the prior, > 0.
    """
    alpha = counts + pseudo
    logs: FloatArray = scipy.special.digamma(alpha) - scipy.special.digamma(alpha.sum(axis=1, keepdims=True))
    normaliser = log_beta(alpha) - log_beta(np.full_like(alpha, pseudo))
    return logs, float((counts * logs).sum() - normaliser.sum())

"""Dawid-Skene for many annotators and classes: one matrix that all share, and one number per annotator."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from hilmix.functional.aggregation.cells import Cells
from hilmix.functional.aggregation.rounds import require_counts, require_positive, run_rounds
from hilmix.functional.aggregation.sparse_posterior import SparsePosterior
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.aggregation.votes import Entries, OnRound, entries
from hilmix.functional.grouped import expand_ranges, sum_by_group
from hilmix.functional.sizes import require_memory

CANDIDATES = 4
"""Most classes that an item may have: those with the most votes. It keeps the cost linear in votes per item."""
_PAIR_BYTES = 80
"""Of a vote and a class that its item may have, temporary copies included."""


class SharedDawidSkene(NamedTuple):
    """Result of :func:`shared_dawid_skene`."""

    posterior: SparsePosterior
    """p(true class | all labels): 0 for classes that no label names, uniform for items without votes."""
    knows: FloatArray
    """(A,) float64 in (0, 1), the probability that an annotator knows the class and names it."""
    shared: sparse.csr_array
    """(K, K) float64, p(label k | true class c) of who does not know, at ``[c, k]``, where such labels may have been
    given; what a row lacks to 1 is shared evenly by the other classes."""
    prior: FloatArray
    """(K,) float64, class prior."""
    right: FloatArray
    """(A,) float64, the probability that a label is right."""
    log_likelihood: FloatArray
    """(rounds,) float64, log p(labels) plus the log-density of the parameters' prior up to a constant. Never falls."""
    converged: bool
    """Whether the last round gained no more than the tolerance."""
    rounds: int
    """Number of rounds."""


def shared_dawid_skene(
    table: Votes,
    *,
    right: float = 2.0,
    wrong: float = 1.0,
    class_count: float = 1.0,
    tolerance: float = 1e-6,
    max_rounds: int = 200,
    on_round: OnRound | None = None,
) -> SharedDawidSkene:
    """Returns the maximum a posteriori fit of confusion matrices of the form ``w_a I + (1 - w_a) S``.

    Annotator a knows the class with probability ``w_a`` and else gives a label by the row of the true class in S, which
    all share: its diagonal says how easy a class is, the rest what it is taken for. These are A + K^2 parameters, of
    which only those that some vote may speak of are kept, in place of the A K^2 of
    :func:`~hilmix.functional.aggregation.dawid_skene`. The true class of an item is one of the ``CANDIDATES`` that most
    of its votes name. A round is an M step and an E step, O(L + N); it starts from the shares of the votes. Repeated
    labels of an annotator for an item count as independent.

    Args:
        table: the votes, rows in any order.
        right: pseudo-count of labels that an annotator knew, > 0.
        wrong: pseudo-count of labels that an annotator did not know, and of each row of S, shared evenly, > 0.
        class_count: pseudo-count of each class in the class prior, > 0.
        tolerance: stop when a round gains no more than this much log-likelihood per label.
        max_rounds: at least 1.
        on_round: called with the number of rounds done.

    Raises:
        SizeError: where this would fill the memory.
        ConfigError: for a pseudo-count that is not positive, or no rounds.

    Reference:
        A. P. Dawid and A. M. Skene, Applied Statistics 28 (1979). Differs from the paper: the form of the matrices,
        candidates (an E step over some classes only still raises the bound: R. M. Neal and G. E. Hinton, A view of the
        EM algorithm that justifies incremental, sparse, and other variants, 1998), pseudo-counts, soft answers.
    """
    require_positive("Dawid-Skene", right=right, wrong=wrong, class_count=class_count)
    require_counts("Dawid-Skene", max_rounds=max_rounds)
    model = _Model(table, (right, wrong), class_count)
    least = tolerance * len(table.item)
    history, converged = run_rounds(model.round, least=least, max_rounds=max_rounds, on_round=on_round)
    return model.result(history, converged)


class _Model:
    """A pair is a vote and a candidate for the true class of its item; a combination, what classes both name."""

    def __init__(self, table: Votes, pseudo: tuple[float, float], class_count: float) -> None:
        self.pseudo, self.class_count = pseudo, class_count
        k, a = table.num_classes, table.num_annotators
        self.num_annotators, self.num_classes = a, k
        votes = entries(table)
        if table.probs is not None:  # most of the K parts of a soft answer may be empty
            there = votes.weight > 0
            votes = Entries(votes.item[there], votes.annotator[there], votes.label[there], votes.weight[there])
        self.cells = Cells.of(table, votes)
        counts = self.cells.pin_counts(self.cells.sum_entries(votes.weight))
        self.cell, self.item, start = self._candidates(counts)
        self.label = self.cells.label[self.cell]
        require_memory(
            "Dawid-Skene with a shared matrix",
            _PAIR_BYTES * int(np.diff(start)[votes.item].sum()),
            items=table.num_items,
            classes=k,
        )
        self.entry, self.candidate = expand_ranges(start[votes.item], np.diff(start)[votes.item])
        self.annotator, self.weight = votes.annotator[self.entry], votes.weight[self.entry]
        true, given = self.label[self.candidate], votes.label[self.entry]
        self.same = true == given
        combinations, self.combination = np.unique(true * k + given, return_inverse=True)
        self.row, self.column = np.divmod(combinations, k)
        self.labels = sum_by_group(votes.weight, votes.annotator, a)
        self.voted = np.diff(start) > 0
        total = sum_by_group(counts[self.cell], self.item, table.num_items)
        self.posterior: FloatArray = counts[self.cell] / np.where(total > 0, total, 1)[self.item]
        self.knows = np.full(a, pseudo[0] / sum(pseudo))
        self.shared = np.full(len(combinations), 1 / k)
        self.prior: FloatArray

    def _candidates(self, counts: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
        """The cells of candidates, their items, and where those of each item begin."""
        cells = self.cells
        order = np.lexsort((cells.label, -counts, cells.item))
        rank = np.arange(len(order)) - cells.start[cells.item]
        chosen = np.sort(order[rank < CANDIDATES])
        if cells.excluded is not None:
            chosen = chosen[~cells.excluded[chosen]]
        item = cells.item[chosen]
        return chosen, item, np.searchsorted(item, np.arange(cells.num_items + 1))

    def round(self) -> float:
        """One M step and one E step; returns the penalised log-likelihood under the new parameters."""
        penalty = self._m_step()
        chance = self._by_chance()
        likelihood = chance + self.knows[self.annotator] * self.same
        score = np.log(self.prior)[self.label]
        score += sum_by_group(self.weight * np.log(likelihood), self.candidate, len(self.cell))
        top = np.full(len(self.voted), -np.inf)
        np.maximum.at(top, self.item, score)
        self.posterior = np.exp(score - top[self.item])
        total = sum_by_group(self.posterior, self.item, len(self.voted))
        self.posterior /= total[self.item]
        return penalty + float((top + np.log(np.where(self.voted, total, 1)))[self.voted].sum())

    def _by_chance(self) -> FloatArray:
        """(pairs,) p(label, not known | candidate)."""
        chance: FloatArray = (1 - self.knows)[self.annotator] * self.shared[self.combination]
        return chance

    def _m_step(self) -> float:
        """Sets the parameters from the posterior; returns the log-density of their prior."""
        (right, wrong), k = self.pseudo, self.num_classes
        chance = self._by_chance()
        guessed = self.weight * self.posterior[self.candidate]
        guessed *= chance / (chance + self.knows[self.annotator] * self.same)
        unknown = sum_by_group(guessed, self.annotator, self.num_annotators)
        self.knows = (self.labels - unknown + right) / (self.labels + right + wrong)
        counts = sum_by_group(guessed, self.combination, len(self.shared))
        self.total = sum_by_group(counts, self.row, k) + wrong
        self.shared = (counts + wrong / k) / self.total[self.row]
        self.prior = sum_by_group(self.posterior, self.label, k) + self.class_count
        self.prior /= self.prior.sum()
        penalty = right * np.log(self.knows).sum() + wrong * np.log1p(-self.knows).sum()
        # Combinations that no pair has keep their pseudo-count.
        absent = k - np.bincount(self.row, minlength=k)
        penalty += wrong / k * (np.log(self.shared).sum() + (absent * np.log(wrong / k / self.total)).sum())
        return float(penalty + self.class_count * np.log(self.prior).sum())

    def result(self, history: list[float], converged: bool) -> SharedDawidSkene:
        k = self.num_classes
        prob, other = np.zeros(len(self.cells.item)), np.where(self.voted, 0.0, 1 / k)
        prob[self.cell] = self.posterior
        shared = sparse.csr_array((self.shared, (self.row, self.column)), shape=(k, k))
        diagonal = self.pseudo[1] / k / self.total
        same = self.row == self.column
        diagonal[self.row[same]] = self.shared[same]
        right = self.knows + (1 - self.knows) * float(self.prior @ diagonal)
        posterior = self.cells.posterior(prob, other)
        return SharedDawidSkene(
            posterior, self.knows, shared, self.prior, right, np.array(history), converged, len(history)
        )

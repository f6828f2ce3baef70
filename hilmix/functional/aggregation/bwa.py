"""BWA: a weighted average of the votes, one precision per annotator and class, in closed form."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from hilmix.functional.aggregation.gold import pin_shares
from hilmix.functional.aggregation.rounds import require_counts, require_positive
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import entries, soft_labels, weighted_counts
from hilmix.functional.grouped import sum_by_group
from hilmix.functional.sizes import bytes_needed, require_memory

_LEAST = 1e-9
"""Of a prior's scale: where all labels of a class agree there is no spread, and any small one gives equal weights."""


class Bwa(NamedTuple):
    """Result of :func:`bwa`."""

    posterior: FloatArray
    """(N, K) float64, ``score`` with rows that sum to 1; the mean scores for items without votes."""
    score: FloatArray
    """(N, K) float64 in [0, 1], the weighted average of "the label is k" of each class; fitted for each class alone."""
    precision: FloatArray
    """(A, K) float64 > 0, how much a label of the annotator weighs for each class."""
    converged: bool
    """Whether the last round changed no score by more than the tolerance."""
    rounds: int
    """Number of rounds."""


def bwa(
    table: Votes,
    *,
    strength: float = 15.0,
    smoothing: float = 1.0,
    tolerance: float = 1e-6,
    max_rounds: int = 500,
) -> Bwa:
    """Returns Bayesian weighted averages: for each class, the mean of "the label is k" with learned weights.

    Of class k alone, a label is the number y = 1 or 0, normal around the item's score with the precision of its
    annotator; precisions have a gamma prior whose mean fits the spread of the plain shares, and scores a normal prior
    around their mean. A round sets the precisions given the scores, then the scores given those, both averages in
    closed form, in O(L K + (N + A) K). Repeated labels of an annotator for an item count as independent.

    Args:
        table: the votes, rows in any order.
        strength: of the prior of the precisions, in labels, > 0.
        smoothing: precision of the scores' prior, > 0.
        tolerance: stop when no score changes by more than this.
        max_rounds: at least 1.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for a strength or smoothing that is not positive, or no rounds.

    Reference:
        Y. Li, B. Rubinstein and T. Cohn, Truth inference at scale: a Bayesian model for adjudicating highly redundant
        crowd annotations, WWW 2019, section 3. The defaults and the scale of the prior, 4 (1 - 1 / K) times the mean
        variance of the shares, are those of the authors' program. Differs from it: stops by an absolute change; one
        class more than it has, as all K have a score; soft answers.
    """
    require_positive("BWA", strength=strength, smoothing=smoothing)
    require_counts("BWA", max_rounds=max_rounds)
    sizes = {"items": table.num_items, "annotators": table.num_annotators, "classes": table.num_classes}
    require_memory("BWA", bytes_needed(**sizes, per_item=5, per_annotator=5), **sizes)
    model = _Model(table, strength, smoothing)
    change, rounds = np.inf, 0
    while change > tolerance and rounds < max_rounds:
        change, rounds = model.round(), rounds + 1
    return Bwa(soft_labels(model.score), model.score, model.precision, bool(change <= tolerance), rounds)


class _Model:
    """Scores and precisions; ``answers`` holds a 1 for each label at [item, annotator], whatever its class."""

    def __init__(self, table: Votes, strength: float, smoothing: float) -> None:
        self.sizes = {"num_items": table.num_items, "num_classes": table.num_classes}
        self.gold, self.strength, self.smoothing = table.gold, strength, smoothing
        self.votes = entries(table)
        counts = weighted_counts(self.votes, **self.sizes)
        self.voted = counts.sum(axis=1) > 0
        shares = soft_labels(counts)
        size = (table.num_items, table.num_annotators)
        self.answers = sparse.csr_array((np.ones(len(table.item)), (table.item, table.annotator)), shape=size)
        self.answers_of_annotator = self.answers.T.tocsr()
        self.squares = self._per_cell(self.votes.weight**2)
        number = np.bincount(table.item, minlength=table.num_items)
        spread = number @ (shares * (1 - shares)) / max(1, len(table.item))
        self.scale = np.maximum(strength * spread * 4 * (1 - 1 / table.num_classes), _LEAST)
        self.score = pin_shares(shares, self.gold)
        self.precision: FloatArray

    def round(self) -> float:
        """Precisions given the scores, then scores given those; returns the largest change of a score."""
        votes, old = self.votes, self.score
        # Items without votes hold the mean itself.
        mean = old[self.voted].mean(axis=0) if self.voted.any() else np.full(old.shape[1], 1 / old.shape[1])
        # the sum of (score - y)^2 over an annotator's labels, expanded, as y is sparse
        product = self._per_cell(votes.weight * old[votes.item, votes.label])
        residual = self.answers_of_annotator @ old**2 - 2 * product + self.squares
        labels = self.answers_of_annotator.sum(axis=1)[:, None]
        # rounding may leave a negative residual where annotator and score agree throughout
        self.precision = (self.strength + labels) / (self.scale + np.maximum(residual, 0))
        weighted = votes._replace(weight=votes.weight * self.precision[votes.annotator, votes.label])
        total = weighted_counts(weighted, **self.sizes) + self.smoothing * mean
        self.score = pin_shares(total / (self.answers @ self.precision + self.smoothing), self.gold)
        return float(np.abs(self.score - old).max(initial=0.0))

    def _per_cell(self, weight: FloatArray) -> FloatArray:
        """(A, K) sums of (entries,) weights."""
        annotators, k = self.answers.shape[1], self.sizes["num_classes"]
        cell = self.votes.annotator * k + self.votes.label
        return sum_by_group(weight, cell, annotators * k).reshape(annotators, k)

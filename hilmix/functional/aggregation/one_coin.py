"""One-coin Dawid-Skene and ZenCrowd: one accuracy per annotator, wrong classes alike."""

from typing import Literal, NamedTuple

import numpy as np

from hilmix.errors import ConfigError
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
from hilmix.functional.grouped import sum_by_group
from hilmix.functional.sizes import bytes_needed, require_memory

ClassPrior = Literal["learned", "uniform"]


class OneCoin(NamedTuple):
    """Result of :func:`one_coin` and :func:`zencrowd`. ``posterior`` is Bayes' rule under the other fields."""

    posterior: FloatArray
    """(N, K) float64, p(true class | all labels); the class prior for items without votes."""
    accuracy: FloatArray
    """(A,) float64 in (0, 1), the probability that a label is right; the wrong classes share the rest evenly."""
    prior: FloatArray
    """(K,) float64, class prior."""
    log_likelihood: FloatArray
    """(rounds,) float64, log p(labels) plus the log-density of the parameters' prior up to a constant. Never falls."""
    converged: bool
    """Whether the last round gained no more than the tolerance."""
    rounds: int
    """Number of rounds."""


def one_coin(
    table: Votes,
    *,
    class_prior: ClassPrior = "learned",
    right: float = 2.0,
    wrong: float = 1.0,
    class_count: float = 1.0,
    tolerance: float = 1e-6,
    max_rounds: int = 200,
    on_round: OnRound | None = None,
) -> OneCoin:
    """Returns the maximum a posteriori fit of one accuracy per annotator, by expectation maximisation.

    A label of annotator a is right with probability ``accuracy[a]``, and each of the K - 1 wrong classes shares the
    rest evenly: Dawid-Skene whose confusion matrices have two distinct values. A round is an M step (accuracies and
    class prior from the posteriors) and an E step, both O(L + N K), because wrong classes differ by a constant alone.
    It starts from the shares of the votes. Repeated labels of an annotator for an item count as independent.

    Args:
        table: the votes, rows in any order.
        class_prior: ``learned`` from the posteriors, or ``uniform``.
        right: pseudo-count of right labels of each annotator, > 0.
        wrong: pseudo-count of wrong labels of each annotator, > 0; together the prior density Beta(1 + right,
            1 + wrong), by default the opinion of :func:`~hilmix.functional.aggregation.dawid_skene`.
        class_count: pseudo-count of each class in a learned class prior, > 0.
        tolerance: stop when a round gains no more than this much log-likelihood per label.
        max_rounds: at least 1.
        on_round: called with the number of rounds done.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for another class prior, a pseudo-count that is not positive, or no rounds.

    Reference:
        A. P. Dawid and A. M. Skene, Applied Statistics 28 (1979), with the matrices tied to one parameter as in
        Y. Zhang, X. Chen, D. Zhou and M. I. Jordan, Spectral methods meet EM, JMLR 17 (2016), section 3.4. Differs
        from the papers: pseudo-counts, a learned class prior, soft answers.

    Example:
        >>> from hilmix.functional.aggregation import VoteTable
        >>> item, annotator = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 2])
        >>> table = VoteTable(item, annotator, np.array([0, 0, 1, 1, 1, 1]), 2, 3, 2)
        >>> one_coin(table).posterior.argmax(axis=1).tolist()
        [0, 1]
    """
    if class_prior not in ("learned", "uniform"):
        raise ConfigError(f"One-coin: `class_prior` must be 'learned' or 'uniform', got '{class_prior}'.")
    require_positive("One-coin", right=right, wrong=wrong, class_count=class_count)
    require_counts("One-coin", max_rounds=max_rounds)
    sizes = {"items": table.num_items, "classes": table.num_classes}
    require_memory("One-coin Dawid-Skene", bytes_needed(**sizes, per_item=3), **sizes)
    model = _Model(table, right, wrong, class_count if class_prior == "learned" else None)
    least = tolerance * len(table.item)
    history, converged = run_rounds(model.round, least=least, max_rounds=max_rounds, on_round=on_round)
    prior = np.exp(model.log_prior)
    return OneCoin(model.posterior, model.accuracy, prior, np.array(history), converged, len(history))


def zencrowd(
    table: Votes,
    *,
    right: float = 2.0,
    wrong: float = 1.0,
    tolerance: float = 1e-6,
    max_rounds: int = 200,
    on_round: OnRound | None = None,
) -> OneCoin:
    """Returns :func:`one_coin` under a uniform class prior, which is the model of ZenCrowd on a table of votes.

    Args:
        table: the votes, rows in any order.
        right: pseudo-count of right labels of each annotator, > 0.
        wrong: pseudo-count of wrong labels of each annotator, > 0.
        tolerance: stop when a round gains no more than this much log-likelihood per label.
        max_rounds: at least 1.
        on_round: called with the number of rounds done.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for a pseudo-count that is not positive, or no rounds.

    Reference:
        G. Demartini, D. E. Difallah and P. Cudre-Mauroux, ZenCrowd: leveraging probabilistic reasoning and
        crowdsourcing techniques for large-scale entity linking, WWW 2012, section 4. Differs from the paper: the
        classes of an item exclude each other instead of being links that are each right or wrong, no constraints
        between items, pseudo-counts instead of test questions and a threshold on reliability, soft answers.
    """
    return one_coin(
        table,
        class_prior="uniform",
        right=right,
        wrong=wrong,
        tolerance=tolerance,
        max_rounds=max_rounds,
        on_round=on_round,
    )


class _Model:
    """Posteriors and parameters; ``class_count`` None stands for a uniform class prior."""

    def __init__(self, table: Votes, right: float, wrong: float, class_count: float | None) -> None:
        self.sizes = {"num_items": table.num_items, "num_classes": table.num_classes}
        self.num_annotators, self.pseudo, self.class_count = table.num_annotators, (right, wrong), class_count
        self.votes = entries(table)
        counts = weighted_counts(self.votes, **self.sizes)
        self.voted = counts.sum(axis=1) > 0
        self.gold = table.gold
        self.posterior = pin_shares(soft_labels(counts), self.gold)
        self.labels = self._per_annotator(self.votes.weight)
        self.accuracy: FloatArray
        self.log_prior = np.full(table.num_classes, -np.log(table.num_classes))

    def round(self) -> float:
        """One M step and one E step; returns the penalised log-likelihood under the new parameters."""
        penalty = self._fit_class_prior()
        flat, (right, wrong) = self.votes, self.pseudo
        agreed = self._per_annotator(flat.weight * self.posterior[flat.item, flat.label])
        self.accuracy = (agreed + right) / (self.labels + right + wrong)
        # log1p: the digits of a small accuracy are lost in 1 - accuracy.
        log_right, log_wrong = np.log(self.accuracy), np.log1p(-self.accuracy)
        penalty += float((right * log_right + wrong * log_wrong).sum())
        log_each = log_wrong - np.log(max(1, self.sizes["num_classes"] - 1))
        # every label is wrong for all classes, and for its own class the difference is added
        gain = flat._replace(weight=flat.weight * (log_right - log_each)[flat.annotator])
        self.posterior = weighted_counts(gain, **self.sizes)
        self.posterior += self.log_prior
        pin_scores(self.posterior, self.gold)
        return softmax_in_place(self.posterior) + float((self.labels * log_each).sum()) + penalty

    def _fit_class_prior(self) -> float:
        """Fits the class prior where it is learned; returns the log-density of its own prior."""
        if self.class_count is None:
            return 0.0
        # Items without votes hold the prior itself and would count as evidence for it.
        self.log_prior = np.log(self.voted @ self.posterior + self.class_count)
        self.log_prior -= np.logaddexp.reduce(self.log_prior)
        return self.class_count * float(self.log_prior.sum())

    def _per_annotator(self, weight: FloatArray) -> FloatArray:
        """(A,) sums of (entries,) weights."""
        return sum_by_group(weight, self.votes.annotator, self.num_annotators)

"""IBCC: Dawid-Skene whose confusion matrices are integrated out, by variational Bayes."""

from typing import NamedTuple

import numpy as np

from hilmix.functional.aggregation.bcc import Combination, Pseudo, require_room
from hilmix.functional.aggregation.rounds import require_counts, require_positive
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import OnRound


class Ibcc(NamedTuple):
    """Result of :func:`ibcc`."""

    posterior: FloatArray
    """(N, K) float64, approximate p(true class | all labels); ``prior`` for items without votes."""
    recall: FloatArray
    """(A, K) float64, posterior mean of p(label k | true class k); that of the prior for annotators without labels."""
    prior: FloatArray
    """(K,) float64, posterior mean of the class prior."""
    lower_bound: FloatArray
    """(rounds,) float64, lower bound of log p(labels), where soft answers are fractional labels. Never falls."""
    converged: bool
    """Whether the last round gained no more than the tolerance."""
    rounds: int
    """Number of rounds."""


def ibcc(
    table: Votes,
    *,
    right: float = 4.0,
    wrong: float = 1.0,
    class_count: float = 1.0,
    tolerance: float = 1e-6,
    max_rounds: int = 500,
    on_round: OnRound | None = None,
) -> Ibcc:
    """Returns the variational posterior of independent Bayesian classifier combination.

    The model is that of Dawid and Skene with a Dirichlet distribution over each row of each confusion matrix and over
    the class prior. A round sets the approximate posteriors of both given the items' classes, then the classes given
    those; it starts from the shares of the votes. Time of a round and memory are O((L + N) K): annotators' rows are
    kept for labels that they gave. Repeated labels of an annotator for an item count as independent.

    Args:
        table: the votes, rows in any order.
        right: Dirichlet parameter of the right label in each row, > 0.
        wrong: Dirichlet parameter of each wrong label, > 0. The defaults are those of the experiments of
            :func:`~hilmix.functional.aggregation.ebcc`.
        class_count: Dirichlet parameter of each class in the class prior, > 0.
        tolerance: stop when a round raises the bound by no more than this per label.
        max_rounds: at least 1.
        on_round: called with the number of rounds done.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for a parameter that is not positive, or no rounds.

    Reference:
        H.-C. Kim and Z. Ghahramani, Bayesian classifier combination, AISTATS 2012, section 3 (the model), fitted as in
        E. Simpson, S. Roberts, I. Psorakis and A. Smith, Dynamic Bayesian combination of multiple imperfect
        classifiers, 2013, section 3. Differs from the papers: fixed Dirichlet parameters instead of a hyperprior,
        soft answers.
    """
    require_positive("IBCC", right=right, wrong=wrong, class_count=class_count)
    require_counts("IBCC", max_rounds=max_rounds)
    require_room("IBCC", table, 1)
    model = Combination(table, 1, Pseudo(right, wrong, class_count, 1.0))
    alone = np.ones((len(model.shares), 1))
    run = model.fit(alone, least=tolerance * len(table.item), max_rounds=max_rounds, on_round=on_round)
    return Ibcc(run.posterior, run.recall, run.prior, run.history, run.converged, len(run.history))

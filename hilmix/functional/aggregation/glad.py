"""GLAD: one ability per annotator, one difficulty per item."""

from typing import NamedTuple

import numpy as np
import scipy
from scipy import sparse

from hilmix.functional.aggregation.cells import Cells, stored
from hilmix.functional.aggregation.rounds import require_counts, run_rounds
from hilmix.functional.aggregation.sparse_posterior import Posterior, SparsePosterior
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.aggregation.votes import Entries, OnRound, entries

PRIOR_MEAN = 1.0
"""Of abilities and of log-easinesses, both normal with variance 1; also where the fit starts."""


class Glad(NamedTuple):
    """Result of :func:`glad`. ``posterior`` is Bayes' rule under the other fields and a uniform class prior."""

    posterior: Posterior
    """(N, K) float64, p(true class | all labels); uniform for items without votes."""
    ability: FloatArray
    """(A,) float64: 0 is right half the time on any item, infinity always, minus infinity never."""
    easiness: FloatArray
    """(N,) float64 > 0, the inverse difficulty; an annotator is right with probability sigmoid(ability * easiness)."""
    log_likelihood: FloatArray
    """(rounds,) float64, log p(labels) plus the log-density of the parameters' prior up to a constant. Never falls."""
    converged: bool
    """Whether the last round gained no more than the tolerance."""
    rounds: int
    """Number of rounds."""


def glad(
    table: Votes,
    *,
    tolerance: float = 1e-6,
    max_rounds: int = 100,
    inner_rounds: int = 25,
    inner_tolerance: float = 1e-2,
    on_round: OnRound | None = None,
) -> Glad:
    """Returns the maximum a posteriori fit of abilities and difficulties, by expectation maximisation.

    A label is right with probability s(alpha_a * beta_i), s the logistic function, and each of the K - 1 wrong classes
    shares the rest evenly. A round is an M step (conjugate gradients in alpha and log beta) and an E step; both cost
    O(L + N), because wrong classes differ from each other by a constant alone. It starts at the prior means.
    Repeated labels of an annotator for an item count as independent.

    Args:
        table: the votes, rows in any order.
        tolerance: stop when a round gains no more than this much log-likelihood per label.
        max_rounds: at least 1.
        inner_rounds: most steps of conjugate gradients per round, at least 1.
        inner_tolerance: largest absolute gradient at which they stop.
        on_round: called with the number of rounds done.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for no rounds.

    Reference:
        J. Whitehill, P. Ruvolo, T. Wu, J. Bergsma and J. Movellan, Whose vote should count more, NIPS 2009, equations
        1 to 4 and section 3.1 (normal priors; here mean 1 and variance 1). Differs from the paper: K classes,
        soft answers, uniform class prior.
    """
    require_counts("GLAD", max_rounds=max_rounds, inner_rounds=inner_rounds)
    model = _Model(table)
    parameters = np.full(table.num_annotators + table.num_items, PRIOR_MEAN)
    posterior, _ = model.e_step(parameters)
    options = {"maxiter": inner_rounds, "gtol": inner_tolerance}

    def step() -> float:
        nonlocal parameters, posterior
        agreement = model.agreement(posterior)
        # Conjugate gradients need no matrix of A + N parameters. Stopped early, the step still raises its objective,
        # which is all that a generalised EM needs for a likelihood that never falls.
        fit = scipy.optimize.minimize(model.loss, parameters, (agreement,), method="CG", jac=True, options=options)
        parameters = fit.x
        posterior, bound = model.e_step(parameters)
        return bound

    least = tolerance * len(table.item)
    history, converged = run_rounds(step, least=least, max_rounds=max_rounds, on_round=on_round)
    ability, easiness = model.split(parameters)
    return Glad(stored(posterior), ability, easiness, np.array(history), converged, len(history))


class _Model:
    """The likelihood of fixed answers. ``parameters`` are (A + N,): abilities, then log-easinesses.

    With x = ability * easiness and m = log max(1, K - 1), an answer says log s(x) of its own class and log s(-x) - m of
    each other one. They differ by x + m, so one number per answer is all that an item's posterior needs.
    """

    def __init__(self, table: Votes) -> None:
        self.num_items, self.num_annotators, self.num_classes = table.num_items, table.num_annotators, table.num_classes
        self.log_others = float(np.log(max(1, self.num_classes - 1)))
        # Sorted by item, the residuals of every step are rows of a CSR matrix whose structure is made once.
        order = np.argsort(table.item, kind="stable")
        self.annotator = table.annotator[order]
        self.answers = np.bincount(table.item, minlength=self.num_items)
        self.indptr = np.concatenate([[0], np.cumsum(self.answers)])
        votes = entries(table)
        self.cells = Cells.of(table, votes)
        self.labels = self._label_entries(table, votes, order)

    def _label_entries(self, table: Votes, votes: Entries, order: IntArray) -> sparse.csr_array:
        """(M, L): weight of the class of a cell in answer l, answers sorted by item."""
        place = np.empty_like(order)  # of each answer once sorted by item
        place[order] = np.arange(len(order))
        column = place if table.probs is None else np.repeat(place, self.num_classes)  # a soft answer has K entries
        shape = (len(self.cells.item), len(order))
        return sparse.csr_array((votes.weight, (self.cells.of_entry, column)), shape=shape)

    def split(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Returns (A,) abilities and (N,) easinesses."""
        return parameters[: self.num_annotators], np.exp(parameters[self.num_annotators :])

    def agreement(self, posterior: SparsePosterior) -> FloatArray:
        """Returns (L,) the posterior probability that an answer is right, answers sorted by item."""
        right: FloatArray = self.labels.T @ posterior.prob
        return right

    def e_step(self, parameters: FloatArray) -> tuple[SparsePosterior, float]:
        """Returns the posterior, and log p(labels) plus the parameters' log-prior up to a constant."""
        ability, easiness = self.split(parameters)
        product = ability[self.annotator] * np.repeat(easiness, self.answers)
        posterior, evidence = self.cells.softmax(self.labels @ (product + self.log_others))
        evidence -= self.num_items * np.log(self.num_classes)
        # log(1 + exp x) written out overflows.
        wrong = -float(np.logaddexp(0, product).sum()) - len(product) * self.log_others
        return posterior, evidence + wrong - _half_square(parameters)

    def loss(self, parameters: FloatArray, agreement: FloatArray) -> tuple[float, FloatArray]:
        """Returns minus the expected log-joint of answers and parameters, up to a constant, and its gradient."""
        ability, easiness = self.split(parameters)
        product = ability[self.annotator]
        product *= np.repeat(easiness, self.answers)  # in place: this runs in every step of the line search
        decay = np.exp(-np.abs(product))  # of the absolute value, which cannot overflow
        gain = float(agreement @ product) - float(np.maximum(product, 0).sum() + np.log1p(decay).sum())
        residual = agreement - np.where(product > 0, 1.0, decay) / (1 + decay)
        by_item = sparse.csr_array((residual, self.annotator, self.indptr), shape=(self.num_items, self.num_annotators))
        slope = np.concatenate([by_item.T @ easiness, easiness * (by_item @ ability)])
        return _half_square(parameters) - gain, parameters - PRIOR_MEAN - slope


def _half_square(parameters: FloatArray) -> float:
    return 0.5 * float(((parameters - PRIOR_MEAN) ** 2).sum())

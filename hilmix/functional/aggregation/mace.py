"""MACE: each annotator either knows the answer or spams with a habit of their own."""

from typing import Literal, NamedTuple

import numpy as np
import scipy
from scipy import sparse

from hilmix.errors import ConfigError
from hilmix.functional.aggregation.gold import pin_scores
from hilmix.functional.aggregation.rounds import require_counts, run_rounds
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.aggregation.votes import (
    OnRound,
    entries,
    log_beta,
    softmax_in_place,
)
from hilmix.functional.sizes import bytes_needed, require_memory


class Mace(NamedTuple):
    """Result of :func:`mace`, from the restart with the highest last ``log_likelihood``."""

    posterior: FloatArray
    """(N, K) float64, p(true class | all labels); uniform for items without votes."""
    knows: FloatArray
    """(A,) float64 in [0, 1], the probability that an annotator knows the answer; the posterior mean under ``vb``."""
    habit: FloatArray
    """(A, K) float64, labels of an annotator who does not know; the posterior mean under ``vb``."""
    log_likelihood: FloatArray
    """(rounds,) float64: under ``vb`` the lower bound of log p(labels), under ``em`` log p(labels) plus the log-density
    of the parameters' prior up to a constant. Never falls."""
    converged: bool
    """Whether the last round gained no more than the tolerance."""
    rounds: int
    """Number of rounds."""
    restarts: FloatArray
    """(restarts,) float64, the last ``log_likelihood`` of every restart."""


def mace(
    table: Votes,
    *,
    method: Literal["vb", "em"] = "vb",
    restarts: int = 10,
    seed: int = 0,
    tolerance: float = 1e-6,
    max_rounds: int = 200,
    on_round: OnRound | None = None,
) -> Mace:
    """Returns the best of several fits from random starts: by variational Bayes, or by expectation maximisation.

    Classes are equally likely a priori. Annotator a knows an item's class with probability ``knows[a]`` and then says
    it; otherwise the label is drawn from ``habit[a]``, and may be right by chance. A round is an M step and an E step,
    both two products with one sparse matrix of L entries. ``vb`` puts Beta(0.5, 0.5) on ``knows`` and Dirichlet(10)
    on ``habit``; ``em`` adds 0.01 / K to every expected count, as the authors' program does. Repeated labels of an
    annotator for an item count as independent.

    Args:
        table: the votes, rows in any order.
        method: how parameters are fitted.
        restarts: number of random starts, at least 1.
        seed: of the starts; the first starts of a longer list are those of a shorter one.
        tolerance: stop a restart when a round gains no more than this much log-likelihood per label.
        max_rounds: of each restart, at least 1.
        on_round: called with the number of rounds done over all restarts.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for another method, no restarts or no rounds.

    Reference:
        D. Hovy, T. Berg-Kirkpatrick, A. Vaswani and E. Hovy, Learning whom to trust with MACE, NAACL 2013:
        the model, EM with smoothing, and variational Bayes. Differs from the paper: soft answers, stops when nothing is
        gained, and a restart counts by the bound that it maximises.
    """
    if method not in ("vb", "em"):
        raise ConfigError(f"MACE: `method` must be 'vb' or 'em', got '{method}'.")
    require_counts("MACE", restarts=restarts, max_rounds=max_rounds)
    sizes = {"items": table.num_items, "annotators": table.num_annotators, "classes": table.num_classes}
    require_memory("MACE", bytes_needed(**sizes, per_item=2, per_annotator=6), **sizes)
    labels = _label_entries(table)
    best: Mace | None = None
    bounds: list[float] = []
    done, least = 0, tolerance * len(table.item)
    # A stream per restart: crowd-kit reuses the seed, so that its ten restarts are one.
    for child in np.random.SeedSequence(seed).spawn(restarts):
        rng = np.random.default_rng(child)
        fit = _Fit(labels, table.gold, table.num_annotators, table.num_classes, method == "vb", rng)
        history, converged = run_rounds(fit.round, least=least, max_rounds=max_rounds, on_round=on_round, done=done)
        done += len(history)
        bounds.append(history[-1])
        if best is None or bounds[-1] > best.log_likelihood[-1]:
            best = fit.result(history, converged)
    assert best is not None
    return best._replace(restarts=np.array(bounds))


def random_start(num_annotators: int, num_classes: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Returns (A, 2) p(knows), p(spams) and (A, K) habits, each drawn even in [1, 2.5] and normalised."""
    state, habit = rng.uniform(1, 2.5, (num_annotators, 2)), rng.uniform(1, 2.5, (num_annotators, num_classes))
    return state / state.sum(axis=1, keepdims=True), habit / habit.sum(axis=1, keepdims=True)


def _label_entries(table: Votes) -> sparse.csr_array:
    """(N K, A K): weight of label k by annotator a for item i at ``[i K + k, a K + k]``."""
    votes, k = entries(table), table.num_classes
    shape = (table.num_items * k, table.num_annotators * k)
    index = np.int32 if max(*shape, len(votes.item)) < 2**31 else np.int64  # half the memory where it fits
    row = (votes.item * k + votes.label).astype(index)
    column = (votes.annotator * k + votes.label).astype(index)
    return sparse.csr_array((votes.weight, (row, column)), shape=shape)


class _Fit:
    """One restart.

    A label k of annotator a has likelihood spams * habit[k] if its class is not the true one, and ``knows`` more if it
    is. Their ratio is all that an item's posterior needs, and it depends on the cell (a, k) alone.
    """

    def __init__(
        self,
        labels: sparse.csr_array,
        gold: IntArray | None,
        num_annotators: int,
        num_classes: int,
        bayes: bool,
        rng: np.random.Generator,
    ) -> None:
        self.labels, self.gold, self.bayes, self.num_classes = labels, gold, bayes, num_classes
        self.num_items = labels.shape[0] // num_classes
        self.counts: FloatArray = labels.sum(axis=0).reshape(num_annotators, num_classes)
        self.pseudo = (0.5, 10.0) if bayes else (0.01 / num_classes, 0.01 / num_classes)
        self.posterior: FloatArray
        self.state, self.habit = random_start(num_annotators, num_classes, rng)
        self._e_step(np.log(self.state), np.log(self.habit))

    def round(self) -> float:
        """One M step and one E step; returns the bound."""
        states = np.stack([self.knew.sum(axis=1), self.spammed.sum(axis=1)], axis=1)
        self.state, log_state, state_prior = self._m_step(states, self.pseudo[0])
        self.habit, log_habit, habit_prior = self._m_step(self.spammed, self.pseudo[1])
        return self._e_step(log_state, log_habit) + state_prior + habit_prior

    def result(self, history: list[float], converged: bool) -> Mace:
        bounds = np.array(history)
        return Mace(self.posterior, self.state[:, 0], self.habit, bounds, converged, len(bounds), bounds[-1:])

    def _e_step(self, log_state: FloatArray, log_habit: FloatArray) -> float:
        """Sets the posterior and how many labels of each cell (a, k) were known and spammed; returns log p(labels)."""
        self.posterior = np.empty((0, self.num_classes))  # frees the old one before the next is allocated
        log_wrong = log_state[:, 1:] + log_habit
        log_right = np.logaddexp(log_wrong, log_state[:, :1])
        self.posterior = (self.labels @ (log_right - log_wrong).ravel()).reshape(-1, self.num_classes)
        evidence = softmax_in_place(pin_scores(self.posterior, self.gold)) - self.num_items * np.log(self.num_classes)
        right = (self.labels.T @ self.posterior.ravel()).reshape(self.counts.shape)
        self.knew: FloatArray = right * np.exp(log_state[:, :1] - log_right)
        self.spammed: FloatArray = self.counts - self.knew
        return float(evidence + (self.counts * log_wrong).sum())

    def _m_step(self, counts: FloatArray, pseudo: float) -> tuple[FloatArray, FloatArray, float]:
        """Returns the rows' means, the logarithms that the E step uses, and what the prior adds to the bound."""
        alpha = counts + pseudo
        total = alpha.sum(axis=1, keepdims=True)
        if not self.bayes:
            logs = np.log(alpha / total)
            return alpha / total, logs, pseudo * float(logs.sum())
        logs = scipy.special.digamma(alpha) - scipy.special.digamma(total)
        divergence = (counts * logs).sum() - log_beta(alpha).sum() + log_beta(np.full_like(alpha, pseudo)).sum()
        return alpha / total, logs, -float(divergence)

"""MACE: each annotator either knows the answer or spams with a habit of their own."""

from typing import Literal, NamedTuple

import numpy as np
import scipy
from scipy import sparse

from hilmix.errors import ConfigError
from hilmix.functional.aggregation.cells import Cells, stored
from hilmix.functional.aggregation.rounds import require_counts, run_rounds
from hilmix.functional.aggregation.sparse_posterior import Posterior, SparsePosterior
from hilmix.functional.aggregation.vote_table import FloatArray, IntArray, Votes
from hilmix.functional.aggregation.votes import OnRound, entries
from hilmix.functional.grouped import sum_by_group
from hilmix.functional.sizes import bytes_needed, require_memory


class Mace(NamedTuple):
    """Result of :func:`mace`, from the restart with the highest last ``log_likelihood``."""

    posterior: Posterior
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
    O(L + N): two products with one sparse matrix, and the habits of labels that an annotator has used, as the others
    have no counts. ``vb`` puts Beta(0.5, 0.5) on ``knows`` and Dirichlet(10) on ``habit``; ``em`` adds 0.01 / K to
    every expected count, as the authors' program does. Repeated labels of an annotator for an item count as
    independent.

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
    require_memory("MACE", bytes_needed(**sizes, per_annotator=3), **sizes)
    used = _UsedLabels.of(table)
    best: Mace | None = None
    bounds: list[float] = []
    done, least = 0, tolerance * len(table.item)
    # A stream per restart: crowd-kit reuses the seed, so that its ten restarts are one.
    for child in np.random.SeedSequence(seed).spawn(restarts):
        rng = np.random.default_rng(child)
        fit = _Fit(used, method == "vb", rng)
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


class _UsedLabels(NamedTuple):
    """The U pairs of an annotator and a class that occur, and the cells of items that their labels belong to."""

    cells: Cells
    annotator: IntArray
    """(U,) int64."""
    label: IntArray
    """(U,) int64."""
    entries: sparse.csr_array
    """(M, U): weight of labels k of annotator a for item i, in the row of (i, k) and the column of (a, k)."""
    counts: FloatArray
    """(U,) number of labels."""
    num_annotators: int

    @classmethod
    def of(cls, table: Votes) -> "_UsedLabels":
        votes, k = entries(table), table.num_classes
        cells = Cells.of(table, votes)
        pairs, column = np.unique(votes.annotator * k + votes.label, return_inverse=True)
        shape = (len(cells.item), len(pairs))
        index = np.int32 if max(*shape, len(votes.item)) < 2**31 else np.int64  # half the memory where it fits
        place = (cells.of_entry.astype(index), column.astype(index))
        matrix = sparse.csr_array((votes.weight, place), shape=shape)
        return cls(cells, *np.divmod(pairs, k), matrix, matrix.sum(axis=0), table.num_annotators)


class _Fit:
    """One restart.

    A label k of annotator a has likelihood spams * habit[k] if its class is not the true one, and ``knows`` more if it
    is. Their ratio is all that an item's posterior needs, and it depends on the pair (a, k) alone.
    """

    def __init__(self, used: _UsedLabels, bayes: bool, rng: np.random.Generator) -> None:
        self.used, self.bayes, k = used, bayes, used.cells.num_classes
        self.pseudo = (0.5, 10.0) if bayes else (0.01 / k, 0.01 / k)
        self.posterior: SparsePosterior
        self.state, habit = random_start(used.num_annotators, k, rng)
        self.habit: FloatArray = habit[used.annotator, used.label]
        self.total = np.ones(used.num_annotators)
        self._e_step(np.log(self.state), np.log(self.habit))

    def round(self) -> float:
        """One M step and one E step; returns the bound."""
        a, k, who = self.used.num_annotators, self.used.cells.num_classes, self.used.annotator
        states = np.stack([sum_by_group(one, who, a) for one in (self.knew, self.spammed)], axis=1)
        both = np.repeat(np.arange(a), 2)
        state, log_state, state_prior, _ = self._m_step(states.ravel(), both, 2, self.pseudo[0])
        self.state, log_state = state.reshape(a, 2), log_state.reshape(a, 2)
        self.habit, log_habit, habit_prior, self.total = self._m_step(self.spammed, who, k, self.pseudo[1])
        return self._e_step(log_state, log_habit) + state_prior + habit_prior

    def result(self, history: list[float], converged: bool) -> Mace:
        bounds, used = np.array(history), self.used
        # Labels that were never used have their pseudo-count alone.
        habit = np.repeat(self.pseudo[1] / self.total[:, None], used.cells.num_classes, axis=1)
        habit[used.annotator, used.label] = self.habit
        posterior = stored(self.posterior)
        return Mace(posterior, self.state[:, 0], habit, bounds, converged, len(bounds), bounds[-1:])

    def _e_step(self, log_state: FloatArray, log_habit: FloatArray) -> float:
        """Sets the posterior and how many labels of each pair (a, k) were known and spammed; returns log p(labels)."""
        used = self.used
        log_knows, log_spams = log_state[used.annotator, 0], log_state[used.annotator, 1]
        log_wrong = log_spams + log_habit
        log_right = np.logaddexp(log_wrong, log_knows)
        # Every label counts as wrong for all classes, and for its own the difference is added: one sparse product.
        self.posterior, evidence = used.cells.softmax(used.entries @ (log_right - log_wrong))
        right = used.entries.T @ self.posterior.prob
        self.knew: FloatArray = right * np.exp(log_knows - log_right)
        self.spammed: FloatArray = used.counts - self.knew
        evidence -= used.cells.num_items * np.log(used.cells.num_classes)
        return float(evidence + (used.counts * log_wrong).sum())

    def _m_step(
        self, counts: FloatArray, row: IntArray, width: int, pseudo: float
    ) -> tuple[FloatArray, FloatArray, float, FloatArray]:
        """Returns the means, the logarithms that the E step uses, what the prior adds to the bound, and the totals.

        Args:
            counts: of some places of A rows.
            row: of each of them.
            width: of a row; the other places have no counts.
            pseudo: added to every place.
        """
        a = self.used.num_annotators
        alpha = counts + pseudo
        total = sum_by_group(counts, row, a) + width * pseudo
        if not self.bayes:
            logs = np.log(alpha / total[row])
            unused = width - np.bincount(row, minlength=a)
            penalty = pseudo * float(logs.sum() + (unused * np.log(pseudo / total)).sum())
            return alpha / total[row], logs, penalty, total
        logs = scipy.special.digamma(alpha) - scipy.special.digamma(total)[row]
        gammaln = scipy.special.gammaln
        normalisers = (gammaln(alpha) - gammaln(pseudo)).sum() - (gammaln(total) - gammaln(width * pseudo)).sum()
        return alpha / total[row], logs, float(normalisers - (counts * logs).sum()), total

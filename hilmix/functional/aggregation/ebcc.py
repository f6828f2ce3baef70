"""EBCC: each class has subtypes, so that annotators may share mistakes."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from hilmix.errors import ConfigError
from hilmix.functional.aggregation.bcc import Combination, Pseudo, Run, require_room
from hilmix.functional.aggregation.rounds import require_counts, require_positive
from hilmix.functional.aggregation.vote_table import FloatArray, Votes
from hilmix.functional.aggregation.votes import OnRound

Start = Literal["random", "easiness"]
_OTHERS = 0.3
"""Share of an item that starts evenly over all subtypes, so that none is closed to it."""


class Ebcc(NamedTuple):
    """Result of :func:`ebcc`, from the restart with the highest last ``lower_bound``."""

    posterior: FloatArray
    """(N, K) float64, approximate p(true class | all labels); ``prior`` for items without votes."""
    recall: FloatArray
    """(A, K) float64, posterior mean of p(label k | true class k), over the subtypes of the class."""
    prior: FloatArray
    """(K,) float64, posterior mean of the class prior."""
    lower_bound: FloatArray
    """(rounds,) float64, lower bound of log p(labels), where soft answers are fractional labels. Never falls."""
    converged: bool
    """Whether the last round gained no more than the tolerance."""
    rounds: int
    """Number of rounds."""
    restarts: FloatArray
    """(restarts,) float64, the last ``lower_bound`` of every restart."""


def ebcc(
    table: Votes,
    *,
    subtypes: int = 10,
    right: float = 4.0,
    wrong: float = 1.0,
    class_count: float = 1.0,
    subtype_count: float = 0.1,
    start: Start = "random",
    restarts: int = 10,
    seed: int = 0,
    tolerance: float = 1e-6,
    max_rounds: int = 500,
    on_round: OnRound | None = None,
) -> Ebcc:
    """Returns the best of several variational posteriors of enhanced Bayesian classifier combination.

    An item has a class and one of M subtypes of that class; an annotator has a distribution over labels for each
    subtype. Labels are independent given the subtype, but not given the class. Class and subtype of an item share one
    factor of the approximation. A round sets the posteriors of the parameters given those factors, then the factors;
    time of a round and memory are O((L + N) K M). A start spreads each item's shares of the votes over the subtypes:
    evenly from the simplex at random, or by how easy the item is, of which there is one. Repeated labels of an
    annotator for an item count as independent.

    Args:
        table: the votes, rows in any order.
        subtypes: M, at least 1; 1 is :func:`~hilmix.functional.aggregation.ibcc`.
        right: Dirichlet parameter of the right label for each annotator and subtype, > 0.
        wrong: Dirichlet parameter of each wrong label, > 0.
        class_count: Dirichlet parameter of each class in the class prior, > 0.
        subtype_count: Dirichlet parameter of all subtypes of a class together, > 0; small values leave most unused.
        start: ``random`` subtypes, or one start from M groups of ``easiness`` of equal size: an item is easier the
            more its labels agree with the shares of the votes than those annotators' labels do elsewhere.
        restarts: number of random starts, at least 1; without effect for ``easiness``.
        seed: of the random starts; the first starts of a longer list are those of a shorter one.
        tolerance: stop a restart when a round raises the bound by no more than this per label.
        max_rounds: of each restart, at least 1.
        on_round: called with the number of rounds done over all restarts.

    Raises:
        DataError: where this would fill the memory.
        ConfigError: for a parameter that is not positive, another start, no subtypes, no restarts or no rounds.

    Reference:
        Y. Li, B. Rubinstein and T. Cohn, Exploiting worker correlation for label aggregation in crowdsourcing, ICML
        2019, sections 4 and 5 (the model, its mean-field updates and the defaults). Differs from the paper: a start
        draws an item's subtypes alike for all classes, so that the order of the classes does not matter; a start that
        draws nothing; stops by the bound; soft answers.
    """
    require_positive("EBCC", right=right, wrong=wrong, class_count=class_count, subtype_count=subtype_count)
    require_counts("EBCC", subtypes=subtypes, restarts=restarts, max_rounds=max_rounds)
    if start not in ("random", "easiness"):
        raise ConfigError(f"EBCC: `start` must be 'random' or 'easiness', got '{start}'.")
    require_room("EBCC", table, subtypes)
    model = Combination(table, subtypes, Pseudo(right, wrong, class_count, subtype_count))
    best: Run | None = None
    bounds: list[float] = []
    done = 0
    least = tolerance * len(table.item)
    for spread in _spreads(model, start, restarts, seed):
        run = model.fit(spread, least=least, max_rounds=max_rounds, on_round=on_round, done=done)
        done += len(run.history)
        bounds.append(float(run.history[-1]))
        # Strictly: of equal bounds the first start counts, so that more restarts change nothing without a gain.
        if best is None or bounds[-1] > best.history[-1]:
            best = run
    assert best is not None
    rounds = len(best.history)
    return Ebcc(
        best.posterior, best.recall, best.prior, best.history, best.converged, rounds, restarts=np.array(bounds)
    )


def _spreads(model: Combination, start: Start, restarts: int, seed: int) -> Iterator[FloatArray]:
    """(voted items, M) for each start."""
    size = (len(model.shares), model.subtypes)
    if start == "random":
        # A stream per start: further restarts leave the first ones as they were.
        for child in np.random.SeedSequence(seed).spawn(restarts):
            yield np.random.default_rng(child).dirichlet(np.ones(size[1]), size[0])
        return
    easiness = model.easiness()
    # the mean rank of equal values: the order of the items must not decide
    _, group, number = np.unique(easiness, return_inverse=True, return_counts=True)
    middle = (np.cumsum(number) - number / 2)[group] / max(1, size[0])
    spread = np.full(size, _OTHERS / size[1])
    spread[np.arange(size[0]), np.minimum((middle * size[1]).astype(np.int64), size[1] - 1)] += 1 - _OTHERS
    yield spread

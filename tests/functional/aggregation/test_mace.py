import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import digamma, gammaln

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, mace
from hilmix.functional.aggregation.mace import random_start
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items

SIZES = {"num_items": 6, "num_annotators": 3, "num_classes": 3}


def start(seed, num_annotators=3, num_classes=3):
    return random_start(num_annotators, num_classes, np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0]))


def kl(alpha, prior):
    """Between Dirichlet distributions, by the textbook formula."""
    total = sum(alpha)
    value = (
        gammaln(total) - gammaln(sum(prior)) + sum(gammaln(p) - gammaln(a) for a, p in zip(alpha, prior, strict=True))
    )
    return value + sum((a - p) * (digamma(a) - digamma(total)) for a, p in zip(alpha, prior, strict=True))


def slow_e_step(votes, state, habit, n, k):
    """Sums over the true class and over whether each annotator knew, one answer at a time."""
    known, spammed = np.zeros(len(state)), np.zeros(habit.shape)
    posterior, evidence = [], 0.0
    for i in range(n):
        joint = [1 / k] * k
        for j, a, share in votes:
            if j == i:
                for c in range(k):
                    joint[c] *= math.prod(
                        (state[a][0] * (c == s) + state[a][1] * habit[a][s]) ** share[s] for s in range(k)
                    )
        evidence += math.log(sum(joint))
        posterior.append([p / sum(joint) for p in joint])
    for i, a, share in votes:
        for c in range(k):
            for s in range(k):
                knew = state[a][0] * (c == s) / (state[a][0] * (c == s) + state[a][1] * habit[a][s])
                known[a] += posterior[i][c] * share[s] * knew
                spammed[a][s] += posterior[i][c] * share[s] * (1 - knew)
    return posterior, evidence, known, spammed


def slow_mace(votes, rounds, method, state, habit, n, k):
    posterior, _, known, spammed = slow_e_step(votes, state, habit, n, k)
    priors = (0.5, 10.0) if method == "vb" else (0.01 / k, 0.01 / k)
    bounds = []
    for _ in range(rounds):
        rows = [
            ([known[a] + priors[0], sum(spammed[a]) + priors[0]], [x + priors[1] for x in spammed[a]])
            for a in range(len(state))
        ]
        bonus = 0.0
        for a, pair in enumerate(rows):
            for counts, prior, out in zip(pair, priors, (state, habit), strict=True):
                total = sum(counts)
                if method == "vb":
                    out[a] = [math.exp(digamma(x) - digamma(total)) for x in counts]
                    bonus -= kl(counts, [prior] * len(counts))
                else:
                    out[a] = [x / total for x in counts]
                    bonus += prior * sum(math.log(x / total) for x in counts)
        posterior, evidence, known, spammed = slow_e_step(votes, state, habit, n, k)
        bounds.append(evidence + bonus)
    return posterior, bounds, rows


@pytest.mark.parametrize("method", ["vb", "em"])
@pytest.mark.parametrize("soft", [False, True])
def test_mace_equals_the_loops(method, soft):
    table = random_table(1, soft=soft, repeats=3)
    fast = mace(table, method=method, restarts=1, seed=5, max_rounds=6, tolerance=-np.inf)
    posterior, bounds, rows = slow_mace(loose(table), 6, method, *start(5), 6, 3)
    np.testing.assert_allclose(fast.posterior, posterior, atol=1e-9)
    np.testing.assert_allclose(fast.log_likelihood, bounds, atol=1e-9)
    np.testing.assert_allclose(fast.knows, [pair[0] / sum(pair) for pair, _ in rows], atol=1e-9)
    np.testing.assert_allclose(fast.habit, [np.array(shares) / sum(shares) for _, shares in rows], atol=1e-9)


@given(
    seed=st.integers(0, 10_000),
    density=st.floats(0, 1),
    num_classes=st.integers(1, 5),
    soft=st.booleans(),
    method=st.sampled_from(["vb", "em"]),
)
def test_the_history_never_falls(seed, density, num_classes, soft, method):
    table = random_table(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density, soft=soft)
    fit = mace(table, method=method, restarts=2, seed=seed, tolerance=1e-9, max_rounds=40)
    assert np.diff(fit.log_likelihood).min(initial=0) >= -1e-9
    np.testing.assert_allclose(fit.posterior.sum(1), 1)
    np.testing.assert_allclose(fit.habit.sum(1), 1)
    assert ((fit.knows >= 0) & (fit.knows <= 1)).all()


def test_restarts_differ_and_the_best_is_kept():
    table = random_table(2, num_items=20, num_annotators=6, density=0.5)
    several = mace(table, restarts=5, method="em", max_rounds=3, tolerance=-np.inf)
    assert len(np.unique(several.restarts)) == 5
    assert several.log_likelihood[-1] == several.restarts.max()
    first = mace(table, restarts=1, method="em", max_rounds=3, tolerance=-np.inf)
    assert first.restarts[0] == several.restarts[0]
    other = mace(table, restarts=1, method="em", max_rounds=3, tolerance=-np.inf, seed=1)
    assert other.restarts[0] not in several.restarts
    again = mace(table, restarts=5, method="em", max_rounds=3, tolerance=-np.inf)
    np.testing.assert_array_equal(again.posterior, several.posterior)


def test_the_order_of_the_rows_does_not_matter():
    table = random_table(3, num_items=30, num_annotators=5)
    np.testing.assert_allclose(mace(shuffled(table)).posterior, mace(table).posterior, atol=1e-9)


def test_items_without_labels_are_even_and_do_not_move_the_rest():
    table = random_table(4)
    alone, among = mace(table), mace(with_empty_items(table, 9))
    np.testing.assert_allclose(among.posterior[:6], alone.posterior, atol=1e-9)
    np.testing.assert_allclose(among.posterior[6:], 1 / 3)
    np.testing.assert_allclose(among.log_likelihood, alone.log_likelihood)


def test_mace_separates_spammers_and_their_habits_from_good_annotators():
    rng = np.random.default_rng(0)
    knows = np.array([0.9, 0.8, 0.7, 0.0, 0.0, 0.0])
    truth = rng.integers(0, 3, 3000)
    item, annotator = np.repeat(np.arange(3000), 6), np.tile(np.arange(6), 3000)
    habit = np.full((6, 3), 1 / 3)
    habit[3] = [0.9, 0.05, 0.05]
    spam = (rng.random(len(item))[:, None] > habit.cumsum(1)[annotator]).sum(1)
    label = np.where(rng.random(len(item)) < knows[annotator], truth[item], spam)
    fit = mace(VoteTable(item, annotator, label, num_items=3000, num_annotators=6, num_classes=3))
    assert fit.converged
    np.testing.assert_allclose(fit.knows, knows, atol=0.05)
    np.testing.assert_allclose(fit.habit[3], habit[3], atol=0.03)
    assert (fit.posterior.argmax(1) == truth).mean() > 0.97


@pytest.mark.parametrize("wrong", [{"method": "map"}, {"restarts": 0}, {"max_rounds": 0}])
def test_settings_that_cannot_work_are_named(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}`.*got"):
        mace(random_table(0), **wrong)

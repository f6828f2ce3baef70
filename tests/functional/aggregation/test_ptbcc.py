import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats
from scipy.special import gammaln

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, dawid_skene, ptbcc, soft_labels, vote_counts
from tests.functional.aggregation.bcc_loops import expected_logs, label_prior
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items

PSEUDO = (4.0, 1.0, 1.0, 1.0)


def slow_ptbcc(votes, rounds, start, sizes, pseudo=PSEUDO):
    """The factors with loops: of every label one over prototypes for each class of its item; and the bound."""
    a, k, s = sizes
    right, wrong, classes, proportions = pseudo
    items, q = list(start), {i: list(row) for i, row in start.items()}
    log_theta = [[-math.log(s)] * s for _ in range(a)]
    accuracy = [1 / k + (1 - 1 / k) * (p + 1) / (s + 1) for p in range(s)]
    log_pi = [[[math.log(x if c == y else (1 - x) / (k - 1)) for y in range(k)] for c in range(k)] for x in accuracy]
    bounds = []
    for done in range(rounds + 1):
        # prototypes of every label, by the parameters and the class
        part = {}
        for index, (_, who, _) in enumerate(votes):
            for c, y in itertools.product(range(k), range(k)):
                weight = [math.exp(log_theta[who][p] + log_pi[p][c][y]) for p in range(s)]
                part[index, c, y] = [w / sum(weight) for w in weight]
        if done == rounds:
            break
        theta = [[proportions / s] * s for _ in range(a)]
        pi = [label_prior(k, right, wrong) for _ in range(s)]
        tau = [classes + sum(q[i][c] for i in items) for c in range(k)]
        for index, (i, who, share) in enumerate(votes):
            for c, y, p in itertools.product(range(k), range(k), range(s)):
                weight = q[i][c] * share[y] * part[index, c, y][p]
                theta[who][p] += weight
                pi[p][c][y] += weight
        log_theta, log_pi = [expected_logs(row) for row in theta], [[expected_logs(r) for r in m] for m in pi]
        log_tau, value = expected_logs(tau), 0.0
        for i in items:
            score = []
            for c in range(k):
                total = log_tau[c]
                for j, who, share in votes:
                    if j == i:
                        for y in range(k):
                            inner = sum(math.exp(log_theta[who][p] + log_pi[p][c][y]) for p in range(s))
                            total += share[y] * math.log(inner)
                score.append(total)
            top = max(score)
            normaliser = top + math.log(sum(math.exp(x - top) for x in score))
            q[i] = [math.exp(x - normaliser) for x in score]
            value += normaliser
        rows = [(tau, [classes] * k)] + [(row, [proportions / s] * s) for row in theta]
        rows += [(pi[p][c], label_prior(k, right, wrong)[c]) for p in range(s) for c in range(k)]
        for alpha, prior in rows:
            if len(alpha) > 1:  # expected log-density under the prior plus the entropy
                logs = expected_logs(alpha)
                value += gammaln(sum(prior)) + sum((x - 1) * y - gammaln(x) for x, y in zip(prior, logs, strict=True))
                value += float(stats.dirichlet(alpha).entropy())
        bounds.append(value)
    return q, bounds


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("prototypes", [1, 3])
def test_ptbcc_equals_the_loops(prototypes, soft):
    table = random_table(1, num_items=6, num_annotators=3, soft=soft, repeats=2)
    shares = soft_labels(vote_counts(table))
    start = {i: shares[i].tolist() for i in sorted(set(table.item.tolist()))}
    q, bounds = slow_ptbcc(loose(table), 3, start, (3, 3, prototypes))
    fast = ptbcc(table, prototypes=prototypes, max_rounds=3, tolerance=-np.inf)
    np.testing.assert_allclose(fast.posterior[list(q)], list(q.values()), atol=1e-10)
    np.testing.assert_allclose(fast.lower_bound, bounds, atol=1e-8)


@given(
    seed=st.integers(0, 10_000),
    density=st.floats(0, 1),
    num_classes=st.integers(1, 4),
    prototypes=st.integers(1, 4),
    soft=st.booleans(),
)
def test_the_bound_never_falls(seed, density, num_classes, prototypes, soft):
    table = random_table(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density, soft=soft)
    fit = ptbcc(table, prototypes=prototypes, tolerance=1e-9, max_rounds=40)
    assert np.diff(fit.lower_bound).min(initial=0) >= -1e-9
    np.testing.assert_allclose(fit.posterior.sum(1), 1)
    np.testing.assert_allclose(fit.prototypes.sum(2), 1)
    np.testing.assert_allclose(fit.proportions.sum(1), 1)


def test_two_kinds_of_annotators_are_separated_by_few_labels_each():
    """Four labels each are too few for a matrix of one's own, and enough for all 300 together."""
    rng = np.random.default_rng(0)
    truth, kind = rng.integers(0, 3, 240), rng.random(300) < 0.5
    item = np.concatenate([np.arange(240).repeat(5)])
    annotator = rng.permutation(np.arange(300).repeat(4))
    swap = np.array([1, 0, 2])  # the other kind takes the first two classes for each other
    given = np.where(kind[annotator], truth[item], swap[truth[item]])
    table = VoteTable(item, annotator, np.where(rng.random(1200) < 0.9, given, 2), 240, 300, 3)
    shared = ptbcc(table, prototypes=2, right=2.0, wrong=1.0)
    single = dawid_skene(table)
    third = truth == 2
    assert (shared.posterior[third].argmax(1) == 2).mean() > 0.9
    assert shared.converged
    assert shared.prototypes.shape == (2, 3, 3)
    assert single.confusion.shape == (300, 3, 3)


def test_neither_the_order_of_the_rows_nor_the_names_matter():
    table, rename = random_table(5, num_items=40), np.array([2, 0, 1])
    moved = shuffled(replace(table, annotator=rename[table.annotator], label=rename[table.label]))
    plain, other = (ptbcc(one, max_rounds=50, tolerance=-np.inf) for one in (table, moved))
    np.testing.assert_allclose(other.posterior[:, rename], plain.posterior, atol=1e-6)
    np.testing.assert_allclose(other.recall[rename][:, rename], plain.recall, atol=1e-6)


def test_items_and_annotators_without_labels_get_the_prior_and_move_nothing():
    table = random_table(1)
    alone, among = ptbcc(table), ptbcc(replace(with_empty_items(table, 50), num_annotators=5))
    np.testing.assert_allclose(among.posterior[:6], alone.posterior)
    np.testing.assert_allclose(among.posterior[6:], np.tile(alone.prior, (50, 1)))
    np.testing.assert_allclose(among.proportions[3:], 1 / 5)
    np.testing.assert_allclose(among.lower_bound, alone.lower_bound)


@pytest.mark.parametrize(
    "wrong",
    [
        {"right": 0.0},
        {"wrong": -1.0},
        {"class_count": math.inf},
        {"proportion_count": 0.0},
        {"prototypes": 0},
        {"max_rounds": 0},
    ],
)
def test_settings_that_cannot_work_are_named(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}`.*got"):
        ptbcc(random_table(0), **wrong)

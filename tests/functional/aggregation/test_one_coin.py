import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, dawid_skene, one_coin, zencrowd
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items

N, A, K = 6, 3, 3


def chance(accuracy, given_class, true_class, k):
    return accuracy if given_class == true_class else (1 - accuracy) / max(1, k - 1)


def slow_e_step(votes, accuracy, prior, n):
    """Products of probabilities; returns the posterior and log p(labels)."""
    k, posterior, evidence = len(prior), [], 0.0
    for i in range(n):
        joint = [
            prior[c] * math.prod(chance(accuracy[a], s, c, k) ** q[s] for j, a, q in votes if j == i for s in range(k))
            for c in range(k)
        ]
        evidence += math.log(sum(joint))
        posterior.append([x / sum(joint) for x in joint])
    return posterior, evidence


def slow_one_coin(votes, rounds, learned, right=2.0, wrong=1.0, class_count=1.0, n=N, a=A, k=K):
    voted = sorted({i for i, _, _ in votes})
    posterior = [[1 / k] * k for _ in range(n)]
    for i in voted:
        shares = [sum(q[c] for j, _, q in votes if j == i) for c in range(k)]
        posterior[i] = [s / sum(shares) for s in shares]
    history = []
    for _ in range(rounds):
        prior = [1 / k] * k
        if learned:
            prior = [sum(posterior[i][c] for i in voted) + class_count for c in range(k)]
            prior = [p / sum(prior) for p in prior]
        accuracy = []
        for who in range(a):
            own = [(i, q) for i, w, q in votes if w == who]
            agreed = sum(posterior[i][c] * q[c] for i, q in own for c in range(k))
            accuracy.append((right + agreed) / (right + wrong + sum(sum(q) for _, q in own)))
        posterior, evidence = slow_e_step(votes, accuracy, prior, n)
        density = sum(right * math.log(p) + wrong * math.log(1 - p) for p in accuracy)
        history.append(evidence + density + learned * class_count * sum(map(math.log, prior)))
    return posterior, accuracy, prior, history


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_one_coin_and_zencrowd_equal_the_loops(seed, soft, learned):
    table = random_table(seed, soft=soft, repeats=3)
    fast = (one_coin if learned else zencrowd)(table, max_rounds=7, tolerance=-np.inf)
    posterior, accuracy, prior, history = slow_one_coin(loose(table), 7, learned)
    np.testing.assert_allclose(fast.posterior, posterior, atol=1e-12)
    np.testing.assert_allclose(fast.accuracy, accuracy, atol=1e-12)
    np.testing.assert_allclose(fast.prior, prior, atol=1e-12)
    np.testing.assert_allclose(fast.log_likelihood, history, atol=1e-10)


def test_the_fit_is_a_stationary_point_of_the_penalised_likelihood():
    table = random_table(7, num_items=30, num_annotators=4, density=0.9)
    votes, fit = loose(table), one_coin(table, tolerance=1e-14, max_rounds=3000)

    def objective(accuracy, logits):
        prior = np.exp(logits) / np.exp(logits).sum()
        value = slow_e_step(votes, accuracy, prior, 30)[1] + np.log(prior).sum()
        return value + sum(2 * math.log(p) + math.log(1 - p) for p in accuracy)

    step, logits = 1e-5, np.log(fit.prior)
    for a in range(4):
        ends = [objective(fit.accuracy + sign * step * np.eye(4)[a], logits) for sign in (1, -1)]
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(0, abs=1e-3)
    for c in range(3):
        ends = [objective(fit.accuracy, logits + sign * step * np.eye(3)[c]) for sign in (1, -1)]
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(0, abs=1e-3)


def test_one_coin_is_dawid_skene_where_one_annotator_has_symmetric_answers():
    """All K labels alike often for every true class: the matrix of Dawid-Skene has two distinct values by itself."""
    item, label = np.repeat(np.arange(30), 10), np.tile(np.r_[np.zeros(8, int), 1, 2], 30)
    label = (label + item) % 3
    table = VoteTable(item, np.zeros(300, dtype=np.int64), label, 30, 1, 3)
    full, tied = dawid_skene(table, tolerance=1e-13), one_coin(table, right=6.0, wrong=3.0, tolerance=1e-13)
    np.testing.assert_allclose(full.confusion[0].diagonal(), tied.accuracy[0], atol=1e-6)
    np.testing.assert_allclose(full.posterior, tied.posterior, atol=1e-6)


@given(seed=st.integers(0, 10_000), density=st.floats(0, 1), num_classes=st.integers(1, 5), soft=st.booleans())
def test_the_history_never_falls(seed, density, num_classes, soft):
    table = random_table(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density, soft=soft)
    for fit in (one_coin(table, tolerance=1e-9, max_rounds=60), zencrowd(table, tolerance=1e-9, max_rounds=60)):
        assert np.diff(fit.log_likelihood).min(initial=0) >= -1e-9
        np.testing.assert_allclose(fit.posterior.sum(1), 1)
        assert ((fit.accuracy > 0) & (fit.accuracy < 1)).all()


@pytest.mark.parametrize("method", [one_coin, zencrowd])
def test_neither_the_order_of_the_rows_nor_the_names_matter(method):
    table, rename = random_table(5, num_items=40), np.array([2, 0, 1])
    moved = shuffled(replace(table, annotator=rename[table.annotator], label=rename[table.label]))
    plain, other = method(table), method(moved)
    np.testing.assert_allclose(other.posterior[:, rename], plain.posterior, atol=1e-9)
    np.testing.assert_allclose(other.accuracy[rename], plain.accuracy, atol=1e-9)


@pytest.mark.parametrize("method", [one_coin, zencrowd])
def test_items_without_labels_get_the_prior_and_do_not_move_the_rest(method):
    table = random_table(1)
    alone, among = method(table), method(with_empty_items(table, 50))
    np.testing.assert_allclose(among.posterior[:N], alone.posterior)
    np.testing.assert_allclose(among.posterior[N:], np.tile(alone.prior, (50, 1)))


def test_annotators_without_labels_have_the_accuracy_of_the_prior():
    none = np.empty(0, dtype=np.int64)
    np.testing.assert_allclose(one_coin(VoteTable(none, none, none, 2, 3, 4), right=3.0, wrong=1.0).accuracy, 0.75)


def test_accuracies_and_class_shares_are_recovered():
    rng = np.random.default_rng(0)
    accuracy, shares = np.array([0.9, 0.8, 0.6, 0.35, 0.1]), np.array([0.7, 0.2, 0.1])
    truth = rng.choice(3, 8000, p=shares)
    item, annotator = np.repeat(np.arange(8000), 5), np.tile(np.arange(5), 8000)
    wrong = (truth[item] + rng.integers(1, 3, len(item))) % 3
    label = np.where(rng.random(len(item)) < accuracy[annotator], truth[item], wrong)
    table = VoteTable(item, annotator, label, 8000, 5, 3)
    fit = one_coin(table)
    np.testing.assert_allclose(fit.accuracy, accuracy, atol=0.02)
    np.testing.assert_allclose(fit.prior, shares, atol=0.02)
    assert fit.converged
    assert (fit.posterior.argmax(1) == truth).mean() > (zencrowd(table).posterior.argmax(1) == truth).mean()


@pytest.mark.parametrize(
    "wrong", [{"class_prior": "even"}, {"right": 0.0}, {"wrong": -1.0}, {"class_count": math.inf}, {"max_rounds": 0}]
)
def test_settings_that_cannot_work_are_named(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}`.*got"):
        one_coin(random_table(0), **wrong)

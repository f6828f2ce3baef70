import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, dawid_skene

N, A, K = 6, 3, 3


def random_votes(seed, *, num_items=N, num_annotators=A, num_classes=K, density=0.7):
    rng = np.random.default_rng(seed)
    item, annotator = np.nonzero(rng.random((num_items, num_annotators)) < density)
    shuffled = rng.permutation(len(item))
    return item[shuffled], annotator[shuffled], rng.integers(0, num_classes, len(item))


def slow_dawid_skene(votes, *, sizes, rounds, right=2.0, wrong=1.0, class_count=1.0):
    """The three update rules of the paper with loops over everything. ``votes`` are (item, annotator, shares of K)."""
    n, a, k = sizes
    voted = sorted({i for i, _, _ in votes})
    posterior = [[1 / k] * k for _ in range(n)]
    for i in voted:
        shares = [sum(q[c] for j, _, q in votes if j == i) for c in range(k)]
        posterior[i] = [s / sum(shares) for s in shares]
    bounds = []
    for _ in range(rounds):
        prior = [sum(posterior[i][c] for i in voted) + class_count for c in range(k)]
        prior = [p / sum(prior) for p in prior]
        pseudo = [[right if c == s else wrong / max(1, k - 1) for s in range(k)] for c in range(k)]
        confusion = [[list(row) for row in pseudo] for _ in range(a)]
        for i, who, q in votes:
            for c in range(k):
                for s in range(k):
                    confusion[who][c][s] += posterior[i][c] * q[s]
        confusion = [[[x / sum(row) for x in row] for row in matrix] for matrix in confusion]
        bound = sum(class_count * math.log(p) for p in prior)
        bound += sum(pseudo[c][s] * math.log(confusion[w][c][s]) for w in range(a) for c in range(k) for s in range(k))
        for i in range(n):
            joint = list(prior)
            for j, who, q in votes:
                if j == i:
                    joint = [joint[c] * math.prod(confusion[who][c][s] ** q[s] for s in range(k)) for c in range(k)]
            bound += math.log(sum(joint))
            posterior[i] = [x / sum(joint) for x in joint]
        bounds.append(bound)
    return posterior, confusion, prior, bounds


def fit(item, annotator, label, *, sizes=(N, A, K), probs=None, **kwargs):
    return dawid_skene(VoteTable(item, annotator, label, *sizes, probs), **kwargs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("soft", [False, True])
def test_dawid_skene_equals_the_loops(seed, soft):
    item, annotator, label = random_votes(seed)
    shares = np.random.default_rng(seed).dirichlet(np.ones(K), len(item)) if soft else np.eye(K)[label]
    fast = fit(item, annotator, label, probs=shares if soft else None, max_rounds=7, tolerance=-np.inf)
    votes = [(int(i), int(a), q.tolist()) for i, a, q in zip(item, annotator, shares, strict=True)]
    posterior, confusion, prior, bounds = slow_dawid_skene(votes, sizes=(N, A, K), rounds=fast.rounds)
    np.testing.assert_allclose(fast.posterior, posterior, atol=1e-12)
    np.testing.assert_allclose(fast.confusion, confusion, atol=1e-12)
    np.testing.assert_allclose(fast.prior, prior, atol=1e-12)
    np.testing.assert_allclose(fast.log_likelihood, bounds, atol=1e-10)


@given(seed=st.integers(0, 10_000), density=st.floats(0, 1), num_classes=st.integers(1, 5), right=st.floats(0.01, 9))
def test_the_bound_never_falls(seed, density, num_classes, right):
    votes = random_votes(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density)
    result = fit(*votes, sizes=(12, 5, num_classes), right=right, tolerance=1e-9, max_rounds=60)
    assert np.diff(result.log_likelihood).min(initial=0) >= -1e-9
    np.testing.assert_allclose(result.posterior.sum(1), 1)
    np.testing.assert_allclose(result.confusion.sum(2), 1)


def test_dawid_skene_does_not_depend_on_the_order_of_the_rows_or_the_names():
    item, annotator, label = random_votes(5, num_items=40)
    sizes = (40, A, K)
    plain = fit(item, annotator, label, sizes=sizes)
    order = np.random.default_rng(0).permutation(len(item))
    rename = np.array([2, 0, 1])
    moved = fit(item[order], rename[annotator[order]], rename[label[order]], sizes=sizes)
    np.testing.assert_allclose(moved.posterior[:, rename], plain.posterior, atol=1e-9)
    np.testing.assert_allclose(moved.confusion[rename][:, rename][:, :, rename], plain.confusion, atol=1e-9)


def test_hard_answers_given_as_probs_change_nothing():
    item, annotator, label = random_votes(3)
    np.testing.assert_allclose(
        fit(item, annotator, label, probs=np.eye(K)[label]).posterior, fit(item, annotator, label).posterior, atol=1e-12
    )


def test_items_without_labels_get_the_prior_and_do_not_move_the_rest():
    item, annotator, label = random_votes(1)
    alone, among = fit(item, annotator, label), fit(item, annotator, label, sizes=(N + 50, A, K))
    np.testing.assert_allclose(among.posterior[:N], alone.posterior)
    np.testing.assert_allclose(among.posterior[N:], np.tile(alone.prior, (50, 1)))


def test_an_empty_table_gives_the_pseudo_counts():
    none = np.empty(0, dtype=np.int64)
    result = fit(none, none, none, right=6.0, wrong=4.0)
    np.testing.assert_allclose(result.posterior, np.full((N, K), 1 / K))
    np.testing.assert_allclose(result.confusion[1], [[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6]])
    assert result.converged


@pytest.mark.parametrize("sizes", [(4, 2, 1), (4, 1, 3), (1, 1, 1), (0, 0, 2)])
def test_one_class_one_annotator_no_item_are_legal(sizes):
    n, a, k = sizes
    item, annotator, label = random_votes(0, num_items=n, num_annotators=a, num_classes=k, density=1.0)
    result = fit(item, annotator, label, sizes=sizes)
    assert result.posterior.shape == (n, k)
    assert np.isfinite(result.posterior).all()
    assert np.isfinite(result.log_likelihood).all()


def test_dawid_skene_recovers_annotators_and_uses_those_who_are_always_wrong():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 20_000)
    right = np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    item, annotator = np.repeat(np.arange(20_000), 5), np.tile(np.arange(5), 20_000)
    label = np.where(rng.random(100_000) < right[annotator], truth[item], 1 - truth[item])
    result = fit(item, annotator, label, sizes=(20_000, 5, 2))
    diagonal = result.confusion[:, [0, 1], [0, 1]].mean(1)
    np.testing.assert_allclose(diagonal, right, atol=0.015)
    optimal = np.sign(((2 * label - 1) * np.log(right / (1 - right))[annotator]).reshape(-1, 5).sum(1)) > 0
    assert (result.posterior.argmax(1) == optimal).mean() > 0.98
    assert result.converged


@pytest.mark.parametrize("wrong", [{"right": 0.0}, {"wrong": -1.0}, {"class_count": math.inf}, {"max_rounds": 0}])
def test_settings_that_cannot_work_are_named(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}`.*got"):
        fit(*random_votes(0), **wrong)

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.optimize import minimize

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, glad, majority
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items

RUN_ON = {"tolerance": -np.inf}


def label_log_probs(share, right, x, num_classes):
    """log p(answer | whether this class is the true one), by the definition of the model."""
    sigmoid = 1 / (1 + math.exp(-x))
    others = max(1, num_classes - 1)
    return sum(q * math.log(sigmoid if k == right else (1 - sigmoid) / others) for k, q in enumerate(share))


def slow_e_step(votes, ability, log_easiness, k):
    n = len(log_easiness)
    posterior, evidence = [], 0.0
    for i in range(n):
        joint = [1 / k] * k
        for j, a, share in votes:
            if j == i:
                x = ability[a] * math.exp(log_easiness[i])
                joint = [joint[c] * math.exp(label_log_probs(share, c, x, k)) for c in range(k)]
        evidence += math.log(sum(joint))
        posterior.append([p / sum(joint) for p in joint])
    return posterior, evidence


def slow_glad(votes, sizes, rounds):
    """The paper's E step and an M step on the full sum over answers and classes, its gradient by hand."""
    n, num_annotators, k = sizes

    def loss(z, posterior):
        value, slope = -0.5 * sum((z - 1) ** 2), -(z - 1)
        for i, a, share in votes:
            b = math.exp(z[num_annotators + i])
            x = z[a] * b
            for c in range(k):
                value += posterior[i][c] * label_log_probs(share, c, x, k)
                step = posterior[i][c] * (share[c] - 1 / (1 + math.exp(-x)))
                slope[a] += step * b
                slope[num_annotators + i] += step * z[a] * b
        return -value, -slope

    z = np.ones(num_annotators + n)
    bounds = []
    for _ in range(rounds):
        posterior, _ = slow_e_step(votes, z[:num_annotators], z[num_annotators:], k)
        z = minimize(loss, z, (posterior,), "CG", jac=True, options={"maxiter": 25, "gtol": 1e-2}).x
        posterior, evidence = slow_e_step(votes, z[:num_annotators], z[num_annotators:], k)
        bounds.append(evidence - 0.5 * sum((z - 1) ** 2))
    return posterior, z[:num_annotators], np.exp(z[num_annotators:]), bounds


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("num_classes", [2, 4])
def test_glad_equals_the_loops(soft, num_classes):
    table = random_table(1, num_items=9, num_annotators=4, num_classes=num_classes, soft=soft, repeats=3)
    fast = glad(table, max_rounds=4, **RUN_ON)
    posterior, ability, easiness, bounds = slow_glad(loose(table), (9, 4, num_classes), 4)
    np.testing.assert_allclose(fast.posterior, posterior, atol=1e-6)
    np.testing.assert_allclose(fast.ability, ability, atol=1e-6)
    np.testing.assert_allclose(fast.easiness, easiness, rtol=1e-6)
    np.testing.assert_allclose(fast.log_likelihood, bounds, atol=1e-8)


def test_the_posterior_is_that_of_the_parameters_at_a_stationary_point():
    """With a tight fit no small change of any parameter raises the penalised likelihood, computed by loops."""
    table = random_table(2, num_items=7, num_annotators=3)
    fit = glad(table, tolerance=1e-13, inner_tolerance=1e-9, inner_rounds=300, max_rounds=500)
    assert fit.converged
    z = np.concatenate([fit.ability, np.log(fit.easiness)])

    def bound(z):
        return slow_e_step(loose(table), z[:3], z[3:], 3)[1] - 0.5 * sum((z - 1) ** 2)

    step = 1e-4
    slope = [(bound(z + step * e) - bound(z - step * e)) / (2 * step) for e in np.eye(len(z))]
    np.testing.assert_allclose(slope, 0, atol=1e-4)
    assert bound(z) == pytest.approx(fit.log_likelihood[-1])


@given(seed=st.integers(0, 10_000), density=st.floats(0, 1), num_classes=st.integers(1, 5), soft=st.booleans())
def test_the_history_never_falls(seed, density, num_classes, soft):
    table = random_table(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density, soft=soft)
    fit = glad(table, tolerance=1e-9, max_rounds=40)
    assert np.diff(fit.log_likelihood).min(initial=0) >= -1e-9
    np.testing.assert_allclose(fit.posterior.sum(1), 1)
    assert np.isfinite(fit.ability).all()
    assert (fit.easiness > 0).all()


def test_the_order_of_rows_and_the_names_of_classes_do_not_matter():
    table = random_table(3, num_items=30, num_annotators=5)
    plain, moved = glad(table), glad(shuffled(table))
    np.testing.assert_allclose(moved.posterior, plain.posterior, atol=1e-6)
    rename = np.array([2, 0, 1])
    renamed = glad(replace(table, label=rename[table.label]))
    np.testing.assert_allclose(renamed.posterior[:, rename], plain.posterior, atol=1e-6)


def test_items_without_labels_are_even_and_do_not_move_the_rest():
    table = random_table(4)
    alone, among = glad(table, **RUN_ON, max_rounds=5), glad(with_empty_items(table, 9), **RUN_ON, max_rounds=5)
    np.testing.assert_allclose(among.posterior[:6], alone.posterior, atol=1e-9)
    np.testing.assert_allclose(among.posterior[6:], 1 / 3)
    np.testing.assert_allclose(among.easiness[6:], math.e)


def test_glad_finds_who_is_able_and_what_is_hard():
    rng = np.random.default_rng(0)
    n = 1000
    ability, log_easiness, truth = rng.normal(0.3, 1, 30), rng.normal(0, 0.7, n), rng.integers(0, 4, n)
    item = np.repeat(np.arange(n), 10)
    annotator = rng.permuted(np.tile(np.arange(30), (n, 1)), axis=1)[:, :10].ravel()
    p = 1 / (1 + np.exp(-ability[annotator] * np.exp(log_easiness)[item]))
    wrong = (truth[item] + rng.integers(1, 4, len(item))) % 4
    label = np.where(rng.random(len(item)) < p, truth[item], wrong)
    table = VoteTable(item, annotator, label, num_items=n, num_annotators=30, num_classes=4)
    fit, vote = glad(table), majority(table).label
    assert fit.converged
    assert (fit.posterior.argmax(1) == truth).mean() > (vote == truth).mean() + 0.03
    assert np.corrcoef(fit.ability, ability)[0, 1] > 0.95
    assert np.corrcoef(np.log(fit.easiness), log_easiness)[0, 1] > 0.4


@pytest.mark.parametrize("wrong", [{"max_rounds": 0}, {"inner_rounds": 0}])
def test_no_rounds_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}`.*got 0"):
        glad(random_table(0), **wrong)

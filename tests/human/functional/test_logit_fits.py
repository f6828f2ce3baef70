"""Logit regressions against scikit-learn, scipy's optimiser and their limits."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from hilmix.errors import DataError
from hilmix.human.functional.logit_fits import fit_logit, shrunk_logit


def answers(eta, precision, rng):
    mean = expit(eta)
    return rng.beta(precision * mean, precision * (1 - mean))


def test_fit_equals_scikit_learn_with_both_outcomes_weighted():
    rng = np.random.default_rng(0)
    design = rng.normal(size=(300, 3))
    y = answers(design @ [1.0, -0.5, 0.2], 5.0, rng)
    oracle = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-12, max_iter=10_000)
    oracle.fit(np.tile(design, (2, 1)), np.repeat([1, 0], 300), sample_weight=np.concatenate([y, 1 - y]))
    np.testing.assert_allclose(fit_logit(design, y), oracle.coef_[0], atol=1e-6)


def test_dependent_columns_get_the_smallest_solution():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(100, 1))
    y = answers(x[:, 0], 8.0, rng)
    single, double = fit_logit(x, y), fit_logit(np.hstack([x, x]), y)
    np.testing.assert_allclose(double, np.repeat(single / 2, 2), atol=1e-9)


def test_answers_that_a_column_separates_are_refused():
    with pytest.raises(DataError, match=r"logit fit: .*4 answers .*1 coefficients"):
        fit_logit(np.array([[-1.0], [-2.0], [1.0], [2.0]]), np.array([0.0, 0.0, 1.0, 1.0]))


@pytest.fixture(scope="module")
def groups():
    """Ten groups of very different size; the last has no answer."""
    rng = np.random.default_rng(2)
    sizes = np.array([3, 5, 8, 12, 20, 30, 40, 60, 4000])
    group = np.repeat(np.arange(9), sizes)
    x = rng.normal(size=len(group)) * 1.5
    design, true = np.column_stack([np.ones_like(x), x]), rng.normal(size=(10, 2)) * [0.6, 0.3]
    return design, 0.9 * x, answers(0.9 * x + (design * true[group]).sum(1), 4.0, rng), group


def test_every_group_is_the_maximum_of_its_penalised_likelihood(groups):
    design, common, y, group = groups
    found = shrunk_logit(design, common, y, group, num_groups=10)
    for g in (0, 3, 8):
        rows = group == g

        def loss(d, rows=rows):
            eta = common[rows] + design[rows] @ d
            penalty = (d**2 / found.variance).sum() / 2
            return penalty - (y[rows] * eta - np.logaddexp(0, eta)).sum() / found.dispersion

        best = minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-10}).x
        np.testing.assert_allclose(found.deviation[g], best, atol=1e-5)


def test_limits_of_shrinkage(groups):
    design, common, y, group = groups
    found = shrunk_logit(design, common, y, group, num_groups=10)
    assert (found.deviation[9] == 0).all()  # no judgments: the common curve
    rows = group == 8
    own = fit_logit(design[rows], y[rows]) - [0.0, 0.9]  # judged 4,000 times: its own
    np.testing.assert_allclose(found.deviation[8], own, atol=2e-3)
    many = shrunk_logit(
        design[np.tile(np.flatnonzero(rows), 50)],
        np.tile(common[rows], 50),
        np.tile(y[rows], 50),
        np.zeros(50 * rows.sum(), dtype=int),
        num_groups=1,
    )
    np.testing.assert_allclose(many.deviation[0], own, atol=1e-4)


def test_known_variances_and_dispersion_are_recovered():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(400), 60)
    x = rng.normal(size=len(group)) * 1.5
    design, true = np.column_stack([np.ones_like(x), x]), rng.normal(size=(400, 2)) * [0.5, 0.2]
    y = answers(x + (design * true[group]).sum(1), 3.0, rng)
    found = shrunk_logit(design, x, y, group, num_groups=400)
    np.testing.assert_allclose(np.sqrt(found.variance), [0.5, 0.2], rtol=0.1)
    assert found.dispersion == pytest.approx(1 / (3.0 + 1), rel=0.05)  # variance of a beta: h (1 - h) / (precision + 1)
    error = np.square(found.deviation - true).mean(0)
    own = np.array([fit_logit(design[group == g], y[group == g]) - [0, 1] for g in range(400)])
    assert (error < np.square(own - true).mean(0)).all()  # what shrinkage is for


def test_equal_groups_get_the_common_curve():
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(50), 40)
    x = rng.normal(size=2000)
    found = shrunk_logit(
        x[:, None], x, expit(x) + 0.1 * (-1) ** np.arange(2000) * expit(x) * expit(-x), group, num_groups=50
    )
    np.testing.assert_allclose(found.deviation, 0, atol=1e-2)

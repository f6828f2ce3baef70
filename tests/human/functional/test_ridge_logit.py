"""Block ridge on the logit scale: the plain fit where nothing is drawn, stationarity, recovery, useless blocks."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, xlogy

from hilmix.human.functional.logit_fits import fit_logit
from hilmix.human.functional.ridge_logit import ridge_logit

RNG = np.random.default_rng(0)


def answers(eta, precision=10.0, seed=1):
    h = expit(eta)
    return np.random.default_rng(seed).beta(precision * h, precision * (1 - h))


def test_without_blocks_it_is_the_plain_fit():
    design = RNG.normal(size=(300, 3))
    y = answers(design @ [1.0, -0.5, 0.2])
    found = ridge_logit(design, np.full(3, -1), y)
    np.testing.assert_allclose(found.coefficients, fit_logit(design, y), atol=1e-5)
    assert found.variance.shape == (0,)
    h = expit(design @ found.coefficients)
    assert found.dispersion == pytest.approx(np.sum((y - h) ** 2 / (h * (1 - h))) / 297, rel=1e-5)


def test_given_the_variances_nothing_is_better():
    design = RNG.normal(size=(200, 6))
    block = np.array([-1, 0, 0, 0, 1, 1])
    y = answers(design @ [1.0, 0.4, -0.3, 0.2, 1.0, -1.5])
    found = ridge_logit(design, block, y)

    def penalised(x):
        h = expit(design @ x)
        fit = (xlogy(y, h) + xlogy(1 - y, 1 - h)).sum() / found.dispersion
        return -fit + (x[1:] ** 2 / found.variance[block[1:]]).sum() / 2

    best = minimize(penalised, np.zeros(6), tol=1e-10).x
    np.testing.assert_allclose(found.coefficients, best, atol=2e-3)


def test_variances_are_those_of_the_coefficients():
    block = np.repeat([0, 1], 150)
    truth = np.where(block == 0, 0.3, 0.05) * RNG.normal(size=300)
    design = RNG.normal(size=(6000, 300))
    found = ridge_logit(design, block, answers(design @ truth))
    np.testing.assert_allclose(np.sqrt(found.variance), [0.3, 0.05], rtol=0.15)


def test_an_uninformative_block_is_left_out():
    design = RNG.normal(size=(3000, 41))
    found = ridge_logit(design, np.r_[-1, np.zeros(40, int)], answers(design[:, 0]))
    assert found.coefficients[0] == pytest.approx(1, abs=0.05)
    assert np.abs(found.coefficients[1:]).max() < 0.02
    assert found.dispersion == pytest.approx(1 / 11, rel=0.1)  # of a beta distribution of this precision

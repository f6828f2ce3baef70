"""Curves of a report against scipy, loops over samples and closed forms."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from hilmix.functional.uncertainty import (
    chance_calibration_error,
    risk_coverage_curve,
    smooth_reliability,
    wilson_interval,
)


@pytest.mark.parametrize(("hits", "samples"), [(0, 1), (1, 1), (3, 9), (50, 100), (999, 1000)])
def test_wilson_interval_equals_scipy(hits, samples):
    expected = binomtest(hits, samples).proportion_ci(0.95, method="wilson")
    assert [float(end) for end in wilson_interval(hits, samples)] == pytest.approx([expected.low, expected.high])


def test_nothing_counted_leaves_every_share_possible():
    lower, upper = wilson_interval([0, 2], [0, 4])
    assert (lower[0], upper[0]) == (0, 1)
    assert 0 < lower[1] < 0.5 < upper[1] < 1


def test_chance_error_is_what_calibrated_draws_show():
    rng = np.random.default_rng(0)
    samples, confidence = np.array([40, 0, 200]), np.array([0.7, np.nan, 0.9])
    gaps = [
        abs(rng.binomial(n, c, 4000) / n - c) * n / samples.sum()
        for n, c in zip(samples[[0, 2]], (0.7, 0.9), strict=True)
    ]
    assert chance_calibration_error(samples, confidence) == pytest.approx(np.sum(gaps, axis=0).mean(), rel=0.03)
    assert math.isnan(chance_calibration_error([0], [0.5]))


def test_smooth_reliability_equals_a_loop_over_samples():
    rng = np.random.default_rng(1)
    confidence = rng.random(300)
    correct = rng.random(300) < confidence
    places = [0.0, 0.31, 0.5, 1.0]
    found, near = smooth_reliability(confidence, correct, places, width=0.1)
    for place, value, size in zip(places, found, near, strict=True):
        weights = [sum(math.exp(-(((place - at) / 0.1) ** 2) / 2) for at in (c, -c, 2 - c)) for c in confidence]
        assert size == pytest.approx(sum(weights), rel=1e-3)
        assert value == pytest.approx(np.average(correct, weights=weights), abs=1e-3)
    assert np.isnan(smooth_reliability([0.9], [1], [0.1], width=0.01)[0]).all()


def test_risk_coverage_equals_a_loop_and_ties_have_no_order():
    rng = np.random.default_rng(2)
    confidence, correct = rng.permutation(60) / 60, rng.random(60) < 0.7
    coverage, risk = risk_coverage_curve(confidence, correct)
    order = sorted(range(60), key=lambda i: -confidence[i])
    for k in range(1, 61):
        assert coverage[k - 1] == pytest.approx(k / 60)
        assert risk[k - 1] == pytest.approx(sum(not correct[i] for i in order[:k]) / k)
    assert risk_coverage_curve([0.5] * 4, [1, 0, 0, 1])[1].tolist() == [0.5] * 4

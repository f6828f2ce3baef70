"""Correlations and slopes against scipy and loops, and the coverage of their intervals."""

import numpy as np
import pytest
from scipy import stats

from hilmix.errors import DataError
from hilmix.human.functional.association import clustered_correlation, clustered_slopes, within_groups


def draw(seed: int = 0, people: int = 15) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), rng.integers(1, 9, people))
    common = rng.normal(size=people)[who]
    x = common + rng.normal(size=len(who))
    return x, 0.5 * x + common + rng.normal(size=len(who)), who


def test_correlation_is_pearsons_and_its_interval_that_of_the_loop():
    x, y, who = draw()
    order = np.random.default_rng(1).permutation(len(x))
    found = clustered_correlation(3 * x[order] - 7, y[order], [f"p{w}" for w in who[order]], level=0.9)
    r = stats.pearsonr(x, y).statistic
    u, v = stats.zscore(x), stats.zscore(y)
    total = sum((u * v - r * (u**2 + v**2) / 2)[who == g].sum() ** 2 for g in range(15))
    half = stats.t.ppf(0.95, 14) * np.sqrt(15 / 14 * total) / len(x) / (1 - r**2)
    assert found == pytest.approx((r, np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)))


def test_correlation_is_symmetric_and_changes_sign_with_a_measure():
    x, y, who = draw()
    value, low, high = clustered_correlation(x, y, who)
    assert clustered_correlation(y, x, who) == pytest.approx((value, low, high))
    assert clustered_correlation(x, -y, who) == pytest.approx((-value, -high, -low))


def test_a_perfect_correlation_has_no_room_beside_it():
    assert clustered_correlation([0, 1, 2, 5], [1, 3, 5, 11], [0, 1, 2, 3]) == pytest.approx((1, 1, 1))


def test_constants_no_participants_and_the_spread_of_one_give_nan():
    assert np.isnan(clustered_correlation([1, 1, 1], [1, 2, 3], [0, 1, 2])).all()
    assert np.isnan(clustered_correlation([], [], [])).all()
    value, low, high = clustered_correlation([1, 2, 4], [1, 2, 3], [0, 0, 0])
    assert 0.9 < value < 1
    assert np.isnan([low, high]).all()


def test_slopes_and_intervals_equal_the_loop():
    x, y, who = draw()
    design = np.column_stack([np.ones(len(x)), x, x**2])
    found = clustered_slopes(design, y, who, level=0.9)
    want, *_ = np.linalg.lstsq(design, y)
    bread, meat = np.linalg.inv(design.T @ design), np.zeros((3, 3))
    for g in range(15):
        score = design[who == g].T @ (y - design @ want)[who == g]
        meat += np.outer(score, score) * 15 / 14
    half = stats.t.ppf(0.95, 14) * np.sqrt(np.diag(bread @ meat @ bread))
    np.testing.assert_allclose(found, [want, want - half, want + half])


def test_intervals_hold_what_they_promise():
    """800 studies whose people differ, where unclustered intervals would cover far less."""
    hits = np.zeros(2)
    for seed in range(800):
        rng = np.random.default_rng(seed)
        who = np.repeat(np.arange(25), 8)
        level, own = rng.normal(size=(2, 25))[:, who]
        x, y = level + rng.normal(size=200), 0.5 * level + own + rng.normal(size=200)
        truth = 0.5 / np.sqrt(2 * 2.25)
        correlation = clustered_correlation(x, y, who)
        slopes = clustered_slopes(np.column_stack([np.ones(200), x]), y, who)
        hits += correlation.low <= truth <= correlation.high, slopes.low[1] <= 0.25 <= slopes.high[1]
    assert (hits > 0.91 * 800).all()
    assert (hits < 0.98 * 800).all()


def test_tied_measures_are_refused():
    with pytest.raises(DataError, match="3 rows do not determine 2 slopes"):
        clustered_slopes([[1, 2], [1, 2], [1, 2]], [1, 2, 3], [0, 1, 2])


def test_people_lose_their_level_and_nothing_else():
    x, _, who = draw()
    left = within_groups(x, who)
    np.testing.assert_allclose([left[who == g].mean() for g in range(15)], 0, atol=1e-12)
    np.testing.assert_allclose(within_groups(x + 10.0 * who, [f"p{w}" for w in who]), left, atol=1e-9)

"""Cluster-robust means against loops, the t test, and their own coverage."""

import numpy as np
import pytest
from scipy import stats

from hilmix.functional.clusters import cluster_covariance, clustered_mean, t_quantile


def draw(seed: int = 0, people: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), rng.integers(1, 9, people))
    return rng.normal(size=people)[who] + rng.normal(size=len(who)), who


def test_mean_and_interval_equal_the_loop():
    x, who = draw()
    order = np.random.default_rng(1).permutation(len(x))
    found = clustered_mean(x[order], [f"p{w}" for w in who[order]], level=0.9)
    total = sum((x[who == g] - x.mean()).sum() ** 2 for g in range(12))
    half = stats.t.ppf(0.95, 11) * np.sqrt(12 / 11 * total) / len(x)
    assert found[:4] == pytest.approx((x.mean(), x.std(ddof=1), x.mean() - half, x.mean() + half))
    assert (found.answers, found.clusters) == (len(x), 12)


def test_one_answer_each_is_the_t_interval():
    x, _ = draw()
    found = clustered_mean(x, np.arange(len(x)))
    want = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(want))


def test_equal_clusters_are_the_t_interval_of_their_means():
    x = np.random.default_rng(2).normal(size=(7, 5))
    found = clustered_mean(x.ravel(), np.repeat(np.arange(7), 5))
    want = stats.ttest_1samp(x.mean(1), 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(want))


def test_copies_of_an_answer_add_nothing():
    x, who = draw()
    once, thrice = clustered_mean(x, who), clustered_mean(np.repeat(x, 3), np.repeat(who, 3))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))


def test_coverage_where_answers_of_a_person_depend_on_each_other():
    covered = 0
    for seed in range(400):
        found = clustered_mean(*draw(seed, people=15))
        covered += found.low <= 0 <= found.high
    assert 0.90 <= covered / 400 <= 0.98


def test_one_cluster_has_no_interval_and_no_answer_no_mean():
    one = clustered_mean([0.2, 0.4], ["ann", "ann"])
    assert one.mean == pytest.approx(0.3)
    assert np.isnan([one.low, one.high]).all()
    none = clustered_mean([], [])
    assert np.isnan(none[:4]).all()
    assert (none.answers, none.clusters) == (0, 0)
    assert np.isnan(clustered_mean([0.5], ["ann"]).sd)


def test_covariance_of_two_scores_equals_the_loop():
    rng = np.random.default_rng(3)
    score, who = rng.normal(size=(20, 2)), np.arange(20) % 4
    sums = [score[who == g].sum(0) for g in range(4)]
    np.testing.assert_allclose(cluster_covariance(score, who), 4 / 3 * sum(np.outer(s, s) for s in sums))


def test_quantile():
    assert t_quantile(3, 0.95) == pytest.approx(4.3027, abs=1e-4)
    assert np.isnan(t_quantile(1, 0.95))


def test_mean_answer_per_weight_of_hmix(infer):
    """Section 3 of the data notes has people between the weight and one half at the ends."""
    shown = infer.first()
    for w in (0.1, 0.9):
        here = shown.weight == w
        found = clustered_mean(shown.answer[here], shown.participant[here])
        assert found.clusters == 81
        ends = sorted((w, 0.5))
        assert ends[0] < found.low < found.high < ends[1]

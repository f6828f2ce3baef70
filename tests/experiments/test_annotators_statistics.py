"""Tests of significance against Demsar's worked example, scipy and slow re-implementations."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from experiments.annotators.statistics import against_control, critical_difference, friedman, holm, ranks

DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
"""Demsar 2006, table 6: AUC of C4.5, C4.5+m, C4.5+cf, C4.5+m+cf on 14 data sets (0.9751: he ranks it before 0.975)."""


def test_mean_ranks_are_those_of_demsars_example():
    assert ranks(DEMSAR).mean(0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)


def test_iman_davenport_is_demsars_formula_without_ties_and_higher_with_them():
    # The paper prints chi2 = 9.28 and F = 3.69 from the formula that ignores ties; scipy corrects for them.
    n, k = DEMSAR.shape
    mean = ranks(DEMSAR).mean(0)
    plain = 12 * n / (k * (k + 1)) * ((mean**2).sum() - k * (k + 1) ** 2 / 4)
    assert plain == pytest.approx(9.28, abs=0.01)
    assert (n - 1) * plain / (n * (k - 1) - plain) == pytest.approx(3.69, abs=0.01)
    test = friedman(DEMSAR)
    assert test.chi2 == pytest.approx(stats.friedmanchisquare(*DEMSAR.T).statistic)
    assert test.chi2 > plain
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(9, 5))
    mean, test = ranks(scores).mean(0), friedman(scores)
    plain = 12 * 9 / 30 * ((mean**2).sum() - 5 * 36 / 4)
    assert (test.chi2, test.f) == pytest.approx((plain, 8 * plain / (36 - plain)))
    assert test.f_p == pytest.approx(1 - stats.f.cdf(test.f, 4, 32))
    assert test.chi2_p == pytest.approx(1 - stats.chi2.cdf(plain, 4))


def test_data_sets_that_agree_give_an_infinite_f():
    test = friedman(np.arange(4.0) + np.zeros((6, 1)))
    assert test.f == np.inf
    assert test.f_p == 0


def test_a_failed_method_ranks_last_and_ties_share():
    assert ranks([[0.5, np.nan, 0.9, 0.5, np.nan]]).tolist() == [[2.5, 4.5, 1.0, 2.5, 4.5]]


def test_means_of_equally_many_right_items_are_ties():
    """1050 right answers of 1080 in two ways, and one fewer; the rows hold six decimals."""
    first = np.mean([round(n / 360, 6) for n in (348, 350, 352)])
    second = np.mean([round(n / 360, 6) for n in (350, 350, 350)])
    assert first != second
    assert ranks([[first, second, first - 1 / 1080]]).tolist() == [[1.5, 1.5, 3.0]]


def test_post_hoc_values_of_demsars_example():
    # Section 3.2.2: SE = 0.488; against C4.5: z = 2.342, 2.416 and 0.512, p = 0.019, 0.016 and 0.607.
    p = against_control(ranks(DEMSAR).mean(0), 0, num_data=14)
    assert np.isnan(p[0])
    assert p[1:] == pytest.approx([0.019, 0.607, 0.016], abs=2e-3)


def test_the_published_ranks_of_annot_mix_retested():
    # Last epoch, 11 data sets, 12 methods: all differ, the nearest (Dawid-Skene with mixup) at p = 0.039.
    last = [1.23, 4.41, 5.73, 6.32, 6.41, 6.45, 6.50, 6.68, 8.23, 8.23, 8.45, 9.36]
    adjusted = holm(against_control(last, 0, num_data=11))
    assert adjusted[1] == pytest.approx(0.039, abs=1e-3)
    assert (adjusted[1:] <= 0.05).all()
    # Best epoch: ds-mixup p = 0.11; geo-reg-f has p = 0.036, above its level of Holm.
    best = [2.09, 4.55, 5.32, 5.95, 6.45, 6.50, 6.77, 6.91, 8.00, 8.41, 8.45, 8.59]
    plain = against_control(best, 0, num_data=11)
    assert plain[1:3] == pytest.approx([0.110, 0.036], abs=1e-3)
    adjusted = holm(plain)
    assert (adjusted[1:3] > 0.05).all()


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([np.nan, 0.5, 0.9]).tolist()[1:] == [1.0, 1.0]
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_stops_at_the_first_failure(p: list[float], alpha: float):
    rejected = set()
    for step, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[i] * (len(p) - step) > alpha:
            break
        rejected.add(i)
    assert {i for i, value in enumerate(holm(p)) if value <= alpha} == rejected


def test_critical_difference_is_demsars():
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, alpha=0.1) == pytest.approx(1.12, abs=0.005)
    # table 5: q for 10 methods is 3.164
    assert critical_difference(10, 20) / np.sqrt(110 / 120) == pytest.approx(3.164, abs=1e-3)

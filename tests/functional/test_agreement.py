"""Agreement against textbook numbers, scipy, loops, its own coverage, and the figures of H-Mix."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from hilmix.errors import DataError
from hilmix.functional.agreement import explained_share, intraclass_correlation, one_way, repeat_reliability
from hilmix.human.functional.curve_fits import fit_curve

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
"""Six targets, four judges: table 2 of the paper, whose table 4 gives the coefficients."""


def draw(seed: int, groups: int = 40, largest: int = 5, shared: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Answers of variance 1 + shared**2 on stimuli with 1 to ``largest`` answers each, in random order."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(groups), rng.integers(1, largest + 1, groups)))
    return shared * rng.normal(size=groups)[group] + rng.normal(size=len(group)), group


def test_analysis_of_variance_equals_scipys():
    x, group = draw(0)
    table = one_way(x, group, num_groups=42)  # two stimuli without answers
    samples = [x[group == g] for g in range(40)]
    assert table.between / table.within == pytest.approx(stats.f_oneway(*samples).statistic)
    np.testing.assert_allclose(table.mean[:40], [s.mean() for s in samples])
    assert np.isnan(table.mean[40:]).all()
    assert table.answers.tolist() == [*map(len, samples), 0, 0]
    assert table.freedom == (39, len(x) - 40)


def test_moments_are_unbiased_for_unequal_groups():
    tables = [one_way(*draw(seed, shared=1.5), num_groups=40) for seed in range(300)]
    assert np.mean([t.within for t in tables]) == pytest.approx(1, abs=0.03)
    assert np.mean([t.group_variance for t in tables]) == pytest.approx(2.25, abs=0.1)


def test_textbook_coefficients():
    found = intraclass_correlation(SHROUT_FLEISS.ravel(), np.repeat(np.arange(6), 4), num_groups=6)
    assert (found.single, found.average) == (pytest.approx(0.17, abs=5e-3), pytest.approx(0.44, abs=5e-3))
    assert found.k == pytest.approx(4)
    # what R's psych package prints for the same table
    assert (found.low, found.high) == (pytest.approx(-0.13, abs=5e-3), pytest.approx(0.72, abs=5e-3))
    assert (found.average_low, found.average_high) == (pytest.approx(-0.88, abs=0.01), pytest.approx(0.91, abs=5e-3))


@given(st.integers(0, 10**6), st.floats(-5, 5), st.floats(0.1, 9))
def test_invariances(seed, shift, scale):
    x, group = draw(seed)
    found = intraclass_correlation(x, group, num_groups=40)
    moved = intraclass_correlation(shift - scale * x, np.random.default_rng(seed).permutation(40)[group], num_groups=40)
    np.testing.assert_allclose(moved, found, rtol=1e-6, atol=1e-9)
    assert found.low <= found.single <= found.high <= 1
    # Spearman and Brown
    assert found.average == pytest.approx(found.k * found.single / (1 + (found.k - 1) * found.single))


def test_perfect_and_worst_agreement():
    group = np.repeat(np.arange(3), 2)
    assert intraclass_correlation([1.0, 1, 2, 2, 3, 3], group, num_groups=3)[:3] == (1, 1, 1)
    worst = intraclass_correlation([0.0, 1, 0, 1, 0, 1], group, num_groups=3)
    assert (worst.single, worst.average) == (-1, -np.inf)


def test_interval_covers_the_truth_in_unequal_groups():
    found = [intraclass_correlation(*draw(seed, shared=0.7), num_groups=40) for seed in range(300)]
    truth = 0.49 / 1.49
    assert 0.91 <= np.mean([f.low <= truth <= f.high for f in found]) <= 0.98


@pytest.mark.parametrize(
    ("value", "group", "message"),
    [
        ([1.0, 2.0], [0, 1], r"2 answers on 2 stimuli"),
        ([1.0, 2.0], [1, 1], r"2 answers on 1 stimuli"),
        ([], [], r"0 answers on 0 stimuli"),
        ([1.0, 1.0, 1.0], [0, 0, 1], r"all answers are the same"),
    ],
)
def test_too_little_for_agreement(value, group, message):
    with pytest.raises(DataError, match=message):
        intraclass_correlation(value, np.array(group, dtype=np.int64), num_groups=2)


def test_repeats_against_scipy_and_lins_formula():
    rng = np.random.default_rng(0)
    x = rng.random(30)
    y = 0.8 * x + 0.2 * rng.random(30)
    found = repeat_reliability(x, y)
    assert found.correlation == pytest.approx(stats.pearsonr(x, y).statistic)
    assert found.mean_absolute_difference == pytest.approx(sum(abs(a - b) for a, b in zip(x, y, strict=True)) / 30)
    lin = 1 - np.mean((x - y) ** 2) / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert found.concordance == pytest.approx(lin)
    assert abs(found.concordance) <= abs(found.correlation)


def test_repeats_at_the_ends():
    assert repeat_reliability([0.1, 0.5], [0.1, 0.5]) == pytest.approx((1, 1, 0, 2))
    assert repeat_reliability([0.0, 1.0], [1.0, 0.0]) == pytest.approx((-1, -1, 1, 2))
    shifted = repeat_reliability([0.0, 0.5], [0.5, 1.0])
    assert (shifted.correlation, shifted.concordance) == pytest.approx((1, 1 / 3))
    constant = repeat_reliability([0.5, 0.5], [0.2, 0.4])
    assert np.isnan(constant.correlation)
    assert constant.concordance == 0
    assert np.isnan(repeat_reliability([0.5, 0.5], [0.5, 0.5]).concordance)
    assert np.isnan(repeat_reliability([], [])[:3]).all()


def explain(answer, prediction, reference, who, group):
    return explained_share(answer, prediction, reference, participant=who, group=group, num_groups=40)


def test_share_and_ceiling_by_hand():
    y, reference = np.array([0.5, 0.7, 0.1, 0.3]), np.array([0.4, 0.4, 0.4, 0.4])
    group, who = np.array([0, 0, 1, 1]), ["ann", "bob", "ann", "bob"]
    before = (0.01 + 0.09 + 0.09 + 0.01) / 4
    best = explain(y, np.array([0.6, 0.6, 0.2, 0.2]), reference, who, group)
    assert best.share == pytest.approx(1 - 0.01 / before)
    assert best.ceiling == pytest.approx(1 - 0.02 / before)  # mean squares within: .04 / 2 degrees of freedom
    assert explain(y, reference, reference, who, group).share == 0
    assert explain(y, y, reference, who, group)[:3] == (1, 1, 1)
    assert explain(y, 2 * reference, reference, who, group).share < 0


def test_the_ceiling_is_what_the_true_means_explain_and_the_icc():
    rng = np.random.default_rng(0)
    group, truth = np.repeat(np.arange(4000), 3), rng.normal(size=4000)
    y, who = truth[group] + 1.3 * rng.normal(size=12_000), rng.integers(0, 50, 12_000)
    found = explained_share(y, truth[group], np.zeros(12_000), participant=who, group=group, num_groups=4000)
    assert found.ceiling == pytest.approx(1 / 2.69, abs=0.02)
    assert found.of_ceiling == pytest.approx(1, abs=0.03)
    assert found.ceiling == pytest.approx(intraclass_correlation(y, group, num_groups=4000).single, abs=2e-3)


def test_interval_of_the_share_agrees_with_a_bootstrap_of_participants():
    rng = np.random.default_rng(1)
    y, group = draw(1, groups=40)
    who, prediction = rng.integers(0, 25, len(y)), y + rng.normal(size=len(y))
    y = y + rng.normal(size=25)[who]
    found = explain(y, prediction, np.zeros(len(y)), who, group)
    shares = []
    for _ in range(400):
        rows = np.concatenate([np.flatnonzero(who == g) for g in rng.integers(0, 25, 25)])
        shares.append(1 - np.mean((y - prediction)[rows] ** 2) / np.mean(y[rows] ** 2))
    half = (found.high - found.low) / 2 / stats.t.ppf(0.975, 24)
    assert half == pytest.approx(np.std(shares), rel=0.25)
    assert found.low < found.share < found.high


def test_where_nothing_can_be_explained():
    y, group = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0, 0, 1, 1])
    noise = explain(y, y, np.full(4, 0.5), [0, 1, 0, 1], group)
    assert noise.ceiling < 0
    assert np.isnan(noise.of_ceiling)
    with pytest.raises(DataError, match="no answer deviates"):
        explain(y, y, y, [0, 1, 0, 1], group)


def test_shares_of_hmix(infer):
    """Section 3 of the data notes: weight alone removes about 3 %, people share about a third of the rest."""
    shown = infer.first()
    where = {"participant": shown.participant, "group": shown.stimulus, "num_groups": 2_070}
    weights, place = np.unique(shown.weight, return_inverse=True)
    means = one_way(shown.answer, place, num_groups=len(weights)).mean[place]
    assert explained_share(shown.answer, means, shown.weight, **where).share == pytest.approx(0.03, abs=0.005)
    curve = fit_curve("logistic", shown.weight, shown.answer, shown.participant, criterion="squares")
    found = explained_share(shown.answer, curve(shown.weight), shown.weight, **where)
    assert found.share == pytest.approx(0.03, abs=0.005)
    rest = intraclass_correlation(shown.answer - means, shown.stimulus, num_groups=2_070)
    assert rest.single == pytest.approx(1 / 3, abs=0.02)
    assert found.ceiling == pytest.approx(1 / 3, abs=0.02)


def test_repeats_of_hmix(infer):
    """Every participant answered two stimuli a second time."""
    key = infer.participant * 10_000 + infer.stimulus
    first = {k: y for k, y, again in zip(key, infer.answer, infer.repeat, strict=True) if not again}
    again = [(first[k], y) for k, y, repeat in zip(key, infer.answer, infer.repeat, strict=True) if repeat]
    found = repeat_reliability(*np.array(again).T)
    assert found.pairs == 162
    assert 0.5 < found.concordance <= found.correlation < 1

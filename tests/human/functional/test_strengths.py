"""Class strengths and shrunk means against constrained least squares, loops, closed forms, and the figures of H-Mix."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from hilmix.errors import DataError
from hilmix.functional.agreement import explained_share
from hilmix.human.functional.strengths import class_strengths, shrunk_means

K = 5


def draw(seed: int, answers: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    strength = rng.normal(size=K)
    strength -= strength.mean()
    label1 = rng.integers(0, K, answers)
    label2 = (label1 + rng.integers(1, K, answers)) % K
    who = rng.integers(0, 15, answers)
    deviation = strength[label1] - strength[label2] + rng.normal(size=answers) + 0.3 * rng.normal(size=15)[who]
    return deviation, label1, label2, who, strength


def test_strengths_and_intervals_equal_those_of_a_regression_on_contrasts():
    """The last class as minus the sum of the others: an ordinary regression, whose sandwich is known."""
    y, label1, label2, who, _ = draw(0)
    found = class_strengths(y, label1, label2, participant=who, num_classes=K)
    contrast = np.concatenate([np.eye(K - 1), -np.ones((1, K - 1))])
    x = contrast[label1] - contrast[label2]
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    np.testing.assert_allclose(found.strength, contrast @ beta, atol=1e-12)
    assert found.strength.sum() == pytest.approx(0)
    residual, bread = y - x @ beta, np.linalg.inv(x.T @ x)
    sums = [(x * residual[:, None])[who == g].sum(0) for g in range(15)]
    covariance = contrast @ bread @ (15 / 14 * sum(np.outer(s, s) for s in sums)) @ bread @ contrast.T
    half = stats.t.ppf(0.975, 14) * np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found.high - found.strength, half)
    np.testing.assert_allclose(found.strength - found.low, half)
    np.testing.assert_allclose(found(label1, label2), x @ beta, atol=1e-12)


def test_strengths_without_noise_come_back():
    _, label1, label2, who, strength = draw(1)
    found = class_strengths(strength[label1] - strength[label2], label1, label2, participant=who, num_classes=K)
    np.testing.assert_allclose(found.strength, strength, atol=1e-12)
    np.testing.assert_allclose(found.low, found.high, atol=1e-12)


@given(st.integers(0, 10**6))
def test_swapping_images_changes_nothing(seed):
    y, label1, label2, who, _ = draw(seed)
    swap = np.random.default_rng(seed).random(len(y)) < 0.5
    found = class_strengths(y, label1, label2, participant=who, num_classes=K)
    swapped = class_strengths(
        np.where(swap, -y, y),
        np.where(swap, label2, label1),
        np.where(swap, label1, label2),
        participant=who,
        num_classes=K,
    )
    np.testing.assert_allclose(swapped, found, atol=1e-10)


def test_classes_that_were_not_mixed_cannot_be_compared():
    with pytest.raises(DataError, match=r"joins class 2 with class 0"):
        class_strengths([0.1, 0.2], np.array([0, 2]), np.array([1, 3]), participant=[0, 1], num_classes=4)
    with pytest.raises(DataError, match=r"joins class 1 with class 0"):
        class_strengths([], np.zeros(0, np.int64), np.zeros(0, np.int64), participant=[], num_classes=2)


def test_shrinkage_equals_the_formula_in_a_loop():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(8), [1, 2, 3, 4, 5, 6, 7, 8])
    x = 2 + 0.8 * rng.normal(size=8)[group] + rng.normal(size=len(group))
    found = shrunk_means(x, group, num_groups=9)
    trust = [found.between / (found.between + found.within / n) for n in range(1, 9)]
    means = [x[group == g].mean() for g in range(8)]
    centre = sum(t * m for t, m in zip(trust, means, strict=True)) / sum(trust)
    assert found.centre == pytest.approx(centre)
    np.testing.assert_allclose(found.shrunk[:8], [centre + t * (m - centre) for t, m in zip(trust, means, strict=True)])
    assert found.shrunk[8] == found.centre
    assert np.isnan(found.mean[8])


@given(st.integers(0, 10**6), st.floats(0, 2))
def test_shrunk_means_lie_between_the_raw_ones_and_the_centre(seed, shared):
    rng = np.random.default_rng(seed)
    group = np.concatenate([np.arange(10), rng.integers(0, 10, 30)])
    found = shrunk_means(shared * rng.normal(size=10)[group] + rng.normal(size=40), group, num_groups=10)
    low, high = np.minimum(found.mean, found.centre), np.maximum(found.mean, found.centre)
    assert ((found.shrunk >= low - 1e-12) & (found.shrunk <= high + 1e-12)).all()


def test_the_two_ends_of_shrinkage():
    group = np.repeat(np.arange(3), 2)
    alike = shrunk_means([0.0, 1, 0, 1, 0, 1], group, num_groups=3)  # no variance between groups
    np.testing.assert_allclose(alike.shrunk, 0.5)
    apart = shrunk_means([1.0, 1, 2, 2, 4, 4], group, num_groups=3)  # none within
    np.testing.assert_allclose(apart.shrunk, [1, 2, 4])
    constant = shrunk_means(np.full(6, 0.3), group, num_groups=3)  # none at all
    np.testing.assert_allclose(constant.shrunk, 0.3)


def test_shrinkage_predicts_the_true_means_better():
    rng = np.random.default_rng(1)
    raw, shrunk = [], []
    for _ in range(50):
        group = np.concatenate([np.arange(60), rng.integers(0, 60, 120)])
        truth = 0.5 * rng.normal(size=60)
        found = shrunk_means(truth[group] + rng.normal(size=180), group, num_groups=60)
        raw.append(np.mean((found.mean - truth) ** 2))
        shrunk.append(np.mean((found.shrunk - truth) ** 2))
    assert np.mean(shrunk) < 0.6 * np.mean(raw)


def test_strengths_and_pairs_of_hmix(infer):
    """Section 3 of the data notes: class strengths or label pairs account for 4 to 5 %.

    Of the 45 pairs that is the share of variance between them; in sample their means remove more.
    """
    shown = infer.first()
    deviation = shown.answer - shown.weight
    found = class_strengths(deviation, shown.label1, shown.label2, participant=shown.participant, num_classes=10)
    where = {"participant": shown.participant, "group": shown.stimulus, "num_groups": 2_070}
    seen = shown.weight + found(shown.label1, shown.label2)
    assert 0.04 <= explained_share(shown.answer, seen, shown.weight, **where).share <= 0.05
    pair = shown.label1 * 10 + shown.label2
    pairs = shrunk_means(deviation, pair, num_groups=100)
    assert (pairs.answers > 0).sum() == 45
    assert 0.04 <= pairs.between / (pairs.between + pairs.within) <= 0.05
    shrunk, raw = (
        explained_share(shown.answer, shown.weight + means[pair], shown.weight, **where).share
        for means in (pairs.shrunk, pairs.mean)
    )
    assert 0.04 <= shrunk < raw

"""The fused posterior against brute force; weights where views are redundant, useless or overconfident."""

import numpy as np
import pytest
from scipy.special import expit, logit

from hilmix.functional.aggregation import VoteTable
from hilmix.functional.label_views import Fusion, dynamics_log_odds, fit_fusion, judge_labels


def crowd(n: int, labels: int, seed: int) -> tuple[VoteTable, np.ndarray]:
    """Three classes, ten annotators of accuracy 0.9 or 0.5."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    item = np.repeat(np.arange(n), labels)
    annotator = np.argsort(rng.random((n, 10)), axis=1)[:, :labels].ravel()
    right = rng.random(len(item)) < np.where(annotator < 5, 0.9, 0.5)
    label = np.where(right, truth[item], (truth[item] + rng.integers(1, 3, len(item))) % 3)
    return VoteTable(item, annotator, label, n, 10, 3), truth


def calibrated(truth: np.ndarray, p: float, seed: int) -> np.ndarray:
    """A view that names the true class with probability p, and says so."""
    rng = np.random.default_rng(seed)
    right = rng.random(len(truth)) < p
    predicted = np.where(right, truth, (truth + rng.integers(1, 3, len(truth))) % 3)
    return np.where(np.eye(3)[predicted] == 1, p, (1 - p) / 2)


def test_the_verdict_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    table, _ = crowd(6, 2, seed=0)
    views = [rng.dirichlet(np.ones(3), 6), rng.dirichlet(np.ones(3), 6)]
    errors = np.array([[0, 0.3, 0.7], [0.5, 0, 0.5], [0.9, 0.1, 0]])
    skill, ease = rng.uniform(0.4, 0.9, 10), np.array([0.2, -0.1, 0.0])
    prior = np.array([0.2, 0.3, 0.5])
    fusion = Fusion(np.array([0.7, 1.2]), 0.6, prior, skill, ease, errors, 0.0)
    found = judge_labels(table, views, fusion)

    def likelihood(a: int, z: int, y: int) -> float:
        right = expit(logit(skill[a]) + ease[z])
        return float(right if z == y else (1 - right) * errors[z, y])

    for row, (i, a, y) in enumerate(zip(table.item, table.annotator, table.label, strict=True)):
        score = np.zeros(3)
        for z in range(3):
            score[z] = prior[z] * np.prod([(v[i, z] / prior[z]) ** w for v, w in zip(views, (0.7, 1.2), strict=True)])
            for other, (j, b, x) in enumerate(zip(table.item, table.annotator, table.label, strict=True)):
                if j == i and other != row:
                    score[z] *= likelihood(b, z, x) ** 0.6
        assert np.isclose(found.unseen[row], score[y] / score.sum())
        score *= [likelihood(a, z, y) ** 0.6 for z in range(3)]
        assert np.isclose(found.wrong[row], 1 - score[y] / score.sum())
        np.testing.assert_allclose(found.posterior[i], score / score.sum())


def test_calibrated_independent_views_count_in_full_and_noise_does_not() -> None:
    table, truth = crowd(6_000, 3, seed=1)
    noise = np.random.default_rng(2).dirichlet(np.ones(3), 6_000)
    fusion = fit_fusion(table, [calibrated(truth, 0.7, 3), noise])
    assert fusion.view_weight[0] == pytest.approx(1, abs=0.15)
    assert fusion.view_weight[1] == pytest.approx(0, abs=0.1)
    assert fusion.vote_weight > 0.85


def test_a_view_given_twice_counts_once() -> None:
    table, truth = crowd(6_000, 3, seed=1)
    view = calibrated(truth, 0.7, 3)
    twice = fit_fusion(table, [view, view])
    assert twice.view_weight.sum() == pytest.approx(1, abs=0.15)


def test_an_overconfident_view_is_softened() -> None:
    table, truth = crowd(6_000, 3, seed=1)
    view = calibrated(truth, 0.7, 3) ** 2
    view /= view.sum(axis=1, keepdims=True)
    assert fit_fusion(table, [view]).view_weight[0] == pytest.approx(0.5, abs=0.1)


def test_skills_are_found_and_the_probabilities_are_calibrated() -> None:
    table, truth = crowd(6_000, 3, seed=1)
    view = calibrated(truth, 0.7, 3)
    fusion = fit_fusion(table, [view])
    np.testing.assert_allclose(fusion.skill, np.repeat([0.9, 0.5], 5), atol=0.05)
    verdict = judge_labels(table, [view], fusion)
    wrong = table.label != truth[table.item]
    place = np.minimum((verdict.wrong * 10).astype(int), 9)
    gap = np.bincount(place, verdict.wrong - wrong, minlength=10)
    assert np.abs(gap).sum() / len(wrong) < 0.02


def test_unknown_rows_of_a_view_are_no_evidence() -> None:
    table, _ = crowd(20, 2, seed=4)
    fusion = fit_fusion(table, [np.full((20, 3), np.nan)])
    alone = judge_labels(table, [], fusion._replace(view_weight=np.empty(0)))
    np.testing.assert_allclose(judge_labels(table, [np.full((20, 3), np.nan)], fusion).wrong, alone.wrong)


def test_one_class_has_no_wrong_label() -> None:
    table = VoteTable(np.array([0, 1]), np.array([0, 0]), np.array([0, 0]), 2, 1, 1)
    views = [np.ones((2, 1))]
    assert judge_labels(table, views, fit_fusion(table, views)).wrong.tolist() == [0, 0]


def test_dynamics_find_the_likelihood_ratio_without_truth() -> None:
    rng = np.random.default_rng(5)
    prior = rng.beta(1, 3, 20_000)
    wrong = rng.random(20_000) < prior
    score = rng.normal(np.where(wrong, -1.0, 1.0))
    score[:10] = np.nan
    found = dynamics_log_odds(score, prior)
    assert (found[:10] == 0).all()
    kept = np.abs(score) < 1  # inside, a bin of the histogram is narrow
    # log N(s; -1, 1) / N(s; 1, 1) = -2 s
    assert np.abs(found[kept] + 2 * score[kept]).mean() < 0.25
    order = np.argsort(score[10:])
    assert (np.diff(found[10:][order]) <= 1e-12).all()

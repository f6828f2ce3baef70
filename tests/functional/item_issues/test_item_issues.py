"""Issues of items, planted and found, and the values of definitions and outside packages."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, mahalanobis

from hilmix.diagnostics.features import mahalanobis_outliers, nearest_neighbors
from hilmix.errors import DataError
from hilmix.functional import item_issues as ii


def clouds(items: int = 300, features: int = 8, seed: int = 0):
    rng = np.random.default_rng(seed)
    label = rng.integers(3, size=items)
    centers = 6 * np.eye(features)[:3]
    return centers[label] + rng.normal(size=(items, features)), label


@pytest.mark.parametrize(("features", "metric"), [(8, "cosine"), (2, "euclidean")])
def test_neighbours_equal_the_sorted_distances(features, metric):
    x = np.random.default_rng(0).normal(size=(60, features))
    found = nearest_neighbors(x, k=5)
    distance = cdist(x, x, metric)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(found.rows, distance.argsort(axis=1)[:, :5])
    np.testing.assert_allclose(found.distance, np.sort(distance, axis=1)[:, :5], atol=1e-12)


def test_few_items_and_faulty_features():
    one = nearest_neighbors(np.ones((1, 4)))
    assert one.rows.shape == (1, 0)
    assert np.isnan(ii.knn_outliers(one).score[0])
    assert ii.near_duplicates(one).set.tolist() == [-1]
    assert np.isnan(ii.order_test(one).p_value)
    with pytest.raises(DataError, match=r"`features\[1\]`"):
        nearest_neighbors(np.array([[0.0, 1], [np.nan, 0]]))


def test_outliers_are_found_by_both_views():
    x, label = clouds()
    x[7] = [-5, -5, 0, 0, 0, 0, 0, 0]
    for found in (ii.knn_outliers(nearest_neighbors(x)), mahalanobis_outliers(x, label)):
        assert found.score.argmin() == 7
        assert found.is_outlier[7]
        assert found.is_outlier.mean() < 0.05
        assert ((found.score >= 0) & (found.score <= 1)).all()


def test_mahalanobis_equals_scipy_with_the_same_covariance():
    from scipy.stats import chi2
    from sklearn.covariance import LedoitWolf

    x, label = clouds(items=60)
    means = np.stack([x[label == c].mean(0) for c in range(3)])
    covariance = LedoitWolf(assume_centered=True).fit(x - means[label]).covariance_ * 60 / 57
    inverse = np.linalg.inv(covariance)
    expected = [min(mahalanobis(row, mean, inverse) for mean in means) ** 2 for row in x]
    np.testing.assert_allclose(mahalanobis_outliers(x, label).score, chi2.sf(expected, 8), atol=1e-9)
    unknown = np.where(np.arange(60) == 3, -1, label)
    assert np.isfinite(mahalanobis_outliers(x, unknown).score[3])
    assert np.isnan(mahalanobis_outliers(x[:3], np.arange(3)).score).all()


def test_knn_scores_rank_as_cleanlab_s():
    ood = pytest.importorskip("cleanlab.outlier")
    x, _ = clouds()
    theirs = ood.OutOfDistribution().fit_score(features=x, verbose=False)
    found = ii.knn_outliers(nearest_neighbors(x)).score
    np.testing.assert_array_equal(np.argsort(theirs)[:20], np.argsort(found)[:20])


def test_duplicates_and_leaks():
    x, _ = clouds()
    x[[20, 40]] = x[10]
    x[50] = x[30] + 1e-6
    found = ii.near_duplicates(nearest_neighbors(x))
    assert np.flatnonzero(found.set == 0).tolist() == [10, 20, 40]
    assert np.flatnonzero(found.set == 1).tolist() == [30, 50]
    assert (found.set >= 0).sum() == 5
    exact = ii.exact_duplicates(x)
    assert np.flatnonzero(exact.set == 0).tolist() == [10, 20, 40]
    assert (exact.set >= 0).sum() == 3
    split = np.zeros(300, dtype=np.int64)
    split[40], split[50] = 1, -1
    assert np.flatnonzero(ii.find_leaks(found, split)).tolist() == [10, 20, 40]
    # equal bytes of another shape or type are other items
    same = [np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), np.zeros(6, np.uint8), np.zeros((2, 3), np.int8)]
    assert ii.exact_duplicates(same).set.tolist() == [-1] * 4


def test_sorted_data_are_not_iid_and_shuffled_ones_are():
    x, label = clouds(items=150)
    by_class = x[np.argsort(label)]
    assert ii.order_test(nearest_neighbors(by_class)).p_value == pytest.approx(1 / 200)
    values = [ii.order_test(nearest_neighbors(clouds(60, seed=s)[0], k=3), draws=39).p_value for s in range(40)]
    assert 0.3 < np.mean(values) < 0.7
    assert np.mean(np.array(values) <= 0.1) < 0.3


def test_rare_classes():
    label = np.array([0] * 100 + [1] * 3 + [2] * 60 + [-1] * 9)
    assert ii.rare_classes(label, 4).tolist() == [False, True, False, False]


def test_group_quality_against_scipy():
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(0)
    group = rng.integers(-1, 4, size=400)
    quality = np.where(group == 2, 0.4, 0.8) + rng.normal(scale=0.1, size=400)
    quality[0] = np.nan
    found = ii.group_quality(quality, group, 5)
    assert found.underperforming.tolist() == [False, False, True, False, False]
    assert found.items[4] == 0
    known = ~np.isnan(quality)
    for g in range(4):
        inside, others = quality[known & (group == g)], quality[known & (group != g)]
        assert found.quality[g] == pytest.approx(inside.mean())
        assert found.ratio[g] == pytest.approx(inside.mean() / others.mean())
        expected = ttest_ind(inside, others, equal_var=False, alternative="less").pvalue
        assert found.p_value[g] == pytest.approx(expected, abs=1e-9)


def test_shortcuts():
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=2000)
    assert ii.label_association(label, label).strength == pytest.approx(1)
    chance = ii.label_association(rng.integers(10, size=2000), label)
    assert chance.strength < 0.06
    assert chance.p_value > 1e-3
    darker = rng.normal(size=2000) + label
    assert ii.label_association(ii.quantile_bins(darker), label).strength > 0.3
    assert np.isnan(ii.label_association(np.zeros(2000, dtype=int), label).strength)
    assert ii.quantile_bins(np.array([1.0, 2, np.nan, 3, 4]), bins=2).tolist() == [0, 0, -1, 1, 1]


def test_properties_of_known_images():
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(3, 32, 32, generator=generator)
    gradient = torch.linspace(0, 1, 32).expand(3, 32, 32)
    images = torch.stack([noise, gradient, 0.1 * noise, 0.97 + 0.03 * noise, torch.full((3, 32, 32), 0.5)])
    found = ii.image_properties(images)
    assert found.dark.argmin() == 2
    assert found.dark[2] == pytest.approx(0.1, abs=0.02)
    assert found.bright.argmin() == 3
    assert found.blurred[0] > 0.9
    assert found.blurred[1] < 0.1
    assert found.low_information[4] == 0
    assert found.low_information[0] > 0.8
    whole = ii.image_properties((images * 255).round().to(torch.uint8))
    for mine, other in zip(whole, found, strict=True):
        torch.testing.assert_close(mine, other, atol=0.02, rtol=0)
    assert ii.image_properties(images[:, :1]).dark.shape == (5,)


def test_odd_sizes():
    height, width = np.array([100] * 20 + [100, 1000, 101]), np.array([100] * 20 + [300, 1000, 99])
    score, odd = ii.odd_sizes(height, width)
    assert np.flatnonzero(odd).tolist() == [20, 21, 22]
    height, width = np.arange(80, 120), np.arange(120, 80, -1)
    score, odd = ii.odd_sizes(height, width)
    assert not odd.any()
    assert ((score > 0) & (score <= 1)).all()

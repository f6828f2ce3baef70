"""Sums and means by group against loops."""

import numpy as np
import pytest

from hilmix.functional.grouped import mean_by_group, sum_by_group

G, L = 5, 60


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_and_means_equal_loops(weighted):
    rng = np.random.default_rng(0)
    group, value = rng.integers(0, G - 1, L), rng.normal(size=L)  # the last group is empty
    weight = rng.random(L) if weighted else np.ones(L)
    weight[group == 0] *= 0 if weighted else 1
    sums = [value[group == g].sum() for g in range(G)]
    np.testing.assert_allclose(sum_by_group(value, group, G), sums)
    means = [
        np.average(value[group == g], weights=weight[group == g]) if weight[group == g].sum() else np.nan
        for g in range(G)
    ]
    np.testing.assert_allclose(mean_by_group(value, group, G, weight=weight if weighted else None), means)


def test_no_values_are_sums_of_zero_and_no_means():
    nothing, no_group = np.empty(0), np.empty(0, dtype=np.int64)
    assert sum_by_group(nothing, no_group, 2).tolist() == [0.0, 0.0]
    assert sum_by_group(nothing, no_group, 2).dtype == np.float64
    assert np.isnan(mean_by_group(nothing, no_group, 2)).all()

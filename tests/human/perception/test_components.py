"""Components of features: what they keep, and what folding gives back."""

import numpy as np
import pytest

from hilmix.errors import ConfigError
from hilmix.human.perception.components import Components

FEATURES = np.random.default_rng(0).normal(size=(200, 9)) @ np.diag([1, 2, 3, 4, 5, 6, 7, 8, 9]) + 5


def test_narrow_blocks_are_standardised_only():
    found = Components.fit(FEATURES, [4, 5], 5)
    z = (FEATURES - FEATURES.mean(0)) / FEATURES.std(0)
    np.testing.assert_allclose(found(FEATURES), z, atol=1e-12)
    assert found.block.tolist() == [0] * 4 + [1] * 5


def test_wide_blocks_keep_the_directions_of_most_variance():
    found = Components.fit(FEATURES, [4, 5], 2)
    values = found(FEATURES)
    assert found.block.tolist() == [0, 0, 1, 1]
    for block, columns in ((slice(2), slice(4)), (slice(2, 4), slice(4, 9))):
        z = (FEATURES[:, columns] - FEATURES[:, columns].mean(0)) / FEATURES[:, columns].std(0)
        _, size, directions = np.linalg.svd(z, full_matrices=False)
        oracle = z @ directions[:2].T
        np.testing.assert_allclose(np.abs(np.corrcoef(values[:, block].T, oracle.T)[:2, 2:]), np.eye(2), atol=1e-8)
        spread = values[:, block].var(0)
        assert spread.mean() == pytest.approx(1)
        assert spread[0] / spread[1] == pytest.approx(size[0] ** 2 / size[1] ** 2)


def test_folded_weights_do_the_same_to_differences():
    found, x = Components.fit(FEATURES, [4, 5], 2), np.array([0.3, -1, 2, 0.5])
    values = found(FEATURES)
    weights = found.to_feature_weights(x)
    np.testing.assert_allclose((FEATURES[:100] - FEATURES[100:]) @ weights, (values[:100] - values[100:]) @ x)


def test_constant_features_count_for_nothing():
    features = FEATURES.copy()
    features[:, 3] = 7
    found = Components.fit(features, [9], 20)
    assert (found(features)[:, 3] == 0).all()


def test_blocks_must_add_up():
    with pytest.raises(ConfigError, match=r"`blocks`.*sum to 9.*got \[4, 4\]"):
        Components.fit(FEATURES, [4, 4], 5)

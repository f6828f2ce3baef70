"""Known class shares against Bayes' rule in a loop, under the matrices of the fit."""

import numpy as np
import pytest

from hilmix.annotations import Annotations
from hilmix.errors import ConfigError
from hilmix.functional.aggregation import aggregate, dawid_skene, zencrowd
from hilmix.functional.aggregation.class_prior import BAYESIAN, aggregate_under

RNG = np.random.default_rng(0)
TRUTH = RNG.choice(3, p=[0.8, 0.1, 0.1], size=60)
DENSE = np.where(RNG.random((60, 4)) < 0.7, TRUTH[:, None], RNG.integers(3, size=(60, 4)))
DENSE[RNG.random((60, 4)) < 0.4] = -1
VOTES = Annotations.from_dense(DENSE, classes=3)
PRIOR = np.array([0.2, 0.3, 0.5])


def test_dawid_skene_is_bayes_rule_under_its_matrices():
    fit = dawid_skene(VOTES)
    found = aggregate_under(PRIOR, "dawid-skene", VOTES)
    for n in range(60):
        expected = PRIOR.copy()
        for a, k in zip(*[column[VOTES.item == n] for column in (VOTES.annotator, VOTES.label)], strict=True):
            expected *= fit.confusion[a, :, k]
        np.testing.assert_allclose(found.posterior[n], expected / expected.sum(), atol=1e-10)
    np.testing.assert_allclose(found.skill, aggregate("dawid-skene", VOTES).skill)


def test_zencrowd_is_bayes_rule_under_its_accuracies():
    fit = zencrowd(VOTES)
    found = aggregate_under(10 * PRIOR, "zencrowd", VOTES)
    for n in range(60):
        expected = PRIOR.copy()
        for a, k in zip(*[column[VOTES.item == n] for column in (VOTES.annotator, VOTES.label)], strict=True):
            expected *= np.where(np.arange(3) == k, fit.accuracy[a], (1 - fit.accuracy[a]) / 2)
        np.testing.assert_allclose(found.posterior[n], expected / expected.sum(), atol=1e-10)


@pytest.mark.parametrize("method", BAYESIAN)
def test_the_own_prior_changes_nothing(method):
    """It is what an item without votes is given, also by methods that take classes for equally likely."""
    empty = Annotations.from_dense(np.vstack([DENSE, np.full((1, 4), -1)]), classes=3)
    own = aggregate(method, empty).posterior[-1]
    if method in ("zencrowd", "glad", "mace"):
        np.testing.assert_allclose(own, 1 / 3)
    np.testing.assert_allclose(
        aggregate_under(own, method, VOTES).posterior, aggregate(method, VOTES).posterior, atol=1e-9
    )


@pytest.mark.parametrize("method", BAYESIAN)
def test_where_votes_are_even_the_shares_decide(method):
    """By symmetry: two annotators agree on ten items of each class, and disagree on the last."""
    dense = np.array([[i % 2] * 2 for i in range(20)] + [[0, 1]])
    for prior in ([0.9, 0.1], [0.2, 0.8]):
        found = aggregate_under(np.array(prior), method, Annotations.from_dense(dense, classes=2))
        # the random starts of ebcc and mace end a little apart
        np.testing.assert_allclose(found.posterior[-1], prior, atol=5e-3)


@pytest.mark.parametrize(
    ("method", "prior", "sentence"),
    [
        ("soft", PRIOR, "one of dawid-skene, .*got 'soft'"),
        ("mace", [0.5, 0.5], "3 positive numbers"),
        ("mace", [0.5, 0.5, 0.0], "3 positive numbers"),
        ("mace", [0.5, 0.5, np.nan], "3 positive numbers"),
    ],
)
def test_other_methods_and_priors_are_refused(method, prior, sentence):
    with pytest.raises(ConfigError, match=sentence):
        aggregate_under(np.array(prior), method, VOTES)

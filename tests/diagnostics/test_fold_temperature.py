"""The temperature of each fold, against a search over a grid, and what it does to probabilities."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from hilmix.annotations import Annotations
from hilmix.diagnostics.clean_pass import CleanPass
from hilmix.diagnostics.fold_temperature import fold_temperatures, temper

RNG = np.random.default_rng(0)
N, K = 600, 4
LOGITS = RNG.normal(0, 1.5, (N, K))
FOLD = np.arange(N) % 3
"""The last third lies outside training."""
LABEL = np.array([RNG.choice(K, p=p) for p in softmax(LOGITS, axis=1)])
SHARPNESS = np.array([0.5, 3.0, 3.0])[FOLD]
NOTES = Annotations.from_dense(LABEL[:, None], classes=list("abcd"), annotators=1)


def cross_fitted(**fields):
    found = CleanPass.from_logits(NOTES, np.arange(N), LOGITS * SHARPNESS[:, None])
    return CleanPass(**{**vars(found), "fold": np.where(FOLD < 2, FOLD, -1), **fields})


def best_on_a_grid(logits, label):
    grid = np.geomspace(0.1, 10, 2001)
    nll = [-log_softmax(logits / t, axis=1)[np.arange(len(label)), label].mean() for t in grid]
    return grid[np.argmin(nll)]


def test_each_fold_has_the_temperature_of_highest_likelihood():
    found = fold_temperatures(NOTES, cross_fitted())
    for fold in range(2):
        mine = fold == FOLD
        expected = best_on_a_grid((LOGITS * SHARPNESS[:, None])[mine], LABEL[mine])
        np.testing.assert_allclose(found[mine], expected, rtol=3e-3)
    assert found[FOLD == 0][0] < 1 < found[FOLD == 1][0]
    assert (found[FOLD == 2] == 1).all(), "no network of a fold"


def test_items_that_the_pass_has_not_reached_do_not_count():
    seen = RNG.random(N) < 0.7
    broken = np.where(seen[:, None], LOGITS * SHARPNESS[:, None], 0).astype(np.float32)
    found = fold_temperatures(NOTES, cross_fitted(seen=seen, logits=broken))
    mine = (FOLD == 1) & seen
    np.testing.assert_allclose(found[mine], best_on_a_grid(3 * LOGITS[mine], LABEL[mine]), rtol=3e-3)


def test_without_folds_nothing_changes():
    found = cross_fitted(fold=None)
    assert (fold_temperatures(NOTES, found) == 1).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_tempered_probabilities_are_the_softmax_of_divided_logits(temperature):
    probs = softmax(LOGITS, axis=1)
    expected = softmax(LOGITS / temperature, axis=1)
    np.testing.assert_allclose(temper(probs, np.full(N, temperature)), expected, rtol=1e-12)
    assert temper(np.array([[1.0, 0.0]]), np.array([temperature])).tolist() == [[1.0, 0.0]]

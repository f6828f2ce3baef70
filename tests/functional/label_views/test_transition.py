"""The consensus of neighbours against a known transition matrix."""

import numpy as np

from hilmix.functional.label_views import Transition, fit_transition, right_shares

NOISE = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.05, 0.05, 0.9]])
PRIOR = np.array([0.5, 0.3, 0.2])


def clusters(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of independent triples of items of one class, each with the two others as neighbours."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.choice(3, n, p=PRIOR), 3)
    label = (rng.random(3 * n)[:, None] > NOISE[truth].cumsum(axis=1)).sum(axis=1)
    place = np.arange(3 * n).reshape(n, 3)
    rows = place[:, [[1, 2], [2, 0], [0, 1]]].reshape(-1, 2)
    return label, rows


def test_a_known_noise_is_found() -> None:
    label, rows = clusters(40_000, seed=0)
    found = fit_transition(label, rows, 3)
    # Four standard deviations of the row of the rarest class, 24,000 labels.
    np.testing.assert_allclose(found.noise, NOISE, atol=0.02)
    np.testing.assert_allclose(found.prior, PRIOR, atol=0.02)


def test_the_fit_is_at_least_as_likely_as_the_truth() -> None:
    label, rows = clusters(3_000, seed=1)
    found = fit_transition(label, rows, 3)
    joint = np.einsum("c,ck,cl,cm->klm", PRIOR, NOISE, NOISE, NOISE)
    at_truth = np.log(joint[label, label[rows[:, 0]], label[rows[:, 1]]]).mean()
    own = np.einsum("c,ck,cl,cm->klm", found.prior, found.noise, found.noise, found.noise)
    brute = np.log(own[label, label[rows[:, 0]], label[rows[:, 1]]]).mean()
    assert brute >= at_truth
    assert np.isclose(found.log_likelihood, brute, atol=1e-6)


def test_unlabelled_neighbours_are_left_out() -> None:
    label, rows = clusters(500, seed=2)
    more = np.concatenate([label, [-1]])
    apart = np.concatenate([rows, [[0, 1]]])
    np.testing.assert_array_equal(fit_transition(more, apart, 3).noise, fit_transition(label, rows, 3).noise)


def test_right_shares_are_bayes_rule() -> None:
    given = [sum(PRIOR[c] * NOISE[c, k] for c in range(3)) for k in range(3)]
    expected = [PRIOR[k] * NOISE[k, k] / given[k] for k in range(3)]
    np.testing.assert_allclose(right_shares(Transition(NOISE, PRIOR, 0.0)), expected)

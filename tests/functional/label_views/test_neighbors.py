"""Neighbours' labels against a loop, SimiFeat's flags on numbers worked out by hand."""

import numpy as np

from hilmix.functional.item_issues import Neighbors
from hilmix.functional.label_views import neighbor_labels, rank_flags, vote_flags


def test_neighbor_labels_are_the_weighted_mean_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    n, k, near = 30, 4, 5
    rows = np.stack([rng.choice(np.delete(np.arange(n), i), near, replace=False) for i in range(n)])
    distance = np.sort(rng.uniform(0, 0.9, (n, near)), axis=1)
    label = rng.integers(-1, k, n)
    shares = np.eye(k + 1)[label][:, :k]
    found = neighbor_labels(Neighbors(rows, distance), shares)
    for i in range(n):
        expected, support = np.zeros(k), 0
        for j, d in zip(rows[i], distance[i], strict=True):
            if label[j] >= 0:
                expected[label[j]] += 1 - d
                support += 1
        np.testing.assert_allclose(found.share[i], expected / expected.sum())
        assert found.support[i] == support


def test_an_item_without_labelled_neighbours_is_uniform() -> None:
    found = neighbor_labels(Neighbors(np.array([[1], [0]]), np.zeros((2, 1))), np.array([[0.0, 1.0], [0.0, 0.0]]))
    assert found.share.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert found.support.tolist() == [0, 1]


def test_votes_flag_labels_that_the_neighbours_outvote() -> None:
    share = np.array([[0.6, 0.4], [0.6, 0.4], [0.5, 0.5]])
    assert vote_flags(share, np.array([0, 1, 1])).tolist() == [False, True, False]


def test_ranks_flag_the_worst_share_of_each_class() -> None:
    # Of the five labels 0 the worst 2, of the two labels 1 the worst one.
    own = np.array([0.9, 0.1, 0.5, 0.2, 0.8, 0.3, 0.4])
    label = np.array([0, 0, 0, 0, 0, 1, 1])
    share = np.where(label[:, None] == np.arange(2), own[:, None], 1 - own[:, None])
    flagged = rank_flags(share, label, np.array([0.6, 0.5]))
    assert flagged.tolist() == [False, True, False, True, False, True, False]

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hilmix.annotations import Annotations
from hilmix.data.splits import draw_stratified_split, find_strata
from hilmix.errors import ConfigError

shares = st.lists(st.integers(0, 10), min_size=1, max_size=4).filter(any).map(lambda w: [x / sum(w) for x in w])


@given(strata=st.lists(st.integers(0, 6), max_size=60), fractions=shares, seed=st.integers(0, 99))
def test_every_row_once_and_every_stratum_within_one_item(strata, fractions, seed):
    strata = np.array(strata, dtype=np.int64)
    parts = draw_stratified_split(strata, fractions, seed=seed)
    assert len(parts) == len(fractions)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(strata)))
    for part, fraction in zip(parts, fractions, strict=True):
        assert np.array_equal(part, np.sort(part))
        assert abs(len(part) - fraction * len(strata)) < 1
        for stratum in np.unique(strata):
            wanted = fraction * (strata == stratum).sum()
            assert abs((strata[part] == stratum).sum() - wanted) < 1 - 1e-9 or wanted == round(wanted)
            assert abs((strata[part] == stratum).sum() - wanted) < 1
    again = draw_stratified_split(strata, fractions, seed=seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


def test_whole_shares_are_met_exactly():
    strata = np.repeat(np.arange(7), 20)
    train, val, test = draw_stratified_split(strata, [0.7, 0.1, 0.2], seed=0)
    assert np.bincount(strata[train]).tolist() == [14] * 7
    assert np.bincount(strata[val]).tolist() == [2] * 7
    assert np.bincount(strata[test]).tolist() == [4] * 7


def test_strata_of_one_item_still_fill_every_part_and_the_seed_says_with_which():
    held_out = np.zeros(10)
    for seed in range(200):
        train, val, test = draw_stratified_split(np.arange(10), [0.6, 0.2, 0.2], seed=seed)
        assert (len(train), len(val), len(test)) == (6, 2, 2)
        held_out[test] += 1
    assert held_out.min() > 15  # 40 expected of each


def test_inside_a_stratum_every_item_is_as_likely():
    taken = np.zeros(8)
    for seed in range(400):
        taken[draw_stratified_split(np.zeros(8), [0.75, 0.25], seed=seed)[1]] += 1
    assert taken == pytest.approx(np.full(8, 100), abs=5 * np.sqrt(400 * 0.25 * 0.75))


def test_many_classes_are_split_quickly():
    strata = np.random.default_rng(0).integers(0, 1000, 20_000)
    parts = draw_stratified_split(strata, [0.8, 0.1, 0.1], seed=0)
    assert [len(p) for p in parts] == [16_000, 2000, 2000]


@pytest.mark.parametrize("fractions", [[0.5, 0.4], [1.5, -0.5], [], [[1.0]]])
def test_fractions_that_are_no_shares_are_refused(fractions):
    with pytest.raises(ConfigError, match="sum to 1"):
        draw_stratified_split(np.zeros(4), fractions, seed=0)


def test_strata_are_the_target_then_the_vote_then_their_own():
    votes = Annotations.from_dense([[0, 0, 1], [1, 1, -1], [-1, -1, -1], [2, -1, -1]], classes=3)
    assert find_strata(votes, np.array([2, -1, -1, -1])).tolist() == [2, 1, 3, 2]
    assert find_strata(votes, np.array([2, 1, 0, 0])).tolist() == [2, 1, 0, 0]

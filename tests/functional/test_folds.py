"""Folds and pooled predictions against their definition: counts, loops, and what a fold must not depend on."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from hilmix.annotations import Annotations
from hilmix.errors import ConfigError
from hilmix.functional import assign_folds, majority_strata, pool_predictions, predicting_networks
from hilmix.functional.folds import folds_by_key

seeds = st.integers(0, 99)


@st.composite
def strata_and_folds(draw):
    strata = draw(st.lists(st.integers(-1, 6), min_size=2, max_size=80))
    return np.array(strata, dtype=np.int64), draw(st.integers(2, min(len(strata), 7)))


@given(strata_and_folds(), seeds)
def test_every_item_has_one_fold_and_sizes_differ_by_at_most_one(given_, seed):
    strata, folds = given_
    fold = assign_folds(strata, folds, seed=seed)
    assert fold.shape == strata.shape
    sizes = np.bincount(fold, minlength=folds)
    assert len(sizes) == folds
    assert sizes.min() > 0
    assert np.ptp(sizes) <= 1
    for stratum in np.unique(strata):
        assert np.ptp(np.bincount(fold[strata == stratum], minlength=folds)) <= 1
    assert np.array_equal(fold, assign_folds(strata, folds, seed=seed))


@given(strata_and_folds(), seeds, st.data())
def test_groups_stay_together_and_balance_by_their_largest(given_, seed, data):
    strata, _ = given_
    group = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=len(strata), max_size=len(strata))))
    names = np.unique(group)
    if len(names) < 2:
        return
    folds = data.draw(st.integers(2, min(len(names), 4)))
    fold = assign_folds(strata, folds, seed=seed, group=group)
    for name in names:
        assert len(set(fold[group == name])) == 1
    assert set(fold) == set(range(folds))
    members = {name: np.flatnonzero(group == name) for name in names}
    of_stratum: dict[int, list[int]] = {}
    for name, rows in members.items():
        counted = sorted((-np.sum(strata[rows] == s), s) for s in set(strata[rows]))
        of_stratum.setdefault(counted[0][1], []).append(name)
    for mine in of_stratum.values():
        sizes = np.zeros(folds)
        for name in mine:
            sizes[fold[members[name][0]]] += len(members[name])
        assert np.ptp(sizes) <= max(len(members[name]) for name in mine)


@given(strata_and_folds(), seeds)
def test_groups_of_one_item_are_as_good_as_none(given_, seed):
    strata, folds = given_
    alone = np.arange(len(strata))
    assert np.array_equal(assign_folds(strata, folds, seed=seed, group=alone), assign_folds(strata, folds, seed=seed))


def test_seeds_deal_every_item_to_every_fold_equally_often():
    strata, counts = np.repeat([0, 1], [7, 3]), np.zeros((10, 3))
    for seed in range(900):
        counts[np.arange(10), assign_folds(strata, 3, seed=seed)] += 1
    assert counts == pytest.approx(np.full((10, 3), 300), abs=5 * math.sqrt(900 * 2 / 9))


@pytest.mark.parametrize(("folds", "items"), [(1, 9), (0, 9), (-2, 9), (10, 9), (2, 1)])
def test_a_number_of_folds_out_of_range_is_refused(folds, items):
    with pytest.raises(ConfigError, match=rf"`folds` .*\[2, {items}\].* {folds}\."):
        assign_folds(np.zeros(items, dtype=np.int64), folds, seed=0)


def test_more_folds_than_groups_are_refused():
    with pytest.raises(ConfigError, match="groups"):
        assign_folds(np.zeros(6, dtype=np.int64), 3, seed=0, group=np.array([0, 0, 0, 1, 1, 1]))


def test_a_million_items_take_seconds():
    strata = np.random.default_rng(0).integers(0, 1000, 10**6)
    fold = assign_folds(strata, 5, seed=0, group=np.arange(10**6) // 3)
    assert np.bincount(fold).tolist() == pytest.approx([2 * 10**5] * 5, rel=0.01)


def test_strata_are_the_majority_the_lower_of_a_tie_and_their_own_without_votes():
    votes = Annotations.from_dense([[2, 2, 1], [1, 2, -1], [-1, -1, -1], [0, -1, -1]], classes=3)
    assert majority_strata(votes).tolist() == [2, 1, 3, 0]


def test_which_networks_predict():
    rows = predicting_networks(torch.tensor([2, -1, 0]), 3)
    assert rows.tolist() == [[False, True, True], [False, True, False], [True, True, False]]


@given(st.integers(1, 4), st.integers(1, 12), st.integers(0, 10**6), st.booleans())
def test_pooled_predictions_are_those_of_a_loop(folds, items, seed, log):
    generator = torch.Generator().manual_seed(seed)
    fold = torch.randint(-1, folds, (items,), generator=generator)
    rows = predicting_networks(fold, folds)
    full = torch.rand(folds, items, 3, generator=generator, dtype=torch.float64)
    pooled = pool_predictions([(full[f].log() if log else full[f])[rows[f]] for f in range(folds)], rows, log=log)
    for n in range(items):
        seen_by = [int(fold[n])] if fold[n] >= 0 else list(range(folds))
        for c in range(3):
            mean = sum(float(full[f, n, c]) for f in seen_by) / len(seen_by)
            assert float(pooled[n, c]) == pytest.approx(math.log(mean) if log else mean, abs=1e-12)


def test_one_network_alone_is_kept_bit_by_bit_and_none_is_nan():
    value = torch.randn(5, 4).log_softmax(-1)
    value[0, 0] = -torch.inf
    rows = torch.tensor([[True] * 5 + [False], [False] * 6])
    for log in (True, False):
        pooled = pool_predictions([value, value[:0]], rows, log=log)
        assert torch.equal(pooled[:5], value)
        assert pooled[5].isnan().all()


def test_tiny_probabilities_survive_pooling():
    rows = torch.ones(2, 1, dtype=torch.bool)
    pooled = pool_predictions([torch.tensor([[-500.0]]), torch.tensor([[-500.0]])], rows, log=True)
    assert pooled.item() == pytest.approx(-500)


@given(st.lists(st.integers(-50, 50), unique=True, max_size=20), st.lists(st.integers(-50, 50), max_size=20), seeds)
def test_folds_of_other_items_are_found_by_key(keys, wanted, seed):
    fold = np.random.default_rng(seed).integers(-1, 4, len(keys))
    table = dict(zip(keys, fold.tolist(), strict=True))
    found = folds_by_key(np.array(keys, dtype=np.int64), fold, np.array(wanted, dtype=np.int64))
    assert found.tolist() == [table.get(key, -1) for key in wanted]

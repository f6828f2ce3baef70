import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hilmix.errors import ConfigError, DataError
from hilmix.functional.aggregation import VoteTable, plantnet
from tests.functional.aggregation.tables import loose, random_table, shuffled


def slow_plantnet(votes, rounds, sizes, author, thresholds=(2.0, 0.7)):
    """Algorithm 1 with dictionaries."""
    n, a, k = sizes
    weight = [math.log(2.1)] * a
    for done in range(rounds):
        count = [[0.0] * k for _ in range(n)]
        for i, w, q in votes:
            for c in range(k):
                count[i][c] += weight[w] * q[c]
        winner, valid = [], []
        for row in count:
            best = [c for c in range(k) if row[c] > 0 and row[c] > max(row) - 1e-9]
            winner.append(best[0] if len(best) == 1 else None)
            valid.append(max(row) > thresholds[0] and max(row) / sum(row) > thresholds[1])
        own = {
            (w, c) for i, w, q in votes for c in range(k) if q[c] > 0 and winner[i] == c and valid[i] and author[i] == w
        }
        others = {(w, c) for i, w, q in votes for c in range(k) if q[c] > 0 and winner[i] == c} - own
        number = [sum(w == x for x, _ in own) + round(sum(w == x for x, _ in others) / 10) for w in range(a)]
        if done < rounds - 1:
            weight = [(m**0.5 - m**0.2 if m else 0) + math.log(2.1) for m in number]
    return count, weight, number, valid


@pytest.mark.parametrize("authors", [False, True])
@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_plantnet_equals_the_loops(rounds, authors):
    table = random_table(0, num_items=400, num_annotators=6, num_classes=60, density=0.9)
    # labels near the item's own class, so that there is agreement on many classes
    rng = np.random.default_rng(1)
    label = np.where(rng.random(len(table.item)) < 0.8, table.item % 60, table.label)
    table = replace(table, label=label)
    author = rng.integers(-1, 6, 400) if authors else np.full(400, -1)
    fit = plantnet(table, author=author if authors else None, max_rounds=rounds)
    count, weight, number, valid = slow_plantnet(loose(table), rounds, (400, 6, 60), author)
    np.testing.assert_allclose(fit.weight, weight)
    np.testing.assert_array_equal(fit.identified, number)
    np.testing.assert_array_equal(fit.valid, valid)
    total = np.sum(count, axis=1, keepdims=True)
    np.testing.assert_allclose(fit.posterior, np.where(total > 0, count, 1 / 60) / np.where(total > 0, total, 1))
    if rounds > 1:
        assert fit.weight.max() > math.log(2.1)


def test_one_experienced_annotator_outvotes_two_beginners():
    items = np.arange(300)
    others = np.arange(300, 303)
    item = np.concatenate([np.repeat(items, 3), np.repeat(others, 3)])
    first = np.stack([np.full(300, 0), 1 + 2 * items, 2 + 2 * items], 1).ravel()  # beginners label one item each
    annotator = np.concatenate([first, np.tile([0, 700, 701], 3)])
    label = np.concatenate([np.repeat(items % 300, 3), np.tile([5, 9, 9], 3)])
    author = np.where(np.arange(303) < 300, 0, -1)
    fit = plantnet(VoteTable(item, annotator, label, 303, 702, 300), author=author, least_confidence=2.0)
    assert fit.identified[0] == 300
    assert fit.posterior[300:].argmax(1).tolist() == [5, 5, 5]
    assert not fit.valid[300:].all() or fit.converged


@given(seed=st.integers(0, 10_000), density=st.floats(0, 1), num_classes=st.integers(1, 4), soft=st.booleans())
def test_it_is_the_plain_vote_with_few_classes_whatever_the_order(seed, density, num_classes, soft):
    table = random_table(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density, soft=soft)
    fit = plantnet(shuffled(table))
    assert fit.converged
    np.testing.assert_allclose(fit.weight, math.log(2.1))
    np.testing.assert_allclose(fit.posterior.sum(1), 1)


def test_settings_that_cannot_work_are_named():
    with pytest.raises(ConfigError, match=r"`max_rounds`.*got 0"):
        plantnet(random_table(0), max_rounds=0)
    with pytest.raises(DataError, match=r"`author`.*shape \(2,\)"):
        plantnet(random_table(0), author=np.zeros(2, dtype=np.int64))

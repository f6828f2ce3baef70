import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, mmsr, vote_counts
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items


def agreements(votes, a, k):
    """Common items, and the scaled agreement on them, of every pair."""
    answer = {(i, w): q.index(1.0) for i, w, q in votes}
    common, excess = np.zeros((a, a)), np.zeros((a, a))
    for first in range(a):
        for second in range(a):
            shared = [i for i, w in answer if w == first and (i, second) in answer]
            if first != second and shared:
                common[first, second] = len(shared)
                share = sum(answer[i, first] == answer[i, second] for i in shared) / len(shared)
                excess[first, second] = (k * share - 1) / (k - 1)
    return common, excess


def trimmed(values, trim, current):
    """The mean without the smallest and largest, but none beyond the current value."""
    values = sorted(values)
    low = min(trim, sum(v < current for v in values))
    high = min(trim, sum(v > current for v in values))
    kept = values[low : len(values) - high]
    return sum(kept) / len(kept) if kept else current


def slow_mmsr(votes, rounds, n, a, k):
    common, excess = agreements(votes, a, k)
    partners = [[b for b in range(a) if common[who, b]] for who in range(a)]
    trim = max(0, min(len(p) for p in partners) // 2 - 1)
    left, right = [0.5] * a, [0.5] * a
    for _ in range(rounds):
        right = [trimmed([abs(excess[w, b]) / left[b] for b in partners[w]], trim, right[w]) for w in range(a)]
        left = [trimmed([abs(excess[w, b]) / right[b] for b in partners[w]], trim, left[w]) for w in range(a)]
    scale = math.sqrt(np.linalg.norm(right) / np.linalg.norm(left))
    margin = 1 / math.sqrt(n)
    skill = [min(max(x * scale, -1 / (k - 1) + margin), 1 - margin) for x in left]
    return [s * (k - 1) / k + 1 / k for s in skill]


def crowd(right, num_items, num_classes, seed):
    """Every annotator labels every item, right with their probability."""
    rng, a = np.random.default_rng(seed), len(right)
    truth = rng.integers(0, num_classes, num_items)
    item, annotator = np.repeat(np.arange(num_items), a), np.tile(np.arange(a), num_items)
    wrong = (truth[item] + rng.integers(1, max(2, num_classes), len(item))) % num_classes
    label = np.where(rng.random(len(item)) < np.array(right)[annotator], truth[item], wrong)
    return VoteTable(item, annotator, label, num_items, a, num_classes), truth


@pytest.mark.parametrize("rounds", [1, 3])
def test_mmsr_equals_the_loops(rounds):
    table, _ = crowd([0.9, 0.8, 0.75, 0.7, 0.7, 0.6, 0.85, 0.8], 60, 3, 0)
    keep = np.random.default_rng(0).random(len(table.item)) < 0.8
    table = replace(table, item=table.item[keep], annotator=table.annotator[keep], label=table.label[keep])
    fit = mmsr(table, max_rounds=rounds, tolerance=-1.0)
    np.testing.assert_allclose(fit.accuracy, slow_mmsr(loose(table), rounds, 60, 8, 3), atol=1e-12)
    np.testing.assert_allclose(fit.weight, [math.log(2 * p / (1 - p)) for p in fit.accuracy])
    log = np.zeros((60, 3))
    for i, who, q in loose(table):
        log[i] += fit.weight[who] * np.array(q)
    np.testing.assert_allclose(fit.posterior, np.exp(log) / np.exp(log).sum(1, keepdims=True), atol=1e-12)


def test_skills_are_found_and_adversaries_do_not_move_them():
    right = [0.9, 0.8, 0.7, 0.85, 0.75, 0.6, 0.8, 0.9, 0.7]
    table, _ = crowd(right, 4000, 2, 1)
    np.testing.assert_allclose(mmsr(table).accuracy, right, atol=0.03)
    attacked, truth = crowd([*right, 0.15, 0.1], 4000, 2, 1)
    fit = mmsr(attacked)
    assert fit.converged
    np.testing.assert_allclose(fit.accuracy, [*right, 0.15, 0.1], atol=0.03)
    plain = (vote_counts(attacked).argmax(1) == truth).mean()
    assert (fit.posterior.argmax(1) == truth).mean() > plain + 0.02


@given(seed=st.integers(0, 10_000), density=st.floats(0, 1), num_classes=st.integers(1, 4), soft=st.booleans())
def test_any_table_gives_distributions(seed, density, num_classes, soft):
    table = random_table(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density, soft=soft)
    fit = mmsr(table, max_rounds=30)
    np.testing.assert_allclose(fit.posterior.sum(1), 1)
    assert ((fit.accuracy > 0) & (fit.accuracy <= 1)).all()


def test_neither_the_order_of_the_rows_nor_the_names_matter():
    table, rename = random_table(5, num_items=40), np.array([2, 0, 1])
    moved = shuffled(replace(table, annotator=rename[table.annotator], label=rename[table.label]))
    plain, other = mmsr(table, max_rounds=20), mmsr(moved, max_rounds=20)
    np.testing.assert_allclose(other.posterior[:, rename], plain.posterior, atol=1e-9)


def test_annotators_and_items_without_labels_are_at_chance():
    table = random_table(1, num_items=30)
    fit = mmsr(replace(with_empty_items(table, 9), num_annotators=5))
    np.testing.assert_allclose(fit.accuracy[3:], 1 / 3)
    np.testing.assert_allclose(fit.posterior[30:], 1 / 3)


def test_no_rounds_are_refused():
    with pytest.raises(ConfigError, match=r"`max_rounds`.*got 0"):
        mmsr(random_table(0), max_rounds=0)

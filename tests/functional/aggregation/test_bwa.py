import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, bwa
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items


def slow_bwa(votes, rounds, n, a, k, strength=15.0, smoothing=1.0):
    """Class by class, label by label; items without votes stay out."""
    items = sorted({i for i, _, _ in votes})
    score, precision = np.full((n, k), np.nan), np.zeros((a, k))
    for c in range(k):
        own = {i: [q[c] for j, _, q in votes if j == i] for i in items}
        z = {i: sum(own[i]) / len(own[i]) for i in items}
        spread = sum(len(own[i]) * z[i] * (1 - z[i]) for i in items) / len(votes)
        scale = strength * spread * 4 * (1 - 1 / k)
        for _ in range(rounds):
            mu = sum(z.values()) / len(items)
            v = []
            for who in range(a):
                errors = [(z[i] - q[c]) ** 2 for i, w, q in votes if w == who]
                v.append((strength + len(errors)) / (scale + sum(errors)))
            z = {
                i: (smoothing * mu + sum(v[w] * q[c] for j, w, q in votes if j == i))
                / (smoothing + sum(v[w] for j, w, _ in votes if j == i))
                for i in items
            }
        precision[:, c] = v
        score[:, c] = [z.get(i, mu) for i in range(n)]
    return score, precision


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("rounds", [1, 3])
def test_bwa_equals_the_loops(soft, rounds):
    table = random_table(3, num_items=9, num_annotators=4, soft=soft, repeats=2)
    fast = bwa(table, max_rounds=rounds, tolerance=-1.0)
    score, precision = slow_bwa(loose(table), rounds, 9, 4, 3)
    np.testing.assert_allclose(fast.score, score, atol=1e-12)
    np.testing.assert_allclose(fast.precision, precision, rtol=1e-12)
    np.testing.assert_allclose(fast.posterior, score / score.sum(1, keepdims=True), atol=1e-12)


def test_an_even_crowd_gets_the_plain_vote():
    """Two annotators who disagree throughout have equal precisions, and the smoothing is around one half."""
    item, annotator = np.repeat(np.arange(4), 2), np.tile([0, 1], 4)
    label = np.array([0, 1, 1, 0, 0, 1, 1, 0])
    np.testing.assert_allclose(bwa(VoteTable(item, annotator, label, 4, 2, 2)).posterior, 0.5)


@given(seed=st.integers(0, 10_000), density=st.floats(0, 1), num_classes=st.integers(1, 4), soft=st.booleans())
def test_scores_are_averages(seed, density, num_classes, soft):
    table = random_table(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density, soft=soft)
    fit = bwa(table)
    assert ((fit.score >= -1e-12) & (fit.score <= 1 + 1e-12)).all()
    assert (fit.precision > 0).all()
    np.testing.assert_allclose(fit.posterior.sum(1), 1)


def test_neither_the_order_of_the_rows_nor_the_names_matter():
    table, rename = random_table(5, num_items=40), np.array([2, 0, 1])
    moved = shuffled(replace(table, annotator=rename[table.annotator], label=rename[table.label]))
    plain, other = bwa(table), bwa(moved)
    np.testing.assert_allclose(other.posterior[:, rename], plain.posterior, atol=1e-9)
    np.testing.assert_allclose(other.precision[rename][:, rename], plain.precision, rtol=1e-9)


def test_items_without_votes_get_the_mean_score_and_move_nothing():
    table = random_table(1)
    alone, among = (bwa(one, tolerance=1e-10) for one in (table, with_empty_items(table, 9)))
    np.testing.assert_allclose(among.posterior[:6], alone.posterior, atol=1e-9)
    voted = np.unique(table.item)
    np.testing.assert_allclose(among.score[6:], np.tile(among.score[voted].mean(0), (9, 1)), atol=1e-9)


@pytest.mark.parametrize("wrong", [{"strength": 0.0}, {"smoothing": math.inf}, {"max_rounds": 0}])
def test_settings_that_cannot_work_are_named(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}`.*got"):
        bwa(random_table(0), **wrong)

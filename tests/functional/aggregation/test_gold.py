from dataclasses import replace

import numpy as np
import pytest

from hilmix.annotations import Annotations
from hilmix.errors import DataError
from hilmix.functional.aggregation import (
    AGGREGATORS,
    VoteTable,
    aggregate,
    dawid_skene,
    ibcc,
    kos,
    one_coin,
    vote_counts,
    with_gold,
)
from hilmix.functional.aggregation.class_prior import aggregate_under
from tests.functional.aggregation.tables import random_table

FAIR = [m for m in AGGREGATORS if m not in ("majority", "soft", "plantnet")]
"""Those that can learn from a known class; the others only return it."""


def divided_crowd(seed=0):
    """Three annotators who are mostly right, and four who are mostly wrong: the votes alone are on the wrong side."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 400)
    right = np.array([0.9, 0.9, 0.9, 0.15, 0.15, 0.15, 0.15])
    item, annotator = np.repeat(np.arange(400), 7), np.tile(np.arange(7), 400)
    label = np.where(rng.random(2800) < right[annotator], truth[item], 1 - truth[item])
    return VoteTable(item, annotator, label, 400, 7, 2), truth


@pytest.mark.parametrize("method", AGGREGATORS)
@pytest.mark.parametrize("soft", [False, True])
def test_a_gold_item_is_its_class_and_no_gold_items_change_nothing(method, soft):
    table = random_table(0, num_items=9, num_annotators=4, num_classes=2, soft=soft)
    gold = np.full(9, -1)
    np.testing.assert_array_equal(aggregate(method, table, gold=gold).posterior, aggregate(method, table).posterior)
    gold[[2, 5, 7]] = 0, 1, 0
    posterior = aggregate(method, table, gold=gold).posterior
    np.testing.assert_allclose(posterior[[2, 5, 7]], [[1, 0], [0, 1], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(posterior.sum(1), 1)


@pytest.mark.parametrize("method", FAIR)
def test_annotators_are_judged_by_gold_items(method):
    """With most items known, a crowd that is mostly wrong is turned around on the others."""
    table, truth = divided_crowd()
    known = np.arange(400) < 300
    gold = np.where(known, truth, -1)
    vote, aggregated = vote_counts(table).argmax(1), aggregate(method, table, gold=gold).posterior.argmax(1)
    assert (vote == truth)[~known].mean() < 0.45
    assert (aggregated == truth)[~known].mean() > 0.6


@pytest.mark.parametrize("method", ["dawid-skene", "one-coin", "ibcc"])
def test_all_items_known_is_counting(method):
    table, truth = divided_crowd()
    right = [(table.label[table.annotator == a] == truth).mean() for a in range(7)]
    skill = aggregate(method, table, gold=truth).skill
    np.testing.assert_allclose(skill, right, atol=0.02)


def test_counts_of_known_items_are_the_confusion_matrix():
    table, truth = divided_crowd()
    fit = dawid_skene(with_gold(table, truth), right=1e-9, wrong=1e-9, class_count=1e-9)
    for a in range(7):
        own = table.label[table.annotator == a]
        expected = [[(own[truth == c] == k).mean() for k in range(2)] for c in range(2)]
        np.testing.assert_allclose(fit.confusion[a], expected, atol=1e-6)
    log = sum(np.log(fit.prior[c]) for c in truth)
    log += sum(
        np.log(fit.confusion[a, truth[i], y]) for i, a, y in zip(table.item, table.annotator, table.label, strict=True)
    )
    assert fit.log_likelihood[-1] == pytest.approx(log, rel=1e-6)


@pytest.mark.parametrize("fit", [dawid_skene, one_coin])
def test_the_likelihood_of_part_known_items_never_falls(fit):
    table, truth = divided_crowd(1)
    history = fit(with_gold(table, np.where(np.arange(400) < 40, truth, -1)), tolerance=1e-12).log_likelihood
    assert np.diff(history).min() >= -1e-9


def test_the_bound_of_part_known_items_never_falls():
    table, truth = divided_crowd(1)
    history = ibcc(with_gold(table, np.where(np.arange(400) < 40, truth, -1)), tolerance=1e-12).lower_bound
    assert np.diff(history).min() >= -1e-9


def test_gold_items_need_no_votes():
    table = random_table(0, num_items=9, num_annotators=4, num_classes=2)
    gold = np.r_[np.full(9, -1), 1, 0]
    wide = replace(table, num_items=11)
    for method in AGGREGATORS:
        posterior = aggregate(method, wide, gold=gold).posterior
        np.testing.assert_allclose(posterior[9:], [[0, 1], [1, 0]], atol=1e-12)
    assert kos(with_gold(wide, gold)).posterior[9:].tolist() == [[0, 1], [1, 0]]


def test_annotations_hold_none_and_are_left_as_they_are():
    votes = Annotations.from_dense([[0, 1], [1, 1]])
    assert votes.gold is None
    assert with_gold(votes, np.array([1, -1])).gold.tolist() == [1, -1]
    np.testing.assert_array_equal(vote_counts(with_gold(votes, np.array([1, -1]))), votes.counts())


@pytest.mark.parametrize("wrong", [np.array([0, 1]), np.array([0, 2, -1]), np.array([0, -2, 1]), np.array([0.0, 1, 1])])
def test_known_classes_must_fit_the_votes(wrong):
    votes = Annotations.from_dense([[0, 1], [1, 1], [0, 0]])
    with pytest.raises(DataError, match="`gold`"):
        aggregate("ibcc", votes, gold=wrong)


def test_known_shares_leave_known_classes():
    table, truth = divided_crowd()
    gold = np.where(np.arange(400) < 300, truth, -1)
    found = aggregate_under(np.array([1.0, 3.0]), "dawid-skene", with_gold(table, gold)).posterior
    np.testing.assert_allclose(found[:300], np.eye(2)[truth[:300]])
    plain = aggregate("dawid-skene", table, gold=gold).posterior[300:]
    assert (found[300:, 1] > plain[:, 1] - 1e-12).all()

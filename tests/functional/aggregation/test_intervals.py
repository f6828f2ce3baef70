import numpy as np
import pytest
from scipy import stats

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, accuracy_intervals, dawid_skene, label_sets, one_coin, with_gold


def simulated(seed, items=200, annotators=8, per_item=5, classes=3):
    rng = np.random.default_rng(seed)
    truth, right = rng.integers(0, classes, items), rng.uniform(0.5, 0.95, annotators)
    item = np.repeat(np.arange(items), per_item)
    annotator = rng.random((items, annotators)).argsort(1)[:, :per_item].ravel()
    wrong = (truth[item] + rng.integers(1, classes, len(item))) % classes
    label = np.where(rng.random(len(item)) < right[annotator], truth[item], wrong)
    return VoteTable(item, annotator, label, items, annotators, classes), truth, right


def test_known_classes_give_the_interval_of_jeffreys():
    table, truth, _ = simulated(0)
    posterior = np.eye(3)[truth]
    found = accuracy_intervals(table, posterior, level=0.9)
    for a in range(8):
        own = table.annotator == a
        hits, n = (table.label[own] == truth[table.item[own]]).sum(), own.sum()
        law = stats.beta(hits + 0.5, n - hits + 0.5)
        np.testing.assert_allclose(
            [found.low[a], found.mean[a], found.high[a]], [law.ppf(0.05), law.mean(), law.ppf(0.95)]
        )


def test_unsure_classes_widen_it_to_that_of_fewer_labels():
    """100 labels, each right with probability 0.8 of which nothing is known: variance n q (1 - q) twice."""
    table = VoteTable(np.arange(100), np.zeros(100, dtype=int), np.zeros(100, dtype=int), 100, 1, 2)
    found = accuracy_intervals(table, np.tile([0.8, 0.2], (100, 1)))
    mean = 80.5 / 101
    known = 100 * 100 * mean * (1 - mean) / (100 * mean * (1 - mean) + 100 * 0.16)
    law = stats.beta(0.8 * known + 0.5, 0.2 * known + 0.5)
    np.testing.assert_allclose([found.low[0], found.high[0]], law.ppf([0.025, 0.975]), rtol=1e-9)


@pytest.mark.parametrize("fit", [one_coin, dawid_skene])
@pytest.mark.parametrize("share_known", [0.0, 1.0])
def test_they_cover_the_true_accuracy(fit, share_known):
    """Of 40 crowds of 8 annotators; with classes from a fit it may miss the level, as the fit is too sure."""
    covered = []
    for seed in range(40):
        table, truth, right = simulated(seed)
        gold = np.where(np.arange(200) < share_known * 200, truth, -1)
        found = accuracy_intervals(table, fit(with_gold(table, gold)).posterior)
        covered.append((found.low <= right) & (right <= found.high))
    assert 0.90 <= np.mean(covered) <= 0.99


def test_the_sets_hold_the_true_class_at_least_as_often_as_they_say():
    hits = []
    for seed in range(20):
        table, truth, _ = simulated(seed)
        chosen = label_sets(one_coin(table).posterior, level=0.9)
        hits.append(chosen[np.arange(200), truth].mean())
    assert np.mean(hits) >= 0.9


def test_a_set_is_the_shortest_list_of_likely_classes():
    posterior = np.random.default_rng(0).dirichlet([0.5] * 4, 200)
    for row, chosen in zip(posterior, label_sets(posterior, level=0.8), strict=True):
        order = np.argsort(-row)
        size = int(np.argmax(np.cumsum(row[order]) >= 0.8)) + 1
        assert set(np.flatnonzero(chosen)) == set(order[:size])


def test_annotators_without_labels_may_be_anything():
    table = VoteTable(np.array([0]), np.array([0]), np.array([0]), 1, 2, 2)
    found = accuracy_intervals(table, np.array([[1.0, 0.0]]))
    assert (found.low[1], found.mean[1], found.high[1]) == (0.0, 0.5, 1.0)
    assert found.high[0] == 1.0


def test_the_share_found_lies_inside_where_hardly_any_label_is_wrong_or_right():
    """Of 30 labels: Beta(30.5, 0.5) has 97.5 % below 0.99998."""
    table = VoteTable(np.arange(60), np.repeat([0, 1], 30), np.repeat([0, 1], 30), 60, 2, 2)
    share = 1 - 1e-7
    found = accuracy_intervals(table, np.tile([share, 1 - share], (60, 1)))
    assert (found.high[0], found.low[1]) == pytest.approx((share, 1 - share), abs=1e-12)


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_the_level_is_a_probability(level):
    with pytest.raises(ConfigError, match=r"`level`.*got"):
        label_sets(np.eye(2), level=level)

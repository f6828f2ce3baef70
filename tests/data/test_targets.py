import logging

import numpy as np
import pytest

from hilmix.annotations import Annotations
from hilmix.data.targets import Aggregated, Pairs, Targets, TrueLabels
from hilmix.errors import ConfigError
from hilmix.functional.aggregation import AGGREGATORS, aggregate, dawid_skene

VOTES = Annotations.from_dense([[0, 0, 1], [1, 2, 1], [-1, -1, -1], [2, -1, 0], [1, 1, 1]], classes=["a", "b", "c"])
TRUTH = np.array([0, 1, 2, 2, -1])
TRAIN = np.array([0, 1, 2, 3])


def test_pairs_keep_every_annotation_of_the_training_items():
    kept = Pairs().apply(VOTES, TRUTH, TRAIN)
    assert kept.to_dense().tolist() == [[0, 0, 1], [1, 2, 1], [-1, -1, -1], [2, -1, 0], [-1, -1, -1]]
    assert kept.annotators == VOTES.annotators


@pytest.mark.parametrize("by", [name for name in AGGREGATORS if name != "kos"])
def test_aggregated_has_one_pair_of_one_crowd_per_labelled_training_item(by):
    table = Aggregated(by).apply(VOTES, TRUTH, TRAIN)
    assert table.item.tolist() == [0, 1, 3]
    assert table.annotator.tolist() == [0, 0, 0]
    assert (table.num_items, table.num_annotators, table.classes) == (5, 1, ("a", "b", "c"))
    assert table.exchangeable


def test_majority_is_hard_and_ties_follow_the_seed_and_are_logged(caplog):
    with caplog.at_level(logging.INFO, logger="hilmix.data.targets"):
        tables = [Aggregated("majority", seed=seed).apply(VOTES, TRUTH, TRAIN) for seed in range(20)]
    assert all(table.probs is None for table in tables)
    assert {tuple(table.label[:2].tolist()) for table in tables} == {(0, 1)}
    assert {int(table.label[2]) for table in tables} == {0, 2}
    assert "3 items by majority; the seed decided 1 ties" in caplog.text


def test_soft_labels_are_the_shares_of_the_votes():
    table = Aggregated("soft").apply(VOTES, TRUTH, TRAIN)
    np.testing.assert_allclose(table.probs, [[2 / 3, 1 / 3, 0], [0, 2 / 3, 1 / 3], [0.5, 0, 0.5]], rtol=1e-6)


def test_dawid_skene_targets_are_its_posterior_on_the_training_votes_alone():
    table = Aggregated("dawid-skene").apply(VOTES, TRUTH, TRAIN)
    train = VOTES.subset(TRAIN)
    fit = dawid_skene(train)
    np.testing.assert_allclose(table.probs, fit.posterior[[0, 1, 3]], rtol=1e-6)
    others = Annotations.from_dense([[0, 0, 1], [1, 2, 1], [-1] * 3, [2, -1, 0], [2, 0, 0]], classes=["a", "b", "c"])
    np.testing.assert_array_equal(table.probs, Aggregated("dawid-skene").apply(others, TRUTH, TRAIN).probs)


@pytest.mark.parametrize("by", ["glad", "mace", "wawa", "average"])
def test_distributions_are_those_of_the_aggregator_on_the_training_votes(by):
    posterior = aggregate(by, VOTES.subset(TRAIN), seed=2).posterior
    np.testing.assert_allclose(Aggregated(by, seed=2).apply(VOTES, TRUTH, TRAIN).probs, posterior[[0, 1, 3]], rtol=1e-6)


def test_kos_gives_hard_labels_of_two_classes_and_refuses_three():
    two = Annotations.from_dense([[0] * 4, [1] * 4, [0] * 4], classes=2)
    table = Aggregated("kos").apply(two, TRUTH[:3], np.arange(3))
    assert table.probs is None
    assert table.label.tolist() == [0, 1, 0]
    with pytest.raises(ConfigError, match=r"KOS.*`num_classes`.*got 3"):
        Aggregated("kos").apply(VOTES, TRUTH, TRAIN)


def test_exchangeable_votes_can_be_aggregated_too():
    crowd = Annotations.from_counts(VOTES.counts().astype(int), classes=VOTES.classes)
    for by in ("majority", "soft", "dawid-skene", "glad", "mace", "average"):
        assert Aggregated(by).apply(crowd, TRUTH, TRAIN).item.tolist() == [0, 1, 3]


def test_true_labels_are_the_truth_of_every_training_item_labelled_or_not():
    table = TrueLabels().apply(VOTES, TRUTH, TRAIN)
    assert (table.item.tolist(), table.label.tolist()) == ([0, 1, 2, 3], [0, 1, 2, 2])


def test_true_labels_refuse_unknown_training_targets_and_name_the_row():
    with pytest.raises(ConfigError, match=r"`target`.*1 of 2 unknown.*row 4"):
        TrueLabels().apply(VOTES, TRUTH, np.array([0, 4]))


def test_a_misspelt_rule_is_named():
    with pytest.raises(ConfigError, match=r"by` must be one of \['majority', 'soft', 'dawid-skene'.*got 'dawid_skene'"):
        Aggregated("dawid_skene")


@pytest.mark.parametrize("targets", [Pairs(), Aggregated("soft", seed=3), TrueLabels()])
def test_targets_are_rebuilt_from_their_spec(targets):
    assert Targets.from_spec(targets.spec()).spec() == targets.spec()


@pytest.mark.parametrize("targets", [Pairs(), Aggregated("majority"), Aggregated("soft"), Aggregated("dawid-skene")])
def test_no_votes_at_all_are_legal(targets):
    none = VOTES.subset(np.zeros(5, dtype=bool))
    assert targets.apply(none, TRUTH, TRAIN).num_pairs == 0

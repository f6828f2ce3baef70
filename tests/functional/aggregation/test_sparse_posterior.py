from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from hilmix.aggregates import aggregate_table
from hilmix.annotations import Annotations
from hilmix.data.targets import Aggregated
from hilmix.errors import SizeError
from hilmix.functional.aggregation import SparsePosterior, aggregate, choose_classes, with_gold
from hilmix.functional.aggregation.decisions import Ties, decide
from hilmix.functional.aggregation.sparse_posterior import dense_posterior, mean_posterior
from tests.functional.aggregation.tables import random_table

EXACT = ("majority", "soft", "wawa", "zero-based-skill", "iwmv", "mace", "glad")
"""Methods whose sparse form is no approximation."""


@pytest.fixture
def sparse(monkeypatch):
    """Returns a function that makes every table of probabilities too large to be stored in full."""

    def switch():
        for module in ("cells", "registry"):
            monkeypatch.setattr(f"hilmix.functional.aggregation.{module}.DENSE_NUMBERS", 0)

    return switch


def random_posterior(seed, num_items=40, num_classes=5):
    """Named classes of random number, none included, and a dense copy that is filled in one by one."""
    rng = np.random.default_rng(seed)
    start, label, prob, other, dense = [0], [], [], [], np.zeros((num_items, num_classes))
    for i in range(num_items):
        named = np.sort(rng.choice(num_classes, rng.integers(0, num_classes + 1), replace=False))
        # Small whole numbers, so that named and other classes tie.
        values, rest = rng.integers(0, 3, len(named)) / 4, rng.integers(0, 3) / 4
        dense[i] = rest
        dense[i, named] = values
        start.append(start[-1] + len(named))
        label += named.tolist()
        prob += values.tolist()
        other.append(rest)
    return SparsePosterior(np.array(start), np.array(label), np.array(prob), np.array(other), num_classes), dense


@pytest.mark.parametrize("seed", range(5))
def test_maximum_entropy_and_choice_are_those_of_the_table(seed):
    one, dense = random_posterior(seed)
    np.testing.assert_array_equal(one.dense(), dense)
    np.testing.assert_array_equal(one.dense(np.array([7, 3, 7])), dense[[7, 3, 7]])
    np.testing.assert_array_equal(one.max, dense.max(1))
    logs = np.log(np.where(dense > 0, dense, 1))
    np.testing.assert_allclose(one.entropy, -(dense * logs).sum(1), atol=1e-12)
    expected = choose_classes(dense, seed=seed)
    found = one.choose(seed=seed)
    np.testing.assert_array_equal(found.label, expected.label)
    np.testing.assert_array_equal(found.tied, expected.tied)
    first = np.where(dense.max(1) > 0, dense.argmax(1), -1)
    np.testing.assert_array_equal(one.choose(seed=None).label, first)


def test_the_mean_of_sparse_distributions_is_that_of_the_tables():
    one, dense = random_posterior(0)
    other = replace(one, prob=one.prob[::-1].copy(), other=one.other[::-1].copy())
    mean = mean_posterior([one, other])
    np.testing.assert_allclose(dense_posterior(mean), (dense + other.dense()) / 2)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("gold", [False, True])
@pytest.mark.parametrize("method", EXACT)
def test_large_tables_give_what_small_ones_give(method, gold, soft, sparse):
    votes = random_table(1, num_items=30, num_annotators=6, num_classes=5, density=0.3, soft=soft)
    if gold:
        votes = with_gold(votes, np.where(np.arange(30) % 4 == 0, np.arange(30) % 5, -1))
    expected = aggregate(method, votes)
    choices = {ties: decide(method, expected, votes, ties=ties, seed=3) for ties in get_args(Ties)}
    sparse()
    found = aggregate(method, votes)
    assert isinstance(found.posterior, SparsePosterior)
    np.testing.assert_allclose(found.posterior.dense(), expected.posterior, atol=1e-12)
    for ties, choice in choices.items():
        decision = decide(method, found, votes, ties=ties, seed=3)
        np.testing.assert_array_equal(decision.label, choice.label)
        np.testing.assert_array_equal(decision.tied, choice.tied)
        np.testing.assert_allclose(dense_posterior(decision.posterior), choice.posterior, atol=1e-12)


def test_the_average_is_that_of_its_parts(sparse):
    votes = random_table(2, num_items=30, num_annotators=6, num_classes=5)
    sparse()
    parts = [aggregate(name, votes) for name in ("soft", "dawid-skene", "glad", "mace", "wawa", "zero-based-skill")]
    average = aggregate("average", votes)
    expected = np.mean([part.posterior.dense() for part in parts], axis=0)
    np.testing.assert_allclose(average.posterior.dense(), expected, atol=1e-12)
    assert average.structure == parts[1].structure != ""


def test_tables_of_sparse_distributions_leave_the_probabilities_out(sparse):
    votes = Annotations.from_dense([[0, 0, 1], [-1, -1, -1], [2, 2, 2]])
    expected = aggregate_table("abc", votes, decide("soft", aggregate("soft", votes), votes))
    sparse()
    found = aggregate_table("abc", votes, decide("soft", aggregate("soft", votes), votes))
    assert list(found.columns) == ["item", "label", "votes", "confidence", "entropy"]
    for column in found.columns:
        assert found[column].equals(expected[column]) or np.allclose(found[column], expected[column])


def test_training_takes_hard_labels_of_sparse_distributions_and_refuses_too_many_soft_ones(sparse, monkeypatch):
    votes = Annotations.from_dense([[0, 0, 1], [1, 1, 1], [2, 2, 0]])
    arguments = (votes, np.full(3, -1), np.arange(3))
    expected = Aggregated("soft").apply(*arguments).probs
    sparse()
    assert Aggregated("majority").apply(*arguments).label.tolist() == [0, 1, 2]
    np.testing.assert_allclose(Aggregated("soft").apply(*arguments).probs, expected)
    monkeypatch.setattr("hilmix.functional.sizes.memory", lambda: 8 * 9)
    with pytest.raises(SizeError, match="3 items"):
        Aggregated("soft").apply(*arguments)

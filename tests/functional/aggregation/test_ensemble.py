from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import (
    VoteTable,
    bwa,
    dawid_skene,
    dispersion,
    ebcc,
    ensemble,
    soft_labels,
    vote_counts,
)
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items


def correlated(rho, seed=0, items=4000, per_item=6):
    """Every label of two classes is right with probability 0.8; with probability rho it copies the item's own coin."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, items)
    coin = rng.random((items, 1)) < 0.8
    right = np.where(rng.random((items, per_item)) < np.sqrt(rho), coin, rng.random((items, per_item)) < 0.8)
    label = np.where(right, truth[:, None], 1 - truth[:, None]).ravel()
    item, annotator = np.repeat(np.arange(items), per_item), np.tile(np.arange(per_item), items)
    return VoteTable(item, annotator, label, items, per_item, 2), truth


def test_the_dispersion_equals_the_loops():
    table = random_table(2, num_items=8, num_annotators=4, repeats=2)
    fit = dawid_skene(table)
    above = below = 0.0
    for i in range(8):
        for c in range(3):
            own = [(w, q) for j, w, q in loose(table) if j == i]
            surplus = sum(q[c] - fit.confusion[w, c, c] for w, q in own)
            above += fit.posterior[i, c] * surplus**2
            below += fit.posterior[i, c] * sum(fit.confusion[w, c, c] * (1 - fit.confusion[w, c, c]) for w, _ in own)
    assert dispersion(table, fit) == pytest.approx(above / below)


@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_the_dispersion_is_one_plus_the_correlation_of_the_others(rho):
    """With the true classes and accuracies, 1 + (n - 1) rho."""
    table, truth = correlated(rho)
    fit = dawid_skene(table)._replace(
        posterior=np.eye(2)[truth], confusion=np.tile([[0.8, 0.2], [0.2, 0.8]], (6, 1, 1))
    )
    assert dispersion(table, fit) == pytest.approx(1 + 5 * rho, abs=0.15)


def test_it_is_the_mean_of_its_members():
    table = random_table(0, num_items=40, num_annotators=6)
    parts = [dawid_skene(table), bwa(table, max_rounds=500), ebcc(table, subtypes=3, start="easiness")]
    fit = ensemble(table)
    assert not fit.refuted
    np.testing.assert_allclose(fit.posterior, sum(part.posterior for part in parts) / 3, atol=1e-12)
    assert fit.rounds == sum(part.rounds for part in parts)


def deceived(seed=0):
    """40 labels on each of 300 items of two classes, 60 % of the items of one class on a scale of looks in between."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 300)
    look = np.where(truth == 1, 0.85, np.where(rng.random(300) < 0.6, rng.uniform(0.2, 0.75, 300), 0.02))
    label = (rng.random((300, 40)) < look[:, None]).astype(np.int64).ravel()
    return VoteTable(np.repeat(np.arange(300), 40), np.tile(np.arange(40), 300), label, 300, 40, 2), truth


def test_votes_that_are_about_something_else_give_the_plain_vote():
    table, truth = deceived()
    fit = ensemble(table)
    shares = soft_labels(vote_counts(table))
    assert fit.refuted
    assert fit.dispersion > 4
    np.testing.assert_array_equal(fit.posterior, shares)
    vote, model = ((p.argmax(1) == truth).mean() for p in (shares, dawid_skene(table).posterior))
    assert vote > model + 0.02


@given(seed=st.integers(0, 10_000), density=st.floats(0, 1), num_classes=st.integers(1, 4), soft=st.booleans())
def test_any_table_gives_distributions(seed, density, num_classes, soft):
    table = random_table(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density, soft=soft)
    fit = ensemble(table)
    np.testing.assert_allclose(fit.posterior.sum(1), 1)
    assert np.isfinite(fit.dispersion)


def test_neither_the_order_of_the_rows_nor_the_names_matter():
    table, rename = random_table(5, num_items=40), np.array([2, 0, 1])
    moved = shuffled(replace(table, annotator=rename[table.annotator], label=rename[table.label]))
    plain, other = ensemble(table), ensemble(moved)
    np.testing.assert_allclose(other.posterior[:, rename], plain.posterior, atol=1e-5)


def test_items_without_votes_move_nothing():
    table = random_table(1, num_items=20)
    np.testing.assert_allclose(
        ensemble(with_empty_items(table, 9)).posterior[:20], ensemble(table).posterior, atol=1e-9
    )


def test_no_rounds_are_refused():
    with pytest.raises(ConfigError, match=r"`max_rounds`.*got 0"):
        ensemble(random_table(0), max_rounds=0)

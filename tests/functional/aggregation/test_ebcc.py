import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, ebcc, ibcc, soft_labels, vote_counts
from tests.functional.aggregation.bcc_loops import exact, parameters, slow_bcc
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items

PSEUDO = (4.0, 1.0, 1.0, 0.1)


def voted(table):
    return sorted(set(table.item.tolist()))


def start(table, seed, subtypes):
    """Of the first restart: one draw of subtypes per item with votes, in the order of the items."""
    items, shares = voted(table), soft_labels(vote_counts(table))
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    drawn = rng.dirichlet(np.ones(subtypes), len(items))
    return {i: [[p * w for w in drawn[row]] for p in shares[i]] for row, i in enumerate(items)}


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_ebcc_equals_the_loops(seed, soft):
    table = random_table(seed, soft=soft, repeats=3)
    fast = ebcc(table, subtypes=2, restarts=1, seed=5, max_rounds=4, tolerance=-np.inf)
    q, bounds = slow_bcc(loose(table), start(table, 5, 2), 4, (3, 3, 2), PSEUDO)
    np.testing.assert_allclose(fast.posterior[list(q)], [np.sum(q[i], axis=1) for i in q], atol=1e-10)
    np.testing.assert_allclose(fast.lower_bound, bounds, atol=1e-9)
    tau, pi, v = parameters(loose(table), q, (3, 3, 2), PSEUDO)
    np.testing.assert_allclose(fast.prior, np.array(tau) / sum(tau), atol=1e-10)
    recall = [
        [sum(pi[c][g] / sum(pi[c]) * v[a][c][g][c] / sum(v[a][c][g]) for g in range(2)) for c in range(3)]
        for a in range(3)
    ]
    np.testing.assert_allclose(fast.recall, recall, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_is_below_the_evidence(seed):
    table = random_table(seed, num_items=4, num_annotators=3, num_classes=2)
    evidence, _ = exact(loose(table), voted(table), (3, 2, 2), PSEUDO)
    assert (ebcc(table, subtypes=2).restarts < evidence).all()


def test_one_subtype_is_ibcc():
    table = random_table(3, num_items=30, num_annotators=5)
    one, other = ebcc(table, subtypes=1, restarts=1), ibcc(table)
    np.testing.assert_allclose(one.posterior, other.posterior, atol=1e-12)
    np.testing.assert_allclose(one.lower_bound, other.lower_bound, atol=1e-9)


@given(
    seed=st.integers(0, 10_000),
    density=st.floats(0, 1),
    num_classes=st.integers(1, 4),
    subtypes=st.integers(1, 4),
    soft=st.booleans(),
)
def test_the_bound_never_falls(seed, density, num_classes, subtypes, soft):
    table = random_table(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density, soft=soft)
    fit = ebcc(table, subtypes=subtypes, restarts=2, seed=seed, tolerance=1e-9, max_rounds=40)
    assert np.diff(fit.lower_bound).min(initial=0) >= -1e-9
    np.testing.assert_allclose(fit.posterior.sum(1), 1)
    assert ((fit.recall > 0) & (fit.recall < 1 + 1e-12)).all()


def test_restarts_differ_and_the_best_is_kept():
    table = random_table(2, num_items=20, num_annotators=6, density=0.5)
    several = ebcc(table, restarts=5, max_rounds=3, tolerance=-np.inf)
    assert len(np.unique(several.restarts)) == 5
    assert several.lower_bound[-1] == several.restarts.max()
    assert ebcc(table, restarts=1, max_rounds=3, tolerance=-np.inf).restarts[0] == several.restarts[0]
    other = ebcc(table, restarts=1, max_rounds=3, tolerance=-np.inf, seed=1)
    assert other.restarts[0] not in several.restarts


def test_neither_the_order_of_the_rows_nor_the_names_matter():
    table, rename = random_table(5, num_items=40), np.array([2, 0, 1])
    moved = shuffled(replace(table, annotator=rename[table.annotator], label=rename[table.label]))
    plain, other = (ebcc(one, max_rounds=50, tolerance=-np.inf) for one in (table, moved))
    np.testing.assert_allclose(other.posterior[:, rename], plain.posterior, atol=1e-6)
    np.testing.assert_allclose(other.recall[rename][:, rename], plain.recall, atol=1e-6)


def test_items_and_annotators_without_labels_get_the_prior_and_move_nothing():
    table = random_table(1)
    alone, among = ebcc(table), ebcc(replace(with_empty_items(table, 50), num_annotators=5))
    np.testing.assert_allclose(among.posterior[:6], alone.posterior)
    np.testing.assert_allclose(among.posterior[6:], np.tile(alone.prior, (50, 1)))
    np.testing.assert_allclose(among.restarts, alone.restarts)
    np.testing.assert_allclose(among.recall[3:], 4 / 6)


def answers(right, truth, repeat):
    """A table of two classes in which annotator a is right where ``right[:, a]``; the last one ``repeat`` times."""
    label = np.where(right, truth[:, None], 1 - truth[:, None])
    label = np.concatenate([label, *[label[:, -1:]] * (repeat - 1)], axis=1)
    n, a = label.shape
    return VoteTable(np.repeat(np.arange(n), a), np.tile(np.arange(a), n), label.ravel(), n, a, 2)


def accuracy(fit, truth):
    return (fit.posterior.argmax(1) == truth).mean()


def test_annotators_who_know_one_topic_each_are_as_good_as_bayes_rule_makes_them():
    """An item's topic is not given: it shows in who agrees with whom, which IBCC cannot use."""
    rng = np.random.default_rng(0)
    truth, topic = rng.integers(0, 2, 3000), rng.integers(0, 2, 3000)
    known = np.array([[0.95] * 5 + [0.5] * 5, [0.5] * 5 + [0.95] * 5])
    right = rng.random((3000, 10)) < known[topic]
    table = answers(right, truth, 1)
    label = table.label.reshape(3000, 10)
    likelihood = [sum(np.where(label == c, p, 1 - p).prod(1) for p in known) for c in range(2)]
    best = (np.argmax(likelihood, axis=0) == truth).mean()
    dependent, independent = ebcc(table, subtypes=4, restarts=5), ibcc(table)
    assert accuracy(dependent, truth) > best - 0.01
    assert accuracy(independent, truth) < best - 0.1
    assert dependent.lower_bound[-1] > independent.lower_bound[-1]
    assert dependent.converged


def test_exact_copies_are_still_trusted_most():
    """A limit that docs/aggregation.md states: three copies agree so well that they pass for the best annotators."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 2000)
    table = answers(rng.random((2000, 7)) < np.r_[np.full(6, 0.75), 0.6], truth, 3)
    assert (vote_counts(table).argmax(1) == truth).mean() > accuracy(ebcc(table, subtypes=4, restarts=2), truth) + 0.1


@pytest.mark.parametrize(
    "wrong",
    [
        {"right": 0.0},
        {"wrong": -1.0},
        {"class_count": math.inf},
        {"subtype_count": 0.0},
        {"subtypes": 0},
        {"restarts": 0},
        {"max_rounds": 0},
    ],
)
def test_settings_that_cannot_work_are_named(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}`.*got"):
        ebcc(random_table(0), **wrong)

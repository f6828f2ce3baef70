import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, dawid_skene, ibcc, soft_labels, vote_counts
from tests.functional.aggregation.bcc_loops import exact, parameters, slow_bcc
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items

PSEUDO = (4.0, 1.0, 1.0, 1.0)


def voted(table):
    return sorted(set(table.item.tolist()))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_ibcc_equals_the_loops(seed, soft):
    table = random_table(seed, soft=soft, repeats=3)
    fast = ibcc(table, max_rounds=5, tolerance=-np.inf)
    shares = soft_labels(vote_counts(table))
    start = {i: [[p] for p in shares[i]] for i in voted(table)}
    q, bounds = slow_bcc(loose(table), start, 5, (3, 3, 1), PSEUDO)
    np.testing.assert_allclose(fast.posterior[list(q)], [np.ravel(q[i]) for i in q], atol=1e-10)
    np.testing.assert_allclose(fast.lower_bound, bounds, atol=1e-9)
    tau, _, v = parameters(loose(table), q, (3, 3, 1), PSEUDO)
    np.testing.assert_allclose(fast.prior, np.array(tau) / sum(tau), atol=1e-10)
    recall = [[v[a][c][0][c] / sum(v[a][c][0]) for c in range(3)] for a in range(3)]
    np.testing.assert_allclose(fast.recall, recall, atol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_is_below_the_evidence_and_close_to_it_with_firm_priors(seed):
    table = random_table(seed, num_items=5, num_annotators=3)
    gaps = []
    for scale in (1, 300):
        pseudo = (4.0 * scale, 1.0 * scale, 1.0 * scale, 1.0)
        evidence, posterior = exact(loose(table), voted(table), (3, 3, 1), pseudo)
        fit = ibcc(table, right=pseudo[0], wrong=pseudo[1], class_count=pseudo[2])
        gaps.append(evidence - fit.lower_bound[-1])
    assert gaps[0] > gaps[1] > 0
    assert gaps[1] < 0.05
    np.testing.assert_allclose(fit.posterior[voted(table)], posterior, atol=0.02)


@given(seed=st.integers(0, 10_000), density=st.floats(0, 1), num_classes=st.integers(1, 5), soft=st.booleans())
def test_the_bound_never_falls(seed, density, num_classes, soft):
    table = random_table(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density, soft=soft)
    fit = ibcc(table, tolerance=1e-9, max_rounds=60)
    assert np.diff(fit.lower_bound).min(initial=0) >= -1e-9
    np.testing.assert_allclose(fit.posterior.sum(1), 1)
    assert ((fit.recall > 0) & (fit.recall <= 1)).all()


def test_neither_the_order_of_the_rows_nor_the_names_matter():
    table, rename = random_table(5, num_items=40), np.array([2, 0, 1])
    moved = shuffled(replace(table, annotator=rename[table.annotator], label=rename[table.label]))
    plain, other = ibcc(table), ibcc(moved)
    np.testing.assert_allclose(other.posterior[:, rename], plain.posterior, atol=1e-9)
    np.testing.assert_allclose(other.recall[rename][:, rename], plain.recall, atol=1e-9)


def test_items_and_annotators_without_labels_get_the_prior_and_move_nothing():
    table = random_table(1)
    alone, among = ibcc(table), ibcc(replace(with_empty_items(table, 50), num_annotators=5))
    np.testing.assert_allclose(among.posterior[:6], alone.posterior)
    np.testing.assert_allclose(among.posterior[6:], np.tile(alone.prior, (50, 1)))
    np.testing.assert_allclose(among.lower_bound, alone.lower_bound)
    np.testing.assert_allclose(among.recall[3:], 4 / 6)


def test_with_many_labels_it_is_dawid_skene():
    rng = np.random.default_rng(0)
    truth, right = rng.integers(0, 2, 6000), np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    item, annotator = np.repeat(np.arange(6000), 5), np.tile(np.arange(5), 6000)
    label = np.where(rng.random(30_000) < right[annotator], truth[item], 1 - truth[item])
    table = VoteTable(item, annotator, label, 6000, 5, 2)
    fit, other = ibcc(table), dawid_skene(table)
    np.testing.assert_allclose(fit.recall, np.tile(right[:, None], 2), atol=0.03)
    np.testing.assert_allclose(fit.posterior, other.posterior, atol=0.01)
    assert fit.converged


@pytest.mark.parametrize("wrong", [{"right": 0.0}, {"wrong": -1.0}, {"class_count": math.inf}, {"max_rounds": 0}])
def test_settings_that_cannot_work_are_named(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}`.*got"):
        ibcc(random_table(0), **wrong)

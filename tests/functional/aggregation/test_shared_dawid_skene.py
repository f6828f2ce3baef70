import math

import numpy as np
import pytest

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, aggregate, majority, shared_dawid_skene, with_gold
from hilmix.functional.aggregation.shared_dawid_skene import CANDIDATES
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items


def confusion(fit, annotator, num_classes):
    """The matrix of an annotator; what a row of the shared one lacks is spread over the places that it leaves out."""
    shared = fit.shared.toarray()
    given = np.zeros(shared.shape, dtype=bool)
    given[fit.shared.tocoo().coords] = True
    for row, known in zip(shared, given, strict=True):
        if not known.all():
            row[~known] = (1 - row.sum()) / (~known).sum()
    return fit.knows[annotator] * np.eye(num_classes) + (1 - fit.knows[annotator]) * shared


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_posterior_is_bayes_rule_over_the_classes_that_were_given(seed, soft):
    table = random_table(seed, num_items=12, num_annotators=4, num_classes=4, soft=soft)
    fit = shared_dawid_skene(table)
    matrices = [confusion(fit, a, 4) for a in range(4)]
    for matrix in matrices:
        np.testing.assert_allclose(matrix.sum(1), 1)
    np.testing.assert_allclose(fit.right, [fit.prior @ matrix.diagonal() for matrix in matrices])
    evidence, posterior = 0.0, fit.posterior.dense()
    for item in range(12):
        votes = [(a, q) for i, a, q in loose(table) if i == item]
        given = [c for c in range(4) if any(q[c] > 0 for _, q in votes)]
        joint = np.zeros(4)
        for c in given:
            joint[c] = fit.prior[c] * math.prod(matrices[a][c, k] ** q[k] for a, q in votes for k in range(4))
        evidence += math.log(joint.sum()) if given else 0.0
        np.testing.assert_allclose(posterior[item], joint / joint.sum() if given else 0.25, atol=1e-12)
    shared = (matrices[0] - fit.knows[0] * np.eye(4)) / (1 - fit.knows[0])
    prior = (
        2 * np.log(fit.knows).sum() + np.log1p(-fit.knows).sum() + np.log(shared).sum() / 4 + np.log(fit.prior).sum()
    )
    np.testing.assert_allclose(fit.log_likelihood[-1], evidence + prior)


@pytest.mark.parametrize("seed", range(5))
def test_the_likelihood_never_falls(seed):
    table = random_table(seed, num_items=40, num_annotators=8, num_classes=6, soft=seed % 2 == 1)
    fit = shared_dawid_skene(table, tolerance=-np.inf, max_rounds=60)
    assert np.diff(fit.log_likelihood).min() > -1e-9


def test_the_order_of_votes_and_empty_items_do_not_matter():
    table = random_table(4, num_items=20, num_annotators=5, num_classes=4)
    fit = shared_dawid_skene(table)
    other = shared_dawid_skene(with_empty_items(shuffled(table), 2))
    np.testing.assert_allclose(other.posterior.dense()[:20], fit.posterior.dense())
    np.testing.assert_allclose(other.posterior.dense()[20:], 0.25)


def test_it_finds_who_errs_and_what_is_confused():
    """Twenty classes in pairs that are taken for each other: the votes alone are wrong more often."""
    rng = np.random.default_rng(0)
    truth, skill = rng.integers(0, 20, 2000), np.linspace(0.2, 0.95, 60)
    item = np.repeat(np.arange(2000), 5)
    annotator = rng.integers(0, 60, len(item))
    guess = np.where(rng.random(len(item)) < 0.7, truth[item] ^ 1, rng.integers(0, 20, len(item)))
    label = np.where(rng.random(len(item)) < skill[annotator], truth[item], guess)
    table = VoteTable(item, annotator, label, 2000, 60, 20)
    fit = shared_dawid_skene(table)
    assert np.corrcoef(fit.right, skill)[0, 1] > 0.95
    assert (fit.posterior.choose().label == truth).mean() > (majority(table).label == truth).mean() + 0.05
    errors = fit.shared.toarray() * (1 - np.eye(20))
    assert (errors.argmax(1) == np.arange(20) ^ 1).mean() > 0.9


def test_known_classes_are_certain_and_teach():
    """Both always disagree; three known classes tell who is right about the others."""
    item, annotator = np.repeat(np.arange(12), 2), np.tile([0, 1], 12)
    label = np.stack([np.arange(12) % 3, (np.arange(12) + 1) % 3], axis=1).ravel()
    table = with_gold(VoteTable(item, annotator, label, 12, 2, 4), np.r_[1, 2, 0, np.full(9, -1)])
    fit = shared_dawid_skene(table)
    np.testing.assert_array_equal(fit.posterior.dense()[:3], np.eye(4)[[1, 2, 0]])
    assert (fit.posterior.choose().label[3:] == (np.arange(3, 12) + 1) % 3).all()
    unheard = with_gold(table, np.r_[3, np.full(11, -1)])
    assert shared_dawid_skene(unheard).posterior.dense()[0].tolist() == [0, 0, 0, 1]


def test_an_item_has_at_most_so_many_candidates():
    labels = np.r_[np.arange(CANDIDATES + 3), CANDIDATES + 2, CANDIDATES + 1]
    votes = VoteTable(np.zeros(len(labels), int), np.arange(len(labels)), labels, 1, len(labels), CANDIDATES + 3)
    posterior = shared_dawid_skene(votes).posterior.dense()[0]
    assert (posterior > 0).sum() == CANDIDATES
    assert (posterior[-2:] > 0).all()


def test_the_size_chooses_it_and_the_result_says_so(monkeypatch):
    votes = random_table(0, num_items=8, num_annotators=3, num_classes=4)
    assert aggregate("dawid-skene", votes).structure == ""
    monkeypatch.setattr("hilmix.functional.aggregation.registry.DENSE_NUMBERS", 3 * 4 * 4 - 1)
    found = aggregate("dawid-skene", votes)
    np.testing.assert_array_equal(found.posterior, shared_dawid_skene(votes).posterior.dense())
    assert "4 x 4" in found.structure
    assert "3 matrices" in found.structure


@pytest.mark.parametrize("setting", [{"right": 0}, {"wrong": -1}, {"class_count": np.inf}, {"max_rounds": 0}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        shared_dawid_skene(random_table(0), **setting)

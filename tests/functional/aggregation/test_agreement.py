from itertools import product

import numpy as np
import pandas as pd
import pytest

from hilmix.annotations import Annotations
from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, aggregate, soft_labels, vote_counts, wawa, zero_based_skill
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items


def slow_vote(votes, skill, n, k):
    counts = np.zeros((n, k))
    for i, a, share in votes:
        counts[i] += skill[a] * np.array(share)
    return counts


def slow_agreement(votes, counts, num_annotators):
    """Mean over every way to break the ties of the winning classes."""
    best = [np.flatnonzero((row >= row.max() * (1 - 1e-6)) & (row.max() > 0)) for row in counts]
    total = np.zeros(num_annotators)
    np.add.at(total, [a for _, a, _ in votes], 1)
    ways = list(product(*([-1] if len(tied) == 0 else tied for tied in best)))
    shares = np.zeros((len(ways), num_annotators))
    for right, winner in zip(shares, ways, strict=True):
        for i, a, share in votes:
            right[a] += share[winner[i]] if winner[i] >= 0 else 0
    return (shares / np.maximum(total, 1)).mean(axis=0)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_wawa_is_the_mean_over_all_ways_to_break_ties(soft, seed):
    table = random_table(seed, soft=soft, repeats=2)
    votes = loose(table)
    counts = slow_vote(votes, np.ones(3), 6, 3)
    skill = slow_agreement(votes, counts, 3)
    fit = wawa(table)
    np.testing.assert_allclose(fit.skill, skill)
    np.testing.assert_allclose(fit.posterior, soft_labels(slow_vote(votes, skill, 6, 3)))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_zero_based_skill_equals_the_loops_run_to_the_end(soft, seed):
    """The loops always run 100 rounds, ties broken in every way; stopping when nothing changes must not matter."""
    table = random_table(seed, num_items=8, num_annotators=4, soft=soft)
    votes = loose(table)
    skill, rate = np.full(4, 1 / 3), 1.0
    for done in range(1, 101):
        rate *= 0.5 if done % 20 == 0 else 1.0
        skill = skill + rate * (slow_agreement(votes, slow_vote(votes, skill, 8, 3), 4) - skill)
    fit = zero_based_skill(table)
    np.testing.assert_allclose(fit.skill, skill, atol=1e-8)
    np.testing.assert_allclose(fit.posterior, soft_labels(slow_vote(votes, skill, 8, 3)), atol=1e-8)


def test_a_tie_of_two_gives_both_half():
    """One item, two annotators, two answers: neither is ahead; a third of three classes is a third."""
    for method in (wawa, zero_based_skill):
        pair = method(VoteTable(np.zeros(2, int), np.arange(2), np.arange(2), 1, 2, 2))
        assert pair.skill.tolist() == [0.5, 0.5]
        assert pair.posterior.tolist() == [[0.5, 0.5]]
        assert pair.converged
        three = method(VoteTable(np.zeros(3, int), np.arange(3), np.arange(3), 1, 3, 4))
        np.testing.assert_allclose(three.skill, 1 / 3)
        np.testing.assert_allclose(three.posterior, [[1 / 3, 1 / 3, 1 / 3, 0]])


def test_without_ties_wawa_is_the_agreement_with_the_most_frequent_label():
    """Three annotators and two classes leave no tie; pandas' mode and means are crowd-kit's definition."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 2, (20, 3))).stack().rename_axis(["item", "annotator"]).rename("label")
    frame = frame.reset_index()
    winner = frame.groupby("item")["label"].agg(lambda labels: labels.mode().item())
    skill = (frame["label"] == frame["item"].map(winner)).groupby(frame["annotator"]).mean()
    weights = frame.assign(weight=frame["annotator"].map(skill)).pivot_table(
        index="item", columns="label", values="weight", aggfunc="sum", fill_value=0
    )
    columns = (frame[name].to_numpy() for name in ("item", "annotator", "label"))
    fit = wawa(VoteTable(*columns, num_items=20, num_annotators=3, num_classes=2))
    np.testing.assert_allclose(fit.skill, skill)
    np.testing.assert_allclose(fit.posterior, weights.div(weights.sum(axis=1), axis=0))


@pytest.mark.parametrize("method", ["wawa", "zero-based-skill"])
def test_the_seed_draws_nothing(method):
    votes = Annotations.from_dense([[0, 1], [1, 0], [0, 0], [2, 1]])
    fits = [aggregate(method, votes, seed=seed) for seed in range(5)]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.skill, fits[0].skill)
        np.testing.assert_array_equal(fit.posterior, fits[0].posterior)


def test_who_agrees_counts_more():
    """Annotator 2 is alone on two of three items; on the last one, two against two, the others prevail."""
    item, annotator = np.array([0, 0, 0, 1, 1, 1, 2, 2]), np.array([0, 1, 2, 0, 1, 2, 0, 2])
    label = np.array([0, 0, 1, 1, 1, 0, 0, 1])
    for method in (wawa, zero_based_skill):
        fit = method(VoteTable(item, annotator, label, num_items=3, num_annotators=4, num_classes=2))
        assert fit.posterior.argmax(1).tolist() == [0, 1, 0]
        assert fit.skill[1] == 1
        assert fit.skill[2] < fit.skill[0]
        assert fit.skill[3] == 0


@pytest.mark.parametrize("method", [wawa, zero_based_skill])
def test_the_order_of_rows_and_empty_items_do_not_matter(method):
    table = random_table(3, num_items=30, num_annotators=5)
    plain, moved = method(table), method(with_empty_items(shuffled(table), 4))
    np.testing.assert_allclose(moved.skill, plain.skill)
    np.testing.assert_allclose(moved.posterior[:30], plain.posterior)
    np.testing.assert_allclose(moved.posterior[30:], 1 / 3)


def test_equal_skills_give_the_shares_of_the_votes():
    table = random_table(0, num_annotators=1, density=1.0)
    np.testing.assert_allclose(wawa(table).posterior, soft_labels(vote_counts(table)))


def test_no_rounds_are_refused():
    with pytest.raises(ConfigError, match=r"`max_rounds`.*got 0"):
        zero_based_skill(random_table(0), max_rounds=0)

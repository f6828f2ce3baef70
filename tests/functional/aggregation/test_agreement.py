import numpy as np
import pytest

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import majority, soft_labels, vote_counts, wawa, zero_based_skill
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items


def slow_vote(votes, skill, n, k):
    counts = np.zeros((n, k))
    for i, a, share in votes:
        counts[i] += skill[a] * np.array(share)
    return counts


def slow_agreement(votes, winner, num_annotators):
    right, total = np.zeros(num_annotators), np.zeros(num_annotators)
    for i, a, share in votes:
        right[a] += share[winner[i]]
        total[a] += 1
    return right / np.maximum(total, 1)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_wawa_equals_the_loops(soft, seed):
    table = random_table(seed, soft=soft, repeats=2)
    votes = loose(table)
    winner = majority(slow_vote(votes, np.ones(3), 6, 3), seed=7).label
    skill = slow_agreement(votes, winner, 3)
    fit = wawa(**table, seed=7)
    np.testing.assert_allclose(fit.skill, skill)
    np.testing.assert_allclose(fit.posterior, soft_labels(slow_vote(votes, skill, 6, 3)))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_zero_based_skill_equals_the_loops_run_to_the_end(soft, seed):
    """The loops always run 100 rounds; stopping when nothing changes must not matter."""
    table = random_table(seed, num_items=30, num_annotators=6, soft=soft)
    votes = loose(table)
    skill, rate = np.full(6, 1 / 3), 1.0
    for done in range(1, 101):
        rate *= 0.5 if done % 20 == 0 else 1.0
        skill = skill + rate * (slow_agreement(votes, majority(slow_vote(votes, skill, 30, 3)).label, 6) - skill)
    fit = zero_based_skill(**table)
    np.testing.assert_allclose(fit.skill, skill, atol=1e-8)
    np.testing.assert_allclose(fit.posterior, soft_labels(slow_vote(votes, skill, 30, 3)), atol=1e-8)


def test_who_agrees_counts_more():
    """Annotator 2 is alone on two of three items; on the last one, two against two, the others prevail."""
    item, annotator = np.array([0, 0, 0, 1, 1, 1, 2, 2]), np.array([0, 1, 2, 0, 1, 2, 0, 2])
    label = np.array([0, 0, 1, 1, 1, 0, 0, 1])
    for method in (wawa, zero_based_skill):
        fit = method(item, annotator, label, num_items=3, num_annotators=4, num_classes=2)
        assert fit.posterior.argmax(1).tolist() == [0, 1, 0]
        assert fit.skill[1] == 1
        assert fit.skill[2] < fit.skill[0]
        assert fit.skill[3] == 0


@pytest.mark.parametrize("method", [wawa, zero_based_skill])
def test_the_order_of_rows_and_empty_items_do_not_matter(method):
    table = random_table(3, num_items=30, num_annotators=5)
    plain, moved = method(**table), method(**with_empty_items(shuffled(table), 4))
    np.testing.assert_allclose(moved.skill, plain.skill)
    np.testing.assert_allclose(moved.posterior[:30], plain.posterior)
    np.testing.assert_allclose(moved.posterior[30:], 1 / 3)


def test_equal_skills_give_the_shares_of_the_votes():
    table = random_table(0, num_annotators=1, density=1.0)
    counts = vote_counts(table["item"], table["label"], num_items=6, num_classes=3)
    np.testing.assert_allclose(wawa(**table).posterior, soft_labels(counts))


def test_no_rounds_are_refused():
    with pytest.raises(ConfigError, match="max_rounds is 0"):
        zero_based_skill(**random_table(0), max_rounds=0)

"""Quality of annotators: against loops over pairs of labels, a closed form, and annotators of known kinds."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from hilmix.annotations import Annotations
from hilmix.functional.aggregation import VoteTable, aggregate, soft_labels, vote_counts
from hilmix.functional.vote_quality import agreement_with_others, judge_annotators

tables = st.integers(2, 4).flatmap(
    lambda k: st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, k - 1)), min_size=1, max_size=20
    ).map(lambda rows: VoteTable(*np.array(rows).T, 4, 4, k))
)


@given(tables)
def test_agreement_is_that_of_all_pairs_with_others(votes):
    rows = list(zip(votes.item, votes.annotator, votes.label, strict=True))
    for a, found in enumerate(agreement_with_others(votes)):
        pairs = [x[2] == y[2] for x in rows for y in rows if x[1] == a and y[1] != a and x[0] == y[0]]
        assert found == pytest.approx(np.mean(pairs)) if pairs else np.isnan(found)


def test_agreement_of_soft_labels_is_that_of_draws():
    probs = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    votes = VoteTable(np.zeros(3, int), np.array([0, 1, 2]), probs.argmax(1), 1, 3, 2, probs)
    expected = [(probs[0] @ probs[1] + probs[0] @ probs[2]) / 2, (probs[1] @ probs[0] + probs[1] @ probs[2]) / 2]
    np.testing.assert_allclose(agreement_with_others(votes)[:2], expected)


def test_intervals_are_those_of_known_classes():
    """Jeffreys' of 81 right labels of 263, where the aggregate is sure of all items."""
    label = np.repeat([0, 1], [81, 182])
    votes = VoteTable(np.arange(263), np.zeros(263, int), label, 263, 2, 2)
    found = judge_annotators(votes, np.eye(2)[np.zeros(263, int)])
    np.testing.assert_allclose([found.low[0], found.high[0]], stats.beta(81.5, 182.5).ppf([0.025, 0.975]))
    assert np.isnan([found.low[1], found.high[1]]).all()


def test_numbers_of_an_annotator_are_those_of_a_loop():
    votes = Annotations.from_dense([[0, 1, -1], [2, 2, -1], [1, 0, -1], [0, -1, 2]], classes=3)
    posterior = soft_labels(vote_counts(votes))
    found = judge_annotators(votes, posterior)
    rows = list(zip(votes.item, votes.annotator, votes.label, strict=True))
    for a in range(3):
        mine = [(i, k) for i, who, k in rows if who == a]
        assert found.labels[a] == len(mine)
        assert found.skill[a] == pytest.approx(np.mean([posterior[i, k] for i, k in mine]))
        shares = np.bincount([k for _, k in mine], minlength=3) / len(mine)
        assert found.guessing[a] == pytest.approx(shares @ np.mean([posterior[i] for i, _ in mine], axis=0))
        counts = np.zeros((3, 3))
        for i, k in mine:
            counts[:, k] += posterior[i]
        np.fill_diagonal(wrong := counts.copy(), 0)
        if wrong.max() >= 0.5:
            assert wrong[found.worst_class[a], found.worst_label[a]] == wrong.max()
            assert found.worst_share[a] == pytest.approx(wrong.max() / counts.sum(1)[found.worst_class[a]])


def test_an_annotator_without_labels_has_no_numbers():
    votes = Annotations.build([0, 1], [0, 0], [0, 1], num_items=2, classes=2, annotators=["ann", "silent"])
    found = judge_annotators(votes, np.eye(2))
    assert found.labels.tolist() == [2, 0]
    assert np.isnan([found.skill[1], found.low[1], found.agreement[1], found.guessing[1]]).all()
    assert (found.worst_class.tolist(), found.copy_of.tolist()) == ([-1, -1], [-1, -1])
    assert {name: flag[1] for name, flag in found.flags().items() if name != "few"} == {
        "spammer": False,
        "adversarial": False,
        "copies": False,
    }


@pytest.mark.parametrize("seed", range(3))
def test_flags_name_the_annotators_they_should(seed):
    """Six good annotators; one of each bad kind; the copy takes over every label of a mediocre one."""
    rng = np.random.default_rng(seed)
    n, k = 300, 3
    truth = rng.integers(k, size=n)

    def labels(right):
        other = (truth + rng.integers(1, k, size=n)) % k
        return np.where(rng.random(n) < right, truth, other)

    good = [labels(0.85) for _ in range(6)]
    middle = labels(0.65)
    few = np.where(np.arange(n) < 5, labels(0.9), -1)
    columns = [*good, middle, middle.copy(), rng.integers(k, size=n), np.zeros(n, int), labels(0.05), few]
    votes = Annotations.from_dense(np.stack(columns, 1), classes=k)
    found = judge_annotators(votes, aggregate("dawid-skene", votes).posterior)
    flags = {name: np.flatnonzero(flag).tolist() for name, flag in found.flags().items()}
    assert flags == {"few": [11], "spammer": [8, 9], "adversarial": [10], "copies": [6, 7]}
    assert found.copy_of[[6, 7]].tolist() == [7, 6]


def test_annotators_with_the_same_habit_are_no_copies():
    """Both take class 1 for class 0 nearly always, and agree by that."""
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=400)
    habit = [np.where((truth == 1) & (rng.random(400) < 0.95), 0, truth) for _ in range(2)]
    good = [np.where(rng.random(400) < 0.95, truth, 1 - truth) for _ in range(5)]
    votes = Annotations.from_dense(np.stack([*good, *habit], 1), classes=2)
    assert (np.mean(habit[0] == habit[1])) > 0.94
    assert not judge_annotators(votes, aggregate("dawid-skene", votes).posterior).flags()["copies"].any()

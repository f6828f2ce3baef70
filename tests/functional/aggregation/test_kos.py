import numpy as np
import pytest

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, kos, majority
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items


def slow_kos(votes, message, rounds):
    """The two messages of the paper, edge by edge, never rescaled."""
    answers = [(i, a, share[1] - share[0]) for i, a, share in votes]
    edges = range(len(answers))
    for _ in range(rounds):
        to_annotator = [
            sum(answers[f][2] * message[f] for f in edges if answers[f][0] == answers[e][0] and f != e) for e in edges
        ]
        message = [
            sum(answers[f][2] * to_annotator[f] for f in edges if answers[f][1] == answers[e][1] and f != e)
            for e in edges
        ]
    score = np.zeros(max(i for i, _, _ in answers) + 1)
    for (i, _, answer), y in zip(answers, message, strict=True):
        score[i] += answer * y
    return score


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_kos_equals_the_loops(soft, seed):
    table = random_table(seed, num_items=8, num_annotators=4, num_classes=2, density=0.9, soft=soft, repeats=2)
    start = np.empty(len(table.item))
    start[np.lexsort((table.annotator, table.item))] = np.random.default_rng(seed).normal(1, 1, len(table.item))
    score = slow_kos(loose(table), start.tolist(), 7)
    fit = kos(table, rounds=7, seed=seed)
    sure = np.abs(score) > 1e-9 * np.abs(score).max()
    assert np.array_equal(fit.posterior[: len(score), 1][sure], (score > 0)[sure])


def test_kos_beats_the_vote_where_most_annotators_guess():
    """The setting of the paper: every item has as many annotators, every annotator as many items."""
    rng = np.random.default_rng(0)
    n, per = 1000, 9
    right = np.where(np.arange(300) < 90, 0.95, 0.5)
    truth = rng.integers(0, 2, n)
    item, annotator = np.repeat(np.arange(n), per), rng.permutation(np.arange(n * per) % 300)
    label = np.where(rng.random(n * per) < right[annotator], truth[item], 1 - truth[item])
    table = VoteTable(item, annotator, label, num_items=n, num_annotators=300, num_classes=2)
    fit, vote = kos(table), majority(table).label
    assert (fit.posterior.argmax(1) == truth).mean() > (vote == truth).mean() + 0.04
    assert fit.reliability[:90].mean() > 10 * abs(fit.reliability[90:].mean())


@pytest.mark.parametrize("seed", range(8))
def test_the_order_of_rows_decides_nothing(seed):
    """Also where annotators contradict each other, so that only the first messages tell sides apart."""
    item, annotator = (part.ravel() for part in np.meshgrid(range(4), range(3), indexing="ij"))
    label = np.array([0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0])
    table = VoteTable(item, annotator, label, num_items=4, num_annotators=3, num_classes=2)
    assert np.array_equal(kos(table).posterior, kos(shuffled(table, seed)).posterior)


def test_items_without_labels_are_even():
    fit = kos(with_empty_items(random_table(0, num_classes=2), 2))
    assert fit.posterior[-2:].tolist() == [[0.5, 0.5]] * 2


def test_other_than_two_classes_are_refused_in_one_sentence():
    with pytest.raises(ConfigError, match=r"KOS.*`num_classes`.*got 3"):
        kos(random_table(0))
    with pytest.raises(ConfigError, match=r"`rounds`.*got 0"):
        kos(random_table(0, num_classes=2), rounds=0)

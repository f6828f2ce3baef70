import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hilmix.errors import ConfigError
from hilmix.functional.aggregation import VoteTable, iwmv, soft_labels, vote_counts
from tests.functional.aggregation.tables import loose, random_table, shuffled, with_empty_items


def slow_iwmv(votes, rounds, n, a, k):
    """The algorithm of the paper with loops; a label for one of t winners agrees with 1/t of them."""
    weight = [1.0] * a
    for done in range(rounds):
        score = [[sum(weight[w] * q[c] for j, w, q in votes if j == i) for c in range(k)] for i in range(n)]
        accuracy = [1 / k] * a
        for who in range(a):
            own = [(i, q) for i, w, q in votes if w == who]
            agreed = 0.0
            for i, q in own:
                winners = [c for c in range(k) if score[i][c] > max(score[i]) - 1e-9]
                agreed += sum(q[c] for c in winners) / len(winners)
            if own:
                accuracy[who] = agreed / sum(sum(q) for _, q in own)
        if done < rounds - 1:
            weight = [k * p - 1 for p in accuracy]
    return score, accuracy, weight


@pytest.mark.parametrize("rounds", [1, 2, 4])
@pytest.mark.parametrize("soft", [False, True])
def test_iwmv_equals_the_loops(soft, rounds):
    table = random_table(2, num_items=12, num_annotators=4, soft=soft, repeats=3)
    fast = iwmv(table, max_rounds=rounds)
    assert fast.rounds == rounds
    score, accuracy, weight = slow_iwmv(loose(table), rounds, 12, 4, 3)
    log_odds = [[math.exp(1.5 * x) for x in row] for row in score]
    np.testing.assert_allclose(fast.posterior, [[x / sum(row) for x in row] for row in log_odds], atol=1e-12)
    np.testing.assert_allclose(fast.accuracy, accuracy, atol=1e-12)
    np.testing.assert_allclose(fast.weight, weight, atol=1e-12)


@given(seed=st.integers(0, 10_000), density=st.floats(0, 1), num_classes=st.integers(1, 5), soft=st.booleans())
def test_further_rounds_change_nothing_once_it_has_converged(seed, density, num_classes, soft):
    table = random_table(seed, num_items=12, num_annotators=5, num_classes=num_classes, density=density, soft=soft)
    fit = iwmv(table)
    np.testing.assert_allclose(fit.posterior.sum(1), 1)
    if fit.converged:
        again = iwmv(table, max_rounds=fit.rounds + 1)
        assert again.rounds == fit.rounds
        np.testing.assert_allclose(fit.weight, num_classes * fit.accuracy - 1, atol=1e-6)


def test_the_first_round_is_the_plain_vote():
    table = random_table(0, num_items=40, num_annotators=7)
    shares = soft_labels(vote_counts(table))
    posterior = iwmv(table, max_rounds=1).posterior
    np.testing.assert_array_equal(posterior > posterior.max(1, keepdims=True) - 1e-9, shares == shares.max(1)[:, None])


def test_neither_the_order_of_the_rows_nor_the_names_matter():
    table, rename = random_table(5, num_items=40), np.array([2, 0, 1])
    moved = shuffled(replace(table, annotator=rename[table.annotator], label=rename[table.label]))
    plain, other = iwmv(table), iwmv(moved)
    np.testing.assert_allclose(other.posterior[:, rename], plain.posterior, atol=1e-9)
    np.testing.assert_allclose(other.weight[rename], plain.weight, atol=1e-9)


def test_items_and_annotators_without_labels_are_at_chance_and_move_nothing():
    table = random_table(1)
    alone, among = iwmv(table), iwmv(replace(with_empty_items(table, 9), num_annotators=5))
    np.testing.assert_allclose(among.posterior[:6], alone.posterior)
    np.testing.assert_allclose(among.posterior[6:], 1 / 3)
    np.testing.assert_allclose(among.accuracy[3:], 1 / 3)
    np.testing.assert_allclose(among.weight[3:], 0, atol=1e-12)


def test_annotators_who_are_mostly_wrong_vote_against_their_labels():
    rng = np.random.default_rng(0)
    truth, right = rng.integers(0, 2, 4000), np.array([0.9, 0.85, 0.8, 0.75, 0.15, 0.5, 0.5])
    item, annotator = np.repeat(np.arange(4000), 7), np.tile(np.arange(7), 4000)
    label = np.where(rng.random(28_000) < right[annotator], truth[item], 1 - truth[item])
    table = VoteTable(item, annotator, label, 4000, 7, 2)
    fit = iwmv(table)
    assert fit.converged
    assert fit.weight[4] < -0.5
    # Bayes' rule under the true accuracies is the best that any vote can do
    log_odds = ((2 * label - 1) * np.log(right / (1 - right))[annotator]).reshape(-1, 7).sum(1)
    best, plain = ((log_odds > 0) == truth).mean(), (vote_counts(table).argmax(1) == truth).mean()
    accuracy = (fit.posterior.argmax(1) == truth).mean()
    assert accuracy > best - 0.01
    assert accuracy > plain + 0.03


def test_no_rounds_are_refused():
    with pytest.raises(ConfigError, match=r"`max_rounds`.*got 0"):
        iwmv(random_table(0), max_rounds=0)

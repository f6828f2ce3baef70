"""Simulated annotators: closed-form accuracies, thinning, independence, determinism."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from hilmix.data.simulation.annotators import (
    KINDS,
    TYPICAL_MIX,
    choose_pairs,
    draw_confusion_matrices,
    draw_propensities,
    list_annotator_kinds,
    name_annotators,
    simulate_confusions,
)
from hilmix.errors import DataError


def simulate(target, confusion, *, per_item=None, seed=0, propensities=None):
    classes = [f"c{k}" for k in range(confusion.shape[1])]
    names = [f"a{a}" for a in range(len(confusion))]
    return simulate_confusions(
        target,
        confusion,
        classes=classes,
        annotators=names,
        seed=seed,
        propensities=propensities,
        labels_per_item=len(confusion) if per_item is None else per_item,
    )


def test_kinds_and_names_follow_the_mix():
    kinds = list_annotator_kinds({"good": 2, "weak": 0, "spammer": 1})
    assert kinds == ["good", "good", "spammer"]
    assert name_annotators(kinds) == ("good-0", "good-1", "spammer-0")
    assert len(list_annotator_kinds()) == sum(TYPICAL_MIX.values()) == 20


@pytest.mark.parametrize("mix", [{"perfect": 1}, {"good": -1}])
def test_unknown_kinds_and_negative_numbers_are_refused(mix):
    with pytest.raises(DataError, match=r"`mix`.*got"):
        list_annotator_kinds(mix)


@given(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=6), k=st.integers(1, 12), seed=st.integers(0, 99))
def test_confusion_matrices_are_distributions(kinds, k, seed):
    matrix = draw_confusion_matrices(kinds, k, seed=seed)
    assert matrix.shape == (len(kinds), k, k)
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(-1), 1, atol=1e-12)
    np.testing.assert_array_equal(matrix, draw_confusion_matrices(kinds, k, seed=seed))


@pytest.mark.parametrize("seed", range(5))
def test_each_kind_does_what_its_name_says(seed):
    good, weak, biased, spammer, adversarial = draw_confusion_matrices(KINDS, 10, seed=seed)
    for matrix, low, high in ((good, 0.85, 0.95), (weak, 0.4, 0.65)):
        right = matrix[0, 0]
        assert low <= right <= high
        expected = np.full((10, 10), (1 - right) / 9)
        np.fill_diagonal(expected, right)
        np.testing.assert_allclose(matrix, expected)
    np.testing.assert_array_equal(spammer, np.tile(spammer[0], (10, 1)))
    off = biased - np.diag(np.diag(biased))
    confused = off.max(1) >= 0.7
    assert confused.sum() == 5
    np.testing.assert_allclose(off.max(1)[confused] + np.diag(biased)[confused], 1)
    assert (np.diag(biased)[~confused] >= 0.85).all()
    assert (adversarial.argmax(1) != np.arange(10)).all()
    assert sorted(adversarial.argmax(1)) == list(range(10))
    assert (np.diag(adversarial) <= 0.03 + 1e-12).all()


def test_accuracy_per_annotator_is_the_mean_of_the_diagonal():
    matrix = draw_confusion_matrices(list_annotator_kinds(), 5, seed=3)
    target = np.arange(20_000) % 5
    votes = simulate(target, matrix)
    right = np.bincount(votes.annotator, votes.label == target[votes.item]) / 20_000
    expected = matrix.diagonal(axis1=1, axis2=2).mean(1)
    assert np.abs(right - expected).max() < 5 * 0.5 / np.sqrt(20_000)


def test_labels_follow_the_row_of_the_true_class():
    matrix = draw_confusion_matrices(["biased"], 4, seed=1)
    target = np.repeat(np.arange(4), 10_000)
    votes = simulate(target, matrix)
    table = np.zeros((4, 4))
    np.add.at(table, (target[votes.item], votes.label), 1 / 10_000)
    assert np.abs(table - matrix[0]).max() < 0.03


def test_impossible_labels_never_occur():
    votes = simulate(np.arange(30_000) % 3, np.eye(3)[None, [1, 2, 0]])
    np.testing.assert_array_equal(votes.label, (np.arange(30_000) + 1) % 3)


def test_spammers_say_the_same_whatever_the_truth():
    target = np.arange(6_000) % 3
    votes = simulate(target, draw_confusion_matrices(["spammer"] * 3, 3, seed=2))
    for annotator in range(3):
        mine = votes.annotator == annotator
        table = np.zeros((3, 3))
        np.add.at(table, (target[votes.item][mine], votes.label[mine]), 1)
        assert stats.chi2_contingency(table[:, table.sum(0) > 0]).pvalue > 1e-3


def test_seeds_decide_everything():
    matrix = draw_confusion_matrices(["weak"] * 4, 3, seed=0)
    target = np.arange(300) % 3
    one, same, other = (simulate(target, matrix, per_item=(1, 3), seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(one.label, same.label)
    np.testing.assert_array_equal(one.annotator, same.annotator)
    assert one.num_pairs != other.num_pairs or (one.label != other.label).any()


def test_the_global_generator_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    simulate(np.zeros(10, dtype=int), draw_confusion_matrices(["good"], 2, seed=0))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@given(
    n=st.integers(0, 40),
    a=st.integers(1, 6),
    bounds=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    seed=st.integers(0, 9),
)
def test_thinning_gives_each_item_its_number_of_different_annotators(n, a, bounds, seed):
    low, high = sorted(min(b, a) for b in bounds)
    item, annotator = choose_pairs(n, np.ones(a), labels_per_item=(low, high), seed=seed)
    number = np.bincount(item, minlength=n)
    assert ((number >= low) & (number <= high)).all()
    assert (np.diff(item) >= 0).all()
    assert len(set(zip(item.tolist(), annotator.tolist(), strict=True))) == len(item)
    assert ((annotator >= 0) & (annotator < a)).all()


def test_numbers_of_labels_are_uniform_between_the_bounds():
    item, _ = choose_pairs(30_000, np.ones(5), labels_per_item=(1, 3), seed=0)
    share = np.bincount(np.bincount(item), minlength=4)[1:] / 30_000
    assert np.abs(share - 1 / 3).max() < 0.02


def test_annotators_are_drawn_in_proportion_to_propensity_without_replacement():
    weight = np.array([1.0, 2.0, 5.0])
    p = weight / weight.sum()
    item, annotator = choose_pairs(40_000, weight, labels_per_item=2, seed=0)
    assert len(item) == 80_000
    # Drawn first or second: p_i + sum over the others j of p_j * p_i / (1 - p_j).
    expected = [p[i] + sum(p[j] * p[i] / (1 - p[j]) for j in range(3) if j != i) for i in range(3)]
    np.testing.assert_allclose(np.bincount(annotator) / 40_000, expected, atol=0.01)


def test_the_scale_of_propensities_does_not_matter():
    pairs = [choose_pairs(500, np.array([1, 2, 3]) * s, labels_per_item=1, seed=4)[1] for s in (1.0, 1e6)]
    np.testing.assert_array_equal(*pairs)


def test_beta_propensities_have_the_mean_and_variance_of_beta_1_3():
    drawn = draw_propensities(50_000, seed=0)
    assert abs(drawn.mean() - 1 / 4) < 0.005
    assert abs(drawn.var() - 3 / 80) < 0.002


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choose_pairs(3, [1, 1], labels_per_item=3, seed=0), r"labels_per_item.*\[0, 2\].*got 3"),
        (lambda: choose_pairs(3, [1, 1], labels_per_item=(2, 1), seed=0), "labels_per_item"),
        (lambda: choose_pairs(3, [1, 0], labels_per_item=1, seed=0), "must be positive"),
        (lambda: choose_pairs(3, [1, np.nan], labels_per_item=1, seed=0), "must be positive"),
        (lambda: simulate([0, -1], np.full((1, 2, 2), 0.5)), "`target`.*-1 for item 1"),
        (lambda: simulate([0, 2], np.full((1, 2, 2), 0.5)), "`target`.*2 for item 1"),
        (lambda: simulate([0], np.full((1, 2, 2), 0.6)), "sum to 1"),
        (lambda: simulate([0], np.array([[[1.5, -0.5], [0, 1]]])), "sum to 1"),
        (
            lambda: simulate_confusions([0], np.eye(2)[None], classes="abc", annotators="a", labels_per_item=1, seed=0),
            r"`confusion`.*\(1, 3, 3\).*got \(1, 2, 2\)",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_one_class_and_one_annotator():
    votes = simulate([0, 0], draw_confusion_matrices(["adversarial"], 1, seed=0))
    assert votes.label.tolist() == [0, 0]

"""Descriptions of data: agreement against brute force and published values."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from hypothesis.extra.numpy import arrays

from hilmix.annotations import Annotations
from hilmix.data.folder.describe import (
    describe_data,
    krippendorff_alpha,
    majority_accuracy,
    pairwise_agreement,
    squared_counts,
    training_notes,
)
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.functional.aggregation import AGGREGATORS, aggregate

COUNTS = arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(2, 4)), elements=st.integers(0, 4))


def brute_force_alpha(counts):
    """Coincidence matrix over ordered pairs of values within units, after Krippendorff."""
    units = [np.repeat(np.arange(len(row)), row) for row in counts]
    coincidence = np.zeros((len(counts[0]), len(counts[0])))
    for values in units:
        for a, b in permutations(values, 2):
            coincidence[a, b] += 1 / (len(values) - 1)
    n_c = coincidence.sum(1)
    n = n_c.sum()
    observed = n - np.trace(coincidence)
    expected = (np.outer(n_c, n_c).sum() - (n_c**2).sum()) / (n - 1)
    return 1 - observed / expected


@given(COUNTS)
def test_alpha_is_that_of_the_coincidence_matrix(counts):
    usable = counts[counts.sum(1) >= 2]
    assume((usable.sum(0) > 0).sum() >= 2)
    assert krippendorff_alpha(counts) == pytest.approx(brute_force_alpha(counts.tolist()), abs=1e-12)


def test_alpha_of_the_textbook_example():
    """Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), section C: nominal alpha 0.743."""
    a = [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0]
    b = [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3]
    c = [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0]
    d = [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0]
    counts = np.zeros((12, 6), dtype=int)
    for labels in (a, b, c, d):
        np.add.at(counts, (np.arange(12), labels), 1)
    assert krippendorff_alpha(counts[:, 1:]) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize("counts", [[[1, 0], [0, 1]], [[2, 0], [3, 0]], [[0, 0]]])
def test_alpha_is_not_defined_without_pairs_or_variety(counts):
    assert np.isnan(krippendorff_alpha(counts))


@given(COUNTS)
def test_agreement_is_the_share_of_agreeing_pairs(counts):
    pairs = [a == b for row in counts.tolist() for a, b in permutations(np.repeat(np.arange(len(row)), row), 2)]
    if pairs:
        assert pairwise_agreement(counts) == pytest.approx(np.mean(pairs))
    else:
        assert np.isnan(pairwise_agreement(counts))


def test_majority_splits_ties_and_skips_what_has_no_votes_or_truth():
    counts = [[2, 1, 0], [1, 1, 0], [1, 1, 1], [0, 0, 3], [0, 0, 0], [3, 0, 0]]
    assert majority_accuracy(counts, [0, 1, 2, 0, 0, -1]) == pytest.approx((1 + 1 / 2 + 1 / 3 + 0) / 4)
    assert np.isnan(majority_accuracy(counts, [-1] * 6))


@pytest.fixture
def data():
    votes = Annotations.build(
        [0, 0, 1, 1, 1, 3],
        [0, 1, 0, 1, 2, 2],
        [0, 0, 1, 0, 1, 1],
        num_items=5,
        classes=["cat", "dog", "eel"],
        annotators=["ann", "bob", "cyd", "dan"],
    )
    return AnnotatedData(
        name="tiny",
        items=tuple("abcde"),
        inputs=ArrayInputs(np.zeros((5, 2)), "vector"),
        annotations=votes,
        target=np.array([0, 1, 1, 0, -1]),
        split=np.array(["train", "train", "train", "val", "test"]),
    )


def test_description_counts_everything(data):
    found = describe_data(data)
    assert (found.items, found.annotations, found.annotators, found.empty_items) == (5, 6, 4, 2)
    assert found.splits == {"train": (3, 2), "val": (1, 1), "test": (1, 0)}
    assert found.labels_per_item == (1, 2.0, 3)
    assert found.labels_per_annotator == (0, 2.0, 2)
    assert found.class_votes.tolist() == [0.5, 0.5, 0]
    assert found.class_targets.tolist() == [0.5, 0.5, 0]
    assert found.known_targets == 4
    assert found.wrong_labels == pytest.approx(2 / 6)
    assert found.majority_accuracy == pytest.approx(2 / 3)
    assert found.pairwise_agreement == pytest.approx((2 + 2) / (2 + 6))
    assert found.silent_in_training == ("dan",)


def test_description_without_truth_split_or_votes():
    empty = Annotations.build([], [], [], num_items=2, classes=2, annotators=0)
    found = describe_data(AnnotatedData("none", ("a", "b"), ArrayInputs(np.zeros((2, 1)), "vector"), empty))
    assert found.splits == {"all": (2, 0)}
    assert found.class_targets is None
    assert found.labels_per_item == found.labels_per_annotator == (0, 0.0, 0)
    assert np.isnan([found.wrong_labels, found.majority_accuracy, found.krippendorff_alpha]).all()


def test_exchangeable_votes_have_no_silent_annotators():
    votes = Annotations.from_counts([[2, 0], [0, 0]])
    data = AnnotatedData(
        "x", ("a", "b"), ArrayInputs(np.zeros((2, 1)), "vector"), votes, split=np.array(["val", "train"])
    )
    assert describe_data(data).silent_in_training == ()


def test_notes_name_what_training_cannot_learn_from(data):
    """Worked out by hand from the table above, for its own split and for others."""

    def noted(split, data=data):
        return {one.kind: (one.count, one.found.rpartition(": ")[2]) for one in training_notes(data, split, "toy")}

    unused = {"unused-classes": (1, data.classes[2])}
    assert noted(data.split) == {"silent-annotators": (1, "dan")} | unused
    assert noted(None) == unused
    voted = data.annotations.labels_per_item > 0
    elsewhere = noted(np.where(voted, "test", "train"))
    assert elsewhere["silent-annotators"] == (4, ", ".join(data.annotations.annotators))
    assert set(elsewhere) == {"silent-annotators", "unannotated-split", "unused-classes"}
    none = replace(data, annotations=data.annotations.subset(np.array([], dtype=np.int64)))
    assert list(noted(data.split, none)) == ["no-annotations"]


def test_notes_of_soft_answers_and_of_many_classes():
    """A class counts as used where any answer gives it a share; of many names the first are shown."""
    soft = Annotations.build(
        [0], [0], num_items=1, classes=12, annotators=["a"], probs=np.eye(12)[[0]] / 2 + 0.5 * np.eye(12)[[5]]
    )
    data = AnnotatedData("x", ("i",), ArrayInputs(np.zeros((1, 1)), "vector"), soft)
    (note,) = training_notes(data, None, "x")
    assert note.count == 10
    assert note.found.endswith("1, 2, 3, 4, 6, 7, 8, 9, ...")


def brute_force_soft(item, probs):
    """Agreement and alpha of soft answers, pair by pair: what they would be on average over classes drawn from them."""
    pairs = [(i, j) for i in range(len(item)) for j in range(len(item)) if i != j]
    within = [(i, j) for i, j in pairs if item[i] == item[j]]
    agreement = np.mean([probs[i] @ probs[j] for i, j in within])
    number = np.bincount(item)[item]
    usable = [(i, j) for i, j in pairs if number[i] > 1 and number[j] > 1]
    answers = int((number > 1).sum())
    observed = sum((1 - probs[i] @ probs[j]) / (number[i] - 1) for i, j in within)
    expected = sum(1 - probs[i] @ probs[j] for i, j in usable) / (answers - 1)
    return agreement, 1 - observed / expected


@pytest.mark.parametrize("seed", range(5))
def test_agreement_of_soft_answers_is_its_expected_value(seed):
    rng = np.random.default_rng(seed)
    item, probs = rng.integers(0, 6, 14), rng.dirichlet([1, 1, 1], 14)
    votes = Annotations.build(item, np.arange(14), probs=probs, num_items=6, classes=3, annotators=14)
    agreement, alpha = brute_force_soft(item, probs)
    assert pairwise_agreement(votes.counts(), squared_counts(votes)) == pytest.approx(agreement, abs=1e-6)
    assert krippendorff_alpha(votes.counts(), squared_counts(votes)) == pytest.approx(alpha, abs=1e-6)


def described(votes, target):
    names = tuple(f"i{n}" for n in range(votes.num_items))
    return describe_data(
        AnnotatedData("x", names, ArrayInputs(np.zeros((len(names), 1)), "vector"), votes, target=np.array(target))
    )


def test_draws_count_in_equal_shares():
    probs = [[0.5, 0.5], [0.5, 0.5], [1, 0], [0, 1]]
    for label in (None, [1, 0, 0, 1]):  # the label of a draw says nothing
        votes = Annotations.build([0, 0, 1, 2], [0, 1, 0, 0], label, probs=probs, num_items=3, classes=2, annotators=2)
        found = described(votes, [0, 0, 0])
        assert found.class_votes.tolist() == [0.5, 0.5]
        assert found.wrong_labels == pytest.approx((0.5 + 0.5 + 0 + 1) / 4)
        assert found.majority_accuracy == pytest.approx((0.5 + 1 + 0) / 3)
        assert found.pairwise_agreement == pytest.approx(0.5)


def test_nearly_equal_sums_of_probabilities_tie():
    probs = np.float32([[0.3, 0.7], [0.7, 0.3]] * 5)
    votes = Annotations.build([0] * 10, range(10), probs=probs, num_items=1, classes=2, annotators=10)
    assert described(votes, [0]).majority_accuracy == 0.5


def test_repeats_of_one_annotator_are_no_agreement():
    item, annotator, label = [0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 0, 0]
    once = Annotations.build(item, annotator, label, num_items=2, classes=2, annotators=2)
    thrice = Annotations.build(item * 3, annotator * 3, label * 3, num_items=2, classes=2, annotators=2)
    one, other = described(once, [0, 0]), described(thrice, [0, 0])
    assert other.krippendorff_alpha == one.krippendorff_alpha
    assert other.pairwise_agreement == one.pairwise_agreement == 0.5
    assert other.annotations == 12
    crowd = Annotations.build(
        item * 3, annotator * 3, label * 3, num_items=2, classes=2, annotators=2, exchangeable=True
    )
    assert described(crowd, [0, 0]).pairwise_agreement == pytest.approx((2 * 3 * 2 + 6 * 5) / (2 * 6 * 5))


@pytest.mark.parametrize("method", sorted(AGGREGATORS))
def test_probabilities_decide_in_every_aggregator(method):
    rng = np.random.default_rng(0)
    item, annotator = np.repeat(np.arange(8), 3), np.tile(np.arange(3), 8)
    probs = rng.dirichlet([1, 1], 24)
    probs[::4] = 0.5
    draws = np.where(probs[:, 0] == 0.5, 1, probs.argmax(1))

    def posterior(label):
        votes = Annotations.build(item, annotator, label, probs=probs, num_items=8, classes=2, annotators=3)
        return aggregate(method, votes).posterior

    np.testing.assert_array_equal(posterior(None), posterior(draws))
    if method == "soft":
        means = np.float32(probs).reshape(8, 3, 2).mean(1)
        np.testing.assert_allclose(posterior(None), means, atol=1e-6)

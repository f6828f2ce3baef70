"""The aggregator with the calls of crowd-kit and scikit-learn, and where classes tie."""

import numpy as np
import pandas as pd
import pytest

from hilmix import Aggregator, Annotations
from hilmix.errors import ConfigError, DataError
from hilmix.functional.aggregation import aggregate, choose_classes
from hilmix.functional.aggregation.decisions import decide

LONG = pd.DataFrame(
    [("t1", "w1", "cat"), ("t1", "w2", "cat"), ("t2", "w1", "dog"), ("t2", "w2", "dog"), ("t2", "w3", "cat")],
    columns=["task", "worker", "label"],
)


def test_long_tables_as_of_crowd_kit_are_aggregated():
    """Its own documentation calls fit_predict on columns task, worker, label, and gets a series by task."""
    found = Aggregator(method="majority").fit_predict(LONG)
    assert found.to_dict() == {"t1": "cat", "t2": "dog"}
    probs = Aggregator(method="soft").fit_predict_proba(LONG)
    assert probs.loc["t2"].to_dict() == pytest.approx({"cat": 1 / 3, "dog": 2 / 3})


def test_the_default_is_that_of_the_command():
    fitted = Aggregator().fit(LONG)
    votes = Annotations.from_dense([[0, 0, -1], [1, 1, 0]], classes=["cat", "dog"], annotators=["w1", "w2", "w3"])
    np.testing.assert_allclose(fitted.predict_proba(LONG), aggregate("ensemble", votes).posterior)
    assert fitted.classes_.tolist() == ["cat", "dog"]
    assert set(fitted.annotators_["annotator"]) == {"w1", "w2", "w3"}
    assert fitted.annotators_["flags"].tolist() == ["few"] * 3


@pytest.mark.parametrize("kind", ["array", "table"])
def test_wide_votes_as_of_scikit_activeml_and_cleanlab(kind):
    wide = np.array([[0, 0, np.nan], [1, 1, 0], [np.nan, np.nan, np.nan], [1, np.nan, np.nan]])
    table = pd.DataFrame(wide, columns=["w1", "w2", "w3"]).rename_axis("example")
    given = wide if kind == "array" else table
    fitted = Aggregator("majority", wide=kind == "table").fit(given)
    labels, probs = fitted.predict(given), fitted.predict_proba(given)
    assert isinstance(labels, np.ndarray) == (kind == "array")
    assert list(labels) == ["0", "1", None, "1"]
    assert np.asarray(probs).shape == (4, 2)
    assert np.asarray(fitted.predict_proba(given[3:] if kind == "table" else given)).argmax(1)[-1] == 1


def test_columns_can_be_named_and_items_must_have_been_fitted():
    own = LONG.set_axis(["picture", "rater", "verdict"], axis=1)
    fitted = Aggregator("majority", item="picture", annotator="rater", label="verdict").fit(own)
    assert fitted.predict(own[:2]).to_dict() == {"t1": "cat"}
    with pytest.raises(DataError, match="Item 't9' was not fitted"):
        fitted.predict(own.replace("t1", "t9"))
    with pytest.raises(ConfigError, match="must be fitted"):
        Aggregator().predict_proba()
    with pytest.raises(DataError, match="'item' is not among"):
        Aggregator().fit(own)
    with pytest.raises(ConfigError, match="`ties` must be one of draw, abstain, first, got 'last'"):
        Aggregator(ties="last").fit(LONG)


@pytest.mark.parametrize("kind", ["mappings", "annotations"])
def test_votes_without_names_of_items_are_called_by_their_row(kind):
    votes = {
        "mappings": [{"w1": "cat", "w2": "cat"}, {}, {"w1": "dog"}],
        "annotations": Annotations.from_dense(
            [[0, 0], [-1, -1], [1, -1]], classes=["cat", "dog"], annotators=["w1", "w2"]
        ),
    }[kind]
    fitted = Aggregator("majority").fit(votes)
    assert fitted.predict(votes).to_dict() == {"0": "cat", "1": None, "2": "dog"}
    assert set(fitted.annotators_["annotator"]) == {"w1", "w2"}


@pytest.mark.parametrize("kind", ["long", "wide", "array"])
@pytest.mark.parametrize("method", ["dawid-skene", "ensemble", "one-coin"])
def test_gold_items_teach_who_is_right(kind, method):
    """Three annotators are mostly right and four mostly wrong: the votes alone are on the wrong side."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 100)
    right = rng.random((100, 7)) < [0.9, 0.9, 0.9, 0.15, 0.15, 0.15, 0.15]
    array = np.where(right, truth[:, None], 1 - truth[:, None])
    wide = pd.DataFrame(array, columns=list("abcdefg")).rename_axis("item")
    long = wide.reset_index().melt("item", var_name="annotator", value_name="label")
    votes = {"long": long, "wide": wide, "array": array}[kind]
    gold = pd.Series(truth[:50])
    labels, aggregator = {}, Aggregator(method, wide=kind == "wide")
    for name, known in ("votes", None), ("gold", gold), ("mapping", gold.to_dict()):
        labels[name] = np.asarray(aggregator.fit_predict(votes, gold=known)).astype(int)
    assert (labels["gold"][:50] == truth[:50]).all()
    assert (labels["gold"] == labels["mapping"]).all()
    assert (labels["votes"][50:] == truth[50:]).mean() < 0.2 < 0.9 < (labels["gold"][50:] == truth[50:]).mean()
    probs = aggregator.fit_predict_proba(votes, gold=gold)
    np.testing.assert_allclose(np.asarray(probs)[:50], np.eye(2)[truth[:50]])


@pytest.mark.parametrize(
    ("gold", "sentence"),
    [
        ({"t9": "cat"}, "'t9'"),
        ({"t1": "cow"}, "'cow'"),
        ({"t1": None}, "no row has a class"),
        (pd.Series(["cat", "dog"], index=["t1", "t1"]), "the item has a row above"),
    ],
)
def test_gold_items_must_be_items_of_the_votes(gold, sentence):
    with pytest.raises(DataError, match=f"gold.*{sentence}"):
        Aggregator("soft").fit(LONG, gold=gold)


@pytest.mark.parametrize("method", ["majority", "soft", "dawid-skene"])
def test_rules_for_ties(method):
    """Item 1 is a tie of two annotators who are alike, item 2 has no votes."""
    votes = Annotations.from_dense([[1, 1], [1, 0], [-1, -1], [0, 0]], classes=2)

    def label(ties, seed=0):
        return decide(method, aggregate(method, votes, seed=seed), votes, ties=ties, seed=seed)

    assert label("abstain").label.tolist() == [1, -1, -1, 0]
    assert label("first").label.tolist() == [1, 0, -1, 0]
    drawn = {seed: label("draw", seed).label.tolist() for seed in range(8)}
    assert {tuple(found) for found in drawn.values()} == {(1, 0, -1, 0), (1, 1, -1, 0)}
    tied = label("draw").tied
    assert tied.tolist() == [False, True, False, False]
    even = label("abstain").posterior[1]
    np.testing.assert_allclose(even, 0.5, atol=1e-6)


@pytest.mark.parametrize("ties", ["draw", "first"])
def test_probabilities_of_a_majority_are_those_of_its_label(ties):
    votes = Annotations.from_dense([[0, 1, 2], [2, 2, 1], [2, 1, -1]], classes=3)
    found = decide("majority", aggregate("majority", votes, seed=5), votes, ties=ties, seed=5)
    np.testing.assert_array_equal(found.posterior, np.eye(3)[found.label])
    if ties == "draw":
        np.testing.assert_array_equal(found.posterior, aggregate("majority", votes, seed=5).posterior)
        assert choose_classes(found.posterior).label.tolist() == found.label.tolist()

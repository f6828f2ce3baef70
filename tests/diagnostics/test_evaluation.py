"""One row per evaluated item, wrong predictions, and what the votes alone would have scored."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from hilmix.backbones import MLP
from hilmix.diagnostics.clean_pass import CleanPass
from hilmix.diagnostics.evaluation import (
    describe_model,
    describe_run_data,
    evaluation_table,
    majority_baseline,
    reference_column,
    wrong_predictions,
)
from tests.helpers import vector_data

PROBS = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3]])


def a_pass(data, items=(0, 1, 2)):
    return CleanPass.from_logits(data.annotations, np.array(items), np.log(PROBS))


def test_a_row_names_what_was_predicted_and_what_was_known():
    table = evaluation_table(vector_data(), a_pass(vector_data()))
    assert table["item"].tolist() == ["i0", "i1", "i2"]
    assert table["predicted"].tolist() == ["x", "z", "y"]
    assert table["target"].tolist() == ["x", "y", "z"]  # of vector_data: item modulo three
    np.testing.assert_allclose(table["confidence"], [0.7, 0.6, 0.5], rtol=1e-6)
    np.testing.assert_allclose(table["p_target"], [0.7, 0.3, 0.3], rtol=1e-6)
    np.testing.assert_allclose(table["brier"], [0.14, 0.01 + 0.49 + 0.36, 0.04 + 0.25 + 0.49], rtol=1e-6)


def test_the_surest_wrong_predictions_come_first():
    table = evaluation_table(vector_data(), a_pass(vector_data()))
    assert wrong_predictions(table, 5)["item"].tolist() == ["i1", "i2"]
    assert wrong_predictions(table, 1)["item"].tolist() == ["i1"]


def test_without_truth_the_majority_vote_stands_in():
    data = vector_data(target=False)
    table = evaluation_table(data, a_pass(data))
    assert reference_column(table) == "majority"
    assert not {"target", "p_target", "brier"} & set(table.columns)
    votes, predicted = table["majority"].astype(object), table["predicted"].astype(object)
    assert set(wrong_predictions(table, 9)["item"]) == set(table["item"][votes.notna() & (votes != predicted)])


def test_the_majority_vote_is_scored_on_its_own_items():
    counts = np.array([[2.0, 0, 0], [0, 1, 1], [0, 0, 0], [1, 0, 2]])
    found = majority_baseline(counts, np.array([0, 1, 2, -1]))
    assert (found["items"], found["acc"]) == (2, pytest.approx((1 + 0.5) / 2))
    shares = np.array([[7, 1, 1], [1, 4, 4]]) / 9
    assert found["nll"] == pytest.approx(log_loss([0, 1], shares, labels=[0, 1, 2]))
    assert majority_baseline(counts, np.full(4, -1)) == {"items": 0}


def test_facts_are_counted_by_split():
    data = vector_data()
    facts = describe_run_data(data, data.split)
    assert {name: part["items"] for name, part in facts["splits"].items()} == {"train": 30, "val": 15, "test": 15}
    assert facts["splits"]["train"]["votes"] == 60
    assert [one["items"] for one in facts["classes"].values()] == [10, 10, 10]
    assert sum(one["votes"] for one in facts["classes"].values()) == 60
    assert facts["annotators"] == 3


def test_a_model_is_named_by_its_backbone():
    found = describe_model(MLP([5]).build((3,)))
    assert found == {"class": "MLP", "backbone": "MLP [5]", "parameters": 20}

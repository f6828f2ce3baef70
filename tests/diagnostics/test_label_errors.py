"""Suspects, their detection and their pictures, from tables and arrays alone."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from hilmix.diagnostics import choose_label_errors, detection_table, item_table, label_table
from hilmix.diagnostics.label_errors import find_contradicted, suspect_thumbnails
from tests.callbacks.toy import CLASSES, toy_data
from tests.diagnostics.passes import toy_pass

TABLE = pd.DataFrame(
    {
        "item": ["a", "b", "a", "c", "b"],
        "annotator": ["x", "x", "y", "y", "y"],
        "label": pd.Categorical(["ant", "bee", "cat", "ant", "ant"], categories=CLASSES),
        "suggested": pd.Categorical(["bee", "bee", "bee", "cat", "bee"], categories=CLASSES),
        "self_confidence": [0.0004, 0.1, 0.2, 0.3, 0.4],
        "target": pd.Categorical(["bee", None, "bee", None, None], categories=CLASSES),
    }
)


def test_a_ranking_has_its_scores_and_known_errors_in_the_order_of_its_table():
    data, result = toy_pass()
    table, scores, wrong = label_table(data, result)
    np.testing.assert_array_equal(table["posterior"], scores["posterior"])
    np.testing.assert_array_equal(table["margin"], scores["margin"])
    target = table["target"].to_numpy(dtype=object)
    label = table["label"].to_numpy(dtype=object)
    expected = [-1 if pd.isna(t) else int(t != given) for t, given in zip(target, label, strict=True)]
    assert wrong.tolist() == expected
    assert {-1, 0, 1} == set(expected)


def test_detection_is_scored_by_level_and_score():
    data, result = toy_pass()
    rankings = {"label": label_table(data, result), "item": item_table(data, result)}
    found = detection_table(rankings).set_index(["level", "score"])
    assert len(found) == 6
    for (level, score), row in found.iterrows():
        ranking = rankings[level]
        known = ranking.wrong >= 0
        suspicion, wrong = -ranking.table[score].to_numpy()[known], ranking.wrong[known]
        assert row["average_precision"] == pytest.approx(average_precision_score(wrong, suspicion))
        assert row["auroc"] == pytest.approx(roc_auc_score(wrong, suspicion))
        assert (row["wrong"], row["scored"]) == (wrong.sum(), len(wrong))


def test_without_truth_nothing_is_detected():
    data, result = toy_pass(toy_data(truth=False))
    assert detection_table({"label": label_table(data, result)}).empty


def test_chosen_suspects_contradict_their_label_once_per_item():
    assert find_contradicted(TABLE).index.tolist() == [0, 3, 4]
    assert choose_label_errors(TABLE, 2).index.tolist() == [0, 3]
    agreed = TABLE.assign(label=TABLE["suggested"])
    assert find_contradicted(agreed).empty
    assert choose_label_errors(agreed, 5).index.tolist() == [0, 1, 3]


def test_a_picture_names_label_chance_suggestion_annotator_and_target():
    images = [np.full((2, 2, 1), i, dtype=np.uint8) for i in range(2)]
    first, second = suspect_thumbnails(TABLE.iloc[[0, 3]], images)
    assert first.image is images[0]
    assert all(part in first.given_label for part in ("ant", "< 0.1%"))
    assert "bee" in first.suggested
    assert all(part in first.detail for part in ("x", "bee"))
    assert "30.0%" in second.given_label
    assert "truth" not in second.detail
    judged = TABLE.assign(posterior=0.25).drop(columns=["annotator"])
    assert "25.0%" in suspect_thumbnails(judged.head(1), images[:1])[0].given_label

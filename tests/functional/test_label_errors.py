"""Label scores, their ranking and its evaluation against scikit-learn and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from hilmix.functional.label_errors import LabelScores, detection, label_quality_scores, rank_label_errors

PROBS = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])


def test_scores_by_hand():
    scores = label_quality_scores(PROBS, np.array([0, 1, 2, -1]), posterior=PROBS[::-1])
    np.testing.assert_allclose(scores.self_confidence, [0.7, 0.2, 0.8, np.nan])
    np.testing.assert_allclose(scores.margin, [(0.5 + 1) / 2, (-0.5 + 1) / 2, (0.7 + 1) / 2, np.nan])
    np.testing.assert_allclose(scores.posterior, [0.3, 0.1, 0.1, np.nan])


def test_inputs_stay_untouched_and_one_class_is_certain():
    probs = PROBS.copy()
    label_quality_scores(probs, np.array([0, 1, 2, 0]))
    np.testing.assert_array_equal(probs, PROBS)
    scores = label_quality_scores(np.ones((2, 1)), np.zeros(2, dtype=np.int64))
    assert scores.margin.tolist() == [1, 1]
    assert np.isnan(scores.posterior).all()


def test_no_labels():
    assert label_quality_scores(np.empty((0, 3)), np.empty(0, dtype=np.int64)).margin.shape == (0,)
    assert rank_label_errors(LabelScores(*(np.empty(0),) * 3)).tolist() == []


def test_ranking_is_stable_and_leaves_unknown_last():
    nan = np.nan
    scores = LabelScores(
        np.array([0.5, 0.1, 0.1, nan, 0.1]), np.array([0.1, 0.9, 0.2, 0.0, 0.2]), np.array([0.0, 0.0, 0.3, 0.0, 0.3])
    )
    assert rank_label_errors(scores).tolist() == [2, 4, 1, 0, 3]
    without = LabelScores(np.full(4, nan), np.array([0.5, 0.2, 0.5, nan]), np.zeros(4))
    assert rank_label_errors(without).tolist() == [1, 0, 2, 3]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 1)), min_size=1, max_size=60))
def test_detection_equals_sklearn_under_ties(pairs):
    quality, wrong = np.array([p[0] / 6 for p in pairs]), np.array([p[1] for p in pairs])
    found = detection(quality, wrong)
    keep = wrong >= 0
    if len(set(wrong[keep])) < 2:
        assert np.isnan([found.average_precision, found.auroc]).all()
        return
    assert found.auroc == pytest.approx(roc_auc_score(wrong[keep], -quality[keep]))
    assert found.average_precision == pytest.approx(average_precision_score(wrong[keep], -quality[keep]))
    assert (found.wrong, found.scored) == ((wrong == 1).sum(), keep.sum())


def test_detection_leaves_out_what_was_not_scored():
    quality = np.array([0.1, np.nan, 0.9])
    assert detection(quality, np.array([1, 1, 0])) == (1.0, 1.0, 1, 2)

"""Pitfalls of per-sample diagnostics (train against validation predictions, absent classes, ties, memory) in one place.

Padding, unseen rows, other data, mixed logits, precision and relabelling: ``tests/functional/dynamics`` and
``test_dynamics.py``; mixtures without two groups: ``test_one_group_falls_back_to_quantiles``; those of a training:
``tests/callbacks/test_pitfalls.py``.
"""

import tracemalloc

import numpy as np
import pytest

from hilmix.diagnostics import crowdlab_tables, label_health, label_issue_table
from hilmix.errors import ConfigError
from hilmix.functional import confident_learning as cl
from tests.diagnostics.test_crowd import NOTES, PROBS


@pytest.mark.parametrize(
    "judge",
    [
        lambda kind: label_health(PROBS, PROBS.argmax(1), predictions=kind),
        lambda kind: label_issue_table(PROBS, PROBS.argmax(1), predictions=kind),
        lambda kind: crowdlab_tables(NOTES, PROBS, predictions=kind),
    ],
)
def test_whatever_judges_labels_refuses_in_sample_predictions(judge):
    with pytest.raises(ConfigError, match="in-sample"):
        judge("in-sample")
    judge("out-of-fold")
    judge("held-out")


def test_a_class_absent_from_the_labels_suggests_nothing_and_breaks_nothing():
    label = np.zeros(40, dtype=np.int64)
    probs = np.tile([0.5, 0.3, 0.2], (40, 1))
    probs[:5] = [0.1, 0.2, 0.7]
    health = label_health(probs, label, predictions="held-out")
    assert health.joint[0, 0] == pytest.approx(40 / 40)
    assert np.isinf(health.classes.set_index("class").threshold[["1", "2"]]).all()
    assert not label_issue_table(probs, label, predictions="held-out").is_issue.any()


def test_ties_go_by_row_whatever_the_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    probs = rng.integers(1, 4, size=(500, 4)).astype(float)
    probs /= probs.sum(1, keepdims=True)
    label = rng.integers(4, size=500)
    whole = {by: cl.find_label_issues(probs, label, by=by) for by in cl.FILTERS}
    monkeypatch.setattr("hilmix.functional.sizes.row_chunks.__kwdefaults__", {"cells": 40})
    for by, found in whole.items():
        np.testing.assert_array_equal(cl.find_label_issues(probs, label, by=by), found)


def test_the_confident_joint_needs_little_memory_beside_its_inputs():
    """32 MB at any number of samples is the goal; here 64 MB of probabilities."""
    rng = np.random.default_rng(0)
    probs = rng.random((80_000, 200), dtype=np.float32)
    probs /= probs.sum(1, keepdims=True)
    label = rng.integers(200, size=80_000)
    thresholds = cl.class_thresholds(cl.threshold_sums(probs, label))
    tracemalloc.start()
    cl.confident_counts(probs, label, thresholds)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 32e6

"""Tables of label health and label issues: their rows, and what is refused."""

import numpy as np
import pytest

from hilmix.diagnostics import label_health, label_issue_table
from hilmix.errors import ConfigError, DataError

LABEL = np.array([0] * 100 + [1] * 50)
PROBS = np.where(np.eye(2)[np.array([0] * 80 + [1] * 70)] > 0, 0.9, 0.1)


def test_health_by_hand():
    found = label_health(PROBS, LABEL, predictions="out-of-fold", classes=["cat", "dog"])
    assert (found.issues, found.score) == (20, pytest.approx(130 / 150))
    assert found.classes["class"].tolist() == ["cat", "dog"]
    assert found.classes["labels"].tolist() == [100, 50]
    np.testing.assert_allclose(found.classes["threshold"], [0.74, 0.9])
    np.testing.assert_allclose(found.classes["label_noise"], [0.2, 0])
    assert found.pairs.iloc[0].tolist() == ["cat", "dog", pytest.approx(20 / 150), 20]


def test_issues_by_hand():
    table = label_issue_table(PROBS, LABEL, predictions="held-out", classes=["cat", "dog"])
    assert np.flatnonzero(table.is_issue).tolist() == list(range(80, 100))
    assert table.label[80] == "cat"
    assert table.predicted[80] == "dog"
    assert table.predictions[0] == "held-out"
    assert table.margin[80] == pytest.approx((0.1 - 0.9 + 1) / 2)


def test_in_sample_predictions_are_refused_unless_forced():
    for function in (label_health, label_issue_table):
        with pytest.raises(ConfigError, match=r"in-sample"):
            function(PROBS, LABEL, predictions="in-sample")
        function(PROBS, LABEL, predictions="in-sample", force=True)


@pytest.mark.parametrize(
    ("probs", "label", "match"),
    [
        (PROBS[:, 0], LABEL, r"`probs`.*\(150,\)"),
        (PROBS, LABEL[1:], r"`label` must be 150"),
        (PROBS, LABEL.astype(float), r"`label`.*float64"),
        (PROBS, LABEL - 1, r"`label\[0\]`.*-1"),
        (PROBS, LABEL + 1, r"`label\[100\]`.*\[0, 1\].*2"),
        (PROBS * 2, LABEL, r"`probs\[0\]`"),
        (np.where(np.arange(150)[:, None] == 3, np.nan, PROBS), LABEL, r"`probs\[3\]`"),
        (np.where(np.arange(150)[:, None] == 4, [1.5, -0.5], PROBS), LABEL, r"`probs\[4\]`"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(probs, label, match):
    with pytest.raises(DataError, match=match):
        label_health(probs, label, predictions="out-of-fold")


def test_unknown_settings_are_refused():
    with pytest.raises(ConfigError, match=r"`by`.*noise_rate"):
        label_issue_table(PROBS, LABEL, predictions="held-out", by="prune")
    with pytest.raises(ConfigError, match=r"`predictions`.*out-of-fold"):
        label_health(PROBS, LABEL, predictions="unknown")
    with pytest.raises(ConfigError, match=r"`classes`.*2 names.*1"):
        label_health(PROBS, LABEL, predictions="held-out", classes=["one"])


def test_half_precision_passes():
    probs, label = PROBS.astype(np.float16), LABEL
    assert label_health(probs, label, predictions="out-of-fold").issues == 20

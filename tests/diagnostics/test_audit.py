"""The audit: its tables, its refusals, and labels whose errors are known."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from hilmix.annotations import Annotations
from hilmix.diagnostics import audit
from hilmix.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
N = 300
TRUTH = np.arange(N) % 3
FEATURES = np.eye(3, 6)[TRUTH] * 2 + RNG.normal(0, 1.2, (N, 6))
PROBS = np.where(np.eye(3)[np.where(RNG.random(N) < 0.8, TRUTH, (TRUTH + 1) % 3)] == 1, 0.8, 0.1)


def votes(labels: int = 2) -> Annotations:
    """Labels of four annotators, one in five wrong."""
    rng = np.random.default_rng(1)
    item = np.repeat(np.arange(N), labels)
    annotator = np.argsort(rng.random((N, 4)), axis=1)[:, :labels].ravel()
    label = np.where(rng.random(len(item)) < 0.8, TRUTH[item], (TRUTH[item] + 1) % 3)
    return Annotations.build(item, annotator, label, num_items=N, classes=["x", "y", "z"], annotators=list("abcd"))


@pytest.mark.parametrize("labels", [1, 2])
def test_the_verdict_beats_every_view(labels: int) -> None:
    given = votes(labels)
    table = audit(given, PROBS, FEATURES).labels
    wrong = given.label != TRUTH[given.item]
    fused = average_precision_score(wrong, table["p_wrong"])
    views = [name for name in ("prediction", "neighbors", "annotators") if name in table]
    assert ("annotators" in views) == (labels == 2)
    assert all(fused >= average_precision_score(wrong, 1 - table[name]) for name in views)
    assert table["p_wrong"].mean() == pytest.approx(wrong.mean(), abs=0.05)


def test_tables_name_items_classes_and_annotators() -> None:
    names = tuple(f"photo {i}" for i in range(N))
    result = audit(votes(), PROBS, FEATURES, items=names)
    issue = result.labels[result.labels["is_issue"]].iloc[0]
    assert issue["item"] in names
    assert issue["annotator"] in "abcd"
    assert issue["label"] in "xyz"
    assert issue["reasons"]
    assert not result.labels.loc[~result.labels["is_issue"], "reasons"].any()
    assert set(result.review["item"]) == set(result.labels.loc[result.labels["is_issue"], "item"])
    assert result.review["p_wrong"].is_monotonic_decreasing
    doubted = result.review[result.review["p_wrong"] > 0.5]
    own = "gives " + doubted["label"].astype(str) + " "
    assert all(o in text for o, text in zip(own, doubted["reasons"], strict=True) if "gives" in text)
    assert list(result.views["view"]) == ["prediction", "neighbors", "annotators"]
    assert result.annotators["labels"].sum() == 2 * N


def test_dynamics_move_the_verdict_towards_what_was_learned_late() -> None:
    given = votes(1)
    wrong = given.label != TRUTH[given.item]
    score = np.random.default_rng(2).normal(np.where(wrong, -1.0, 1.0))
    before = average_precision_score(wrong, audit(given, PROBS).labels["p_wrong"])
    result = audit(given, PROBS, dynamics=score)
    assert average_precision_score(wrong, result.labels["p_wrong"]) > before
    np.testing.assert_array_equal(result.labels["dynamics"], score)
    queue, issues = result.review.set_index("item"), result.labels[result.labels["is_issue"]].set_index("item")
    np.testing.assert_array_equal(queue["p_wrong"], issues["p_wrong"].loc[queue.index])


def test_items_without_predictions_are_judged_by_the_rest() -> None:
    probs = PROBS.copy()
    probs[:3] = np.nan
    table = audit(votes(), probs).labels
    assert table["p_wrong"].notna().all()
    assert table["predictions"].isna().sum() == 6


def test_unknown_identities_have_no_annotators() -> None:
    result = audit(Annotations.from_counts(np.eye(3, dtype=int)[TRUTH] * 2), PROBS)
    assert "annotator" not in result.labels
    assert len(result.annotators) == 0


def test_in_sample_predictions_are_refused() -> None:
    with pytest.raises(ConfigError, match="in-sample"):
        audit(votes(), PROBS, predictions="in-sample")
    assert (audit(votes(), PROBS, predictions="in-sample", force=True).labels["predictions"] == "in-sample").all()


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="300 items x 3 classes"):
        audit(votes(), PROBS[:, :2])
    with pytest.raises(DataError, match="`features`"):
        audit(votes(), PROBS, FEATURES[:5])
    with pytest.raises(DataError, match="`dynamics`"):
        audit(votes(), PROBS, dynamics=np.zeros(N))
    with pytest.raises(DataError, match="distribution"):
        audit(votes(), PROBS * 2)

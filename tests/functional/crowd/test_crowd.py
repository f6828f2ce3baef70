"""Agreement and quality of annotators against closed forms, loops and outside packages."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import entropy
from sklearn.metrics import cohen_kappa_score

from hilmix.errors import DataError
from hilmix.functional import crowd
from hilmix.functional.aggregation import VoteTable


def draw(items: int = 120, annotators: int = 12, classes: int = 4, *, per_item: int = 5, seed: int = 0):
    """Labels of a crowd that is right in three of five cases, and probabilities of a model, with ties in both."""
    rng = np.random.default_rng(seed)
    true = rng.integers(classes, size=items)
    size = rng.integers(1, per_item + 1, items)
    item = np.repeat(np.arange(items), size)
    annotator = np.concatenate([rng.permutation(annotators)[:n] for n in size])
    label = np.where(rng.random(len(item)) < 0.6, true[item], rng.integers(classes, size=len(item)))
    probs = np.exp(rng.normal(size=(items, classes)) + 1.5 * np.eye(classes)[true]).round(0) + 0.5
    return VoteTable(item, annotator, label, items, annotators, classes), probs / probs.sum(1, keepdims=True)


def dense(table: VoteTable) -> np.ndarray:
    out = np.full((table.num_items, table.num_annotators), np.nan)
    out[table.item, table.annotator] = table.label
    return out


def shuffled(table: VoteTable, seed: int = 0) -> VoteTable:
    order = np.random.default_rng(seed).permutation(len(table.item))
    return VoteTable(
        table.item[order],
        table.annotator[order],
        table.label[order],
        *(table.num_items, table.num_annotators),
        table.num_classes,
    )


@pytest.mark.parametrize("seed", range(3))
def test_crowdlab_equals_cleanlab(seed):
    multi = pytest.importorskip("cleanlab.multiannotator")
    table, probs = draw(seed=seed)
    found = crowd.crowdlab(table, [probs])
    theirs = multi.get_label_quality_multiannotator(dense(table), probs, verbose=False, return_weights=True)
    quality, stats = theirs["label_quality"], theirs["annotator_stats"].sort_index()
    np.testing.assert_array_equal(found.consensus, quality["consensus_label"])
    np.testing.assert_allclose(found.consensus_quality, quality["consensus_quality_score"], atol=1e-9)
    np.testing.assert_allclose(found.agreement, quality["annotator_agreement"], atol=1e-9)
    detailed = theirs["detailed_label_quality"].to_numpy()[table.item, table.annotator]
    np.testing.assert_allclose(found.label_quality, detailed, atol=1e-9)
    np.testing.assert_allclose(found.annotator_quality, stats["annotator_quality"], atol=1e-9)
    np.testing.assert_allclose(found.annotator_agreement, stats["agreement_with_consensus"], atol=1e-9)
    np.testing.assert_array_equal(found.worst_class, stats["worst_class"])
    np.testing.assert_allclose(found.annotator_weight, theirs["annotator_weight"], atol=1e-9)
    np.testing.assert_allclose(found.model_weight, theirs["model_weight"], atol=1e-9)
    other = draw(seed=seed + 10)[1]
    both = crowd.crowdlab(table, [probs, other])
    theirs = multi.get_label_quality_multiannotator_ensemble(dense(table), np.stack([probs, other]), verbose=False)
    np.testing.assert_array_equal(both.consensus, theirs["label_quality"]["consensus_label"])
    np.testing.assert_allclose(both.consensus_quality, theirs["label_quality"]["consensus_quality_score"], atol=1e-9)


def test_crowdlab_by_hand():
    """Two items, two annotators who agree once: P = 3/4; a model that is right about both."""
    table = VoteTable(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 0]), 2, 2, 2)
    found = crowd.crowdlab(table, [np.array([[0.9, 0.1], [0.2, 0.8]])])
    assert found.consensus.tolist() == [0, 1]
    # chance error 1/2, each annotator's error 1/2: weight 1e-6; the model is never wrong: weight sqrt(2)
    np.testing.assert_allclose(found.annotator_weight, 1e-6)
    np.testing.assert_allclose(found.model_weight, np.sqrt(2))
    np.testing.assert_allclose(found.posterior, [[0.9, 0.1], [0.2, 0.8]], atol=1e-5)


def test_order_of_rows_items_and_annotators_without_labels_do_not_matter():
    table, probs = draw()
    found = crowd.crowdlab(table, [probs])
    again = crowd.crowdlab(shuffled(table), [probs])
    np.testing.assert_allclose(again.annotator_quality, found.annotator_quality)
    wider = VoteTable(table.item, table.annotator, table.label, 125, 15, 4)
    more = crowd.crowdlab(wider, [np.concatenate([probs, np.full((5, 4), 0.25)])])
    np.testing.assert_allclose(more.annotator_quality[:12], found.annotator_quality)
    assert np.isnan(more.annotator_quality[12:]).all()
    assert more.consensus[120:].tolist() == [*more.worst_class[12:].tolist(), -1, -1]
    np.testing.assert_allclose(more.posterior[120:], 0.25)
    for level in ("nominal", "ordinal", "interval"):
        alpha = crowd.krippendorff_alpha(table, level=level)
        assert crowd.krippendorff_alpha(shuffled(wider), level=level) == pytest.approx(alpha)
    assert crowd.fleiss_kappa(wider) == pytest.approx(crowd.fleiss_kappa(table))


def test_one_label_each_cannot_be_compared():
    table = VoteTable(np.arange(3), np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64), 3, 1, 2)
    with pytest.raises(DataError, match="no item has two labels"):
        crowd.crowdlab(table, [np.full((3, 2), 0.5)])
    with pytest.raises(DataError, match=r"\(3, 2\).*\(3, 3\)"):
        crowd.crowdlab(table, [np.full((3, 3), 1 / 3)])
    scores = crowd.activelab(table, [np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])])
    # weights are 1: (2 p(label) + 1/2) / 3
    np.testing.assert_allclose(scores, [2.3 / 3, 1.7 / 3, 0.9 / 3])
    assert np.isnan(crowd.krippendorff_alpha(table))
    assert np.isnan(crowd.fleiss_kappa(table))
    assert len(crowd.cohen_kappas(table).kappa) == 0


def test_activelab_equals_cleanlab():
    """On a full table of whole numbers: of floats cleanlab's temperature counts labels at the wrong classes."""
    multi = pytest.importorskip("cleanlab.multiannotator")
    rng = np.random.default_rng(0)
    probs, fresh = draw(items=80)[1], draw(items=30, seed=1)[1]
    labels = np.where(rng.random((80, 3)) < 0.7, probs.argmax(1)[:, None], rng.integers(4, size=(80, 3)))
    item, annotator = (axis.ravel() for axis in np.indices(labels.shape))
    table = VoteTable(item, annotator, labels.ravel(), 110, 3, 4)
    known, unknown = multi.get_active_learning_scores(labels, probs.copy(), fresh.copy())
    found = crowd.activelab(table, [np.concatenate([probs, fresh])])
    np.testing.assert_allclose(found, np.concatenate([known, unknown]), atol=1e-6)
    members = [np.stack([probs, draw(items=80, seed=5)[1]]), np.stack([fresh, draw(items=30, seed=6)[1]])]
    known, unknown = multi.get_active_learning_scores_ensemble(labels, members[0].copy(), members[1].copy())
    found = crowd.activelab(table, [*np.concatenate(members, axis=1)])
    np.testing.assert_allclose(found, np.concatenate([known, unknown]), atol=1e-6)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
@pytest.mark.parametrize("seed", range(3))
def test_alpha_equals_krippendorff(level, seed):
    package = pytest.importorskip("krippendorff")
    table, _ = draw(seed=seed)
    expected = package.alpha(dense(table).T, level_of_measurement=level, value_domain=np.arange(4.0))
    assert crowd.krippendorff_alpha(table, level=level) == pytest.approx(expected, abs=1e-9)


def slow_alpha(table: VoteTable, distance) -> float:
    """From all pairs of labels."""
    pairs = [
        (a, b, 1 / (len(labels) - 1))
        for i in range(table.num_items)
        if len(labels := table.label[table.item == i]) > 1
        for x, a in enumerate(labels)
        for y, b in enumerate(labels)
        if x != y
    ]
    values = [a for i in range(table.num_items) if len(x := table.label[table.item == i]) > 1 for a in x]
    expected = sum(distance(a, b) for a in values for b in values) / (len(values) - 1)
    return 1 - sum(w * distance(a, b) for a, b, w in pairs) / expected if expected else np.nan


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_alpha_without_an_annotator_is_alpha_of_the_others(seed):
    table, _ = draw(items=12, annotators=4, classes=3, per_item=3, seed=seed)
    numbers = np.array([0.0, 1.0, 5.0])
    for level, distance in (
        ("nominal", lambda a, b: a != b),
        ("interval", lambda a, b: (numbers[a] - numbers[b]) ** 2),
    ):
        found = crowd.leave_one_out_alpha(table, level=level, values=numbers)
        for a in range(4):
            keep = table.annotator != a
            rest = VoteTable(table.item[keep], table.annotator[keep], table.label[keep], 12, 4, 3)
            np.testing.assert_allclose(found[a], slow_alpha(rest, distance), atol=1e-9)
            np.testing.assert_allclose(crowd.krippendorff_alpha(rest, level=level, values=numbers), found[a], atol=1e-9)


def test_interval_of_alpha_covers_and_is_reproducible():
    table, _ = draw(items=150)
    found = crowd.bootstrap_alpha(table, draws=200, seed=3)
    assert found == crowd.bootstrap_alpha(table, draws=200, seed=3)
    assert found.low < found.alpha < found.high
    several = np.flatnonzero(np.bincount(table.item) > 1)
    rng, alphas = np.random.default_rng(0), []
    for _ in range(100):
        rows = [np.flatnonzero(table.item == i) for i in rng.choice(several, len(several))]
        item, flat = np.repeat(np.arange(len(rows)), [len(r) for r in rows]), np.concatenate(rows)
        resampled = VoteTable(item, table.annotator[flat], table.label[flat], len(rows), 12, 4)
        alphas.append(crowd.krippendorff_alpha(resampled))
    assert found.high - found.low == pytest.approx(np.diff(np.quantile(alphas, [0.025, 0.975]))[0], rel=0.35)


def test_cohen_equals_scikit_learn_and_fleiss_statsmodels():
    table, _ = draw(items=200, annotators=6)
    labels = dense(table)
    found = crowd.cohen_kappas(shuffled(table), min_items=5)
    assert len(found.kappa) == 15
    for a, b, items, agreement, kappa in zip(*found, strict=True):
        both = ~np.isnan(labels[:, a]) & ~np.isnan(labels[:, b])
        assert items == both.sum()
        assert agreement == pytest.approx((labels[both, a] == labels[both, b]).mean())
        assert kappa == pytest.approx(cohen_kappa_score(labels[both, a], labels[both, b]))
    statsmodels = pytest.importorskip("statsmodels.stats.inter_rater")
    full = np.random.default_rng(0).integers(3, size=(40, 5))
    item, annotator = (axis.ravel() for axis in np.indices(full.shape))
    counts = np.stack([(full == k).sum(1) for k in range(3)], axis=1)
    assert crowd.fleiss_kappa(VoteTable(item, annotator, full.ravel(), 40, 5, 3)) == pytest.approx(
        statsmodels.fleiss_kappa(counts)
    )


def test_consistency_and_uncertainty_against_loops():
    table, _ = draw(items=20)
    skill = np.linspace(0.3, 0.9, 12)
    aggregate = np.random.default_rng(0).integers(4, size=20)
    consistency = crowd.label_consistency(table, skill, aggregate)
    by_item = crowd.label_uncertainty(table, table.item, 20, skill)
    for i in range(20):
        rows = table.item == i
        given = np.where(table.label[rows][:, None] == np.arange(4), skill[table.annotator[rows], None], np.nan)
        given = np.where(np.isnan(given), (1 - skill[table.annotator[rows], None]) / 3, given)
        likelihood = given.prod(0)
        assert consistency[i] == pytest.approx(likelihood[aggregate[i]] / likelihood.sum())
        assert by_item[i] == pytest.approx(entropy(given.sum(0)))
    by_annotator = crowd.label_uncertainty(table, table.annotator, 12)
    for a in range(12):
        assert by_annotator[a] == pytest.approx(entropy(np.bincount(table.label[table.annotator == a], minlength=4)))


def test_hundreds_of_labels_do_not_underflow():
    table = VoteTable(np.zeros(2000, dtype=int), np.arange(2000), np.arange(2000) % 2, 2, 2000, 2)
    consistency = crowd.label_consistency(table, np.full(2000, 0.9), np.array([1, -1]))
    assert consistency[0] == pytest.approx(0.5)
    assert np.isnan(consistency[1])


def test_consistency_and_uncertainty_equal_crowd_kit():
    metrics = pytest.importorskip("crowdkit.metrics.data")
    table, _ = draw(items=30)
    frame = pd.DataFrame({"task": table.item, "worker": table.annotator, "label": table.label})
    skill = pd.Series(np.linspace(0.3, 0.9, 12))
    theirs = metrics.uncertainty(frame, workers_skills=skill, aggregate=False)
    np.testing.assert_allclose(crowd.label_uncertainty(table, table.item, 30, skill.to_numpy()), theirs, atol=1e-6)


def test_matrices_of_known_annotators():
    perfect, spammer = np.eye(3), np.full((3, 3), 1 / 3)
    swapped = np.eye(3)[[1, 0, 2]]
    matrices = np.stack([perfect, spammer, swapped, np.tile([1.0, 0, 0], (3, 1))])
    np.testing.assert_allclose(crowd.spammer_score(matrices), [1, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(crowd.confusion_trace(matrices), [3, 1, 1, 1])
    np.testing.assert_allclose(crowd.confusion_entropy(matrices), [0, np.log(3), 0, 0], atol=1e-12)
    drawn = np.random.default_rng(0).dirichlet(np.ones(4), (5, 4))
    slow = [sum(((m[c] - m[d]) ** 2).sum() for c in range(4) for d in range(c)) / 12 for m in drawn]
    np.testing.assert_allclose(crowd.spammer_score(drawn), slow)

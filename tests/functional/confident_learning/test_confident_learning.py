"""Confident learning against slow loops, closed forms and cleanlab."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hilmix.functional import confident_learning as cl
from hilmix.functional.confident_learning.ranks import largest_in_groups, rank_in_groups

FILTERS = {
    "noise_rate": "prune_by_noise_rate",
    "class": "prune_by_class",
    "both": "both",
    "confident_learning": "confident_learning",
    "predicted_other": "predicted_neq_given",
    "low_self_confidence": "low_self_confidence",
    "low_margin": "low_normalized_margin",
}


def draw(items: int = 3000, classes: int = 5, *, noise: float = 0.15, seed: int = 0, dtype: type = np.float64):
    """Probabilities of a model that is mostly right, and labels of which a share is wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(classes, size=items)
    label = np.where(rng.random(items) < noise, rng.integers(classes, size=items), true)
    logits = rng.normal(size=(items, classes))
    logits[np.arange(items), true] += 2.5
    probs = np.exp(1.5 * logits)
    return (probs / probs.sum(1, keepdims=True)).astype(dtype), label


def slow_joint(probs, label):
    """The definition, sample by sample."""
    k = probs.shape[1]
    thresholds = [probs[label == c, c].mean() if (label == c).any() else np.inf for c in range(k)]
    counts = np.zeros((k, k), dtype=int)
    for p, z in zip(probs, label, strict=True):
        confident = [c for c in range(k) if p[c] >= thresholds[c] - 1e-6]
        if confident:
            counts[z, max(range(k), key=lambda c: p[c]) if len(confident) > 1 else confident[0]] += 1
    return np.array(thresholds), counts


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(0, 60), st.sampled_from([np.float64, np.float32]))
def test_thresholds_and_counts_equal_the_definition_in_parts_too(seed, classes, items, dtype):
    probs, label = draw(items, classes, seed=seed, dtype=dtype)
    cut = items // 3
    parts = [(probs[:cut], label[:cut]), (probs[cut:], label[cut:])]
    thresholds = cl.class_thresholds(cl.add_sums(cl.threshold_sums(*part) for part in parts))
    counts = sum(cl.confident_counts(*part, thresholds) for part in parts)
    expected = slow_joint(probs.astype(np.float64), label)
    np.testing.assert_allclose(thresholds, expected[0], rtol=1e-12)
    np.testing.assert_array_equal(counts, expected[1])


def test_a_class_without_labels_has_an_infinite_threshold_and_no_nan():
    probs, label = draw(classes=4)
    label[label == 2] = 1
    sums = cl.threshold_sums(probs, label)
    thresholds = cl.class_thresholds(sums)
    assert np.isinf(thresholds[2])
    joint = cl.confident_joint(cl.confident_counts(probs, label, thresholds))
    assert joint[:, 2].tolist() == joint[2].tolist() == [0, 0, 1, 0]
    assert cl.calibrate_joint(joint, sums.samples).sum(axis=1).tolist() == sums.samples.tolist()
    for prior in ("cnt", "eqn", "marginal", "marginal_ps"):
        for consistent in (False, True):
            found = cl.estimate_noise(joint, sums.samples, prior=prior, consistent=consistent)
            assert all(np.isfinite(part).all() for part in found)
    assert np.isfinite(cl.adjusted_probs(probs, thresholds)).all()
    weights = cl.ensemble_weights([probs, probs], label, by="log_loss")
    assert weights.tolist() == [0.5, 0.5]
    for by in cl.FILTERS:
        assert cl.find_label_issues(probs, label, by=by).any()


def test_in_sample_certainty_drives_the_joint_to_its_diagonal():
    """Why predictions must be out of fold: a model that has memorised the labels finds no error."""
    _, label = draw()
    memorised = np.eye(5)[label] * 0.98 + 0.004
    thresholds = cl.class_thresholds(cl.threshold_sums(memorised, label))
    np.testing.assert_allclose(thresholds, 0.984)
    counts = cl.confident_counts(memorised, label, thresholds)
    assert counts.trace() == counts.sum() == len(label)
    assert not any(cl.find_label_issues(memorised, label, by=by).any() for by in cl.FILTERS)


def test_a_known_joint_is_found():
    """One label in five of class 0 is wrong, and the model knows it."""
    label = np.array([0] * 100 + [1] * 50)
    true = np.array([0] * 80 + [1] * 70)
    probs = np.where(np.eye(2)[true] > 0, 0.9, 0.1)
    found = cl.find_label_issues(probs, label)
    assert found.nonzero()[0].tolist() == list(range(80, 100))
    sums = cl.threshold_sums(probs, label)
    joint = cl.confident_joint(cl.confident_counts(probs, label, cl.class_thresholds(sums)))
    np.testing.assert_allclose(cl.estimate_joint(joint, sums.samples), [[80 / 150, 20 / 150], [0, 50 / 150]])
    noise = cl.estimate_noise(joint, sums.samples, prior="marginal")
    np.testing.assert_allclose(noise.prior, [80 / 150, 70 / 150])
    np.testing.assert_allclose(noise.noise[:, 1], [2 / 7, 5 / 7], atol=1e-4)
    np.testing.assert_allclose(noise.inverse[:, 0], [0.8, 0.2], atol=1e-4)
    quality = cl.class_quality(cl.estimate_joint(joint, sums.samples), 150)
    assert (quality.issues.tolist(), quality.missing.tolist()) == ([20, 0], [0, 20])
    np.testing.assert_allclose(quality.quality, [0.8, 1])
    assert [part.tolist() for part in cl.overlapping_classes(np.array([[0.5, 0.1], [0.2, 0.2]]))[:2]] == [[0], [1]]
    assert cl.count_issues(probs, label) == 20
    assert cl.label_health(20, 150) == pytest.approx(130 / 150)
    assert np.isnan(cl.label_health(0, 0))


def test_ties_go_by_row_and_inputs_stay():
    probs = np.full((6, 2), [0.4, 0.6])
    probs[3:] = [0.9, 0.1]
    before, label = probs.copy(), np.array([0, 0, 0, 1, 1, 0])
    for by in cl.FILTERS:
        first = cl.find_label_issues(probs, label, by=by)
        assert (first == cl.find_label_issues(probs, label, by=by)).all()
    np.testing.assert_array_equal(probs, before)
    rank = rank_in_groups(np.array([70_000, 0, 70_000, 70_000, 0]), np.array([0.5, 0.5, 0.1, 0.5, 0.5]))
    assert rank.tolist() == [1, 0, 0, 2, 1]


@given(st.integers(0, 10**6), st.integers(1, 300), st.integers(1, 4))
def test_ranks_equal_a_sort_of_each_group(seed, size, groups):
    rng = np.random.default_rng(seed)
    group, value = rng.integers(groups, size=size) * 66_000, rng.integers(5, size=size) / 5
    rank = rank_in_groups(group, value)
    for g in np.unique(group):
        rows = np.flatnonzero(group == g)
        np.testing.assert_array_equal(rank[rows[np.argsort(value[rows], kind="stable")]], np.arange(len(rows)))


@given(st.integers(0, 10**6), st.integers(1, 300), st.sampled_from([1, 4, 2**19]), st.integers(2, 1000))
def test_choices_equal_ranks(seed, size, groups, levels):
    """Also where a group's histogram has two bins, or many values are equal."""
    rng = np.random.default_rng(seed)
    group, value = rng.integers(groups, size=size), rng.integers(levels, size=size) / (levels - 1)
    number = rng.integers(-1, 40, size=groups)
    expected = rank_in_groups(group, -value) < number[group]
    np.testing.assert_array_equal(largest_in_groups(group, value, number), expected)


def test_nothing_to_judge_and_one_class():
    for by in cl.FILTERS:
        assert cl.find_label_issues(np.empty((0, 3)), np.empty(0, dtype=np.int64), by=by).shape == (0,)
        assert not cl.find_label_issues(np.ones((4, 1)), np.zeros(4, dtype=np.int64), by=by).any()
    assert cl.confidence_weighted_entropy(np.ones((2, 1)), np.array([0, -1]))[0] == pytest.approx(1)
    assert np.isnan(cl.confidence_weighted_entropy(np.ones((2, 1)), np.array([0, -1]))[1])


def test_certain_right_labels_score_high():
    """cleanlab's entropy score of p(label) = 1 is 0, that of the worst label."""
    score = cl.confidence_weighted_entropy(np.array([[1.0, 0.0], [0.9, 0.1], [0.1, 0.9]]), np.array([0, 0, 0]))
    assert score[0] > score[1] > score[2]


def test_a_memory_map_serves_as_well(tmp_path):
    probs, label = draw(dtype=np.float16)
    np.save(tmp_path / "p.npy", probs)
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")
    for by in cl.FILTERS:
        np.testing.assert_array_equal(
            cl.find_label_issues(mapped, label, by=by), cl.find_label_issues(probs, label, by=by)
        )


@pytest.mark.parametrize(("classes", "seed"), [(2, 0), (5, 1), (12, 2)])
def test_everything_equals_cleanlab(classes, seed):
    count = pytest.importorskip("cleanlab.count")
    rank = pytest.importorskip("cleanlab.rank")
    dataset, flt = pytest.importorskip("cleanlab.dataset"), pytest.importorskip("cleanlab.filter")
    probs, label = draw(classes=classes, seed=seed)
    sums = cl.threshold_sums(probs, label)
    thresholds = cl.class_thresholds(sums)
    np.testing.assert_allclose(thresholds, count.get_confident_thresholds(label, probs), atol=1e-12)
    joint = cl.confident_joint(cl.confident_counts(probs, label, thresholds))
    np.testing.assert_array_equal(joint, count.compute_confident_joint(label, probs, calibrate=False))
    calibrated = cl.calibrate_joint(joint, sums.samples)
    # where fractions tie, an unstable sort decides there which number is rounded up
    assert np.abs(calibrated - count.compute_confident_joint(label, probs)).max() <= (classes > 2)
    np.testing.assert_array_equal(calibrated.sum(axis=1), sums.samples)
    warnings.filterwarnings("ignore", "The supplied `confident_joint` is ignored")
    for by, theirs in FILTERS.items():
        expected = flt.find_label_issues(label, probs, confident_joint=calibrated, filter_by=theirs, n_jobs=1)
        np.testing.assert_array_equal(cl.find_label_issues(probs, label, by=by), expected, err_msg=by)
    assert cl.count_issues(probs, label) == count.num_label_issues(label, probs)
    assert cl.count_issues(probs, label, calibrated=True) == count.num_label_issues(
        label, probs, estimation_method="off_diagonal_calibrated"
    )
    for prior in ("cnt", "eqn", "marginal", "marginal_ps"):
        for consistent in (False, True):
            ours = cl.estimate_noise(joint, sums.samples, prior=prior, consistent=consistent)
            theirs = count.estimate_latent(joint, label, py_method=prior, converge_latent_estimates=consistent)
            for mine, other in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(mine, other, atol=1e-6)
    np.testing.assert_allclose(
        cl.confidence_weighted_entropy(probs, label),
        rank.get_label_quality_scores(label, probs, method="confidence_weighted_entropy"),
        atol=1e-6,
    )
    adjusted = cl.adjusted_probs(probs, thresholds)[np.arange(len(label)), label]
    theirs = rank.get_label_quality_scores(label, probs, adjust_pred_probs=True)
    np.testing.assert_allclose(adjusted, theirs, atol=1e-12)
    members = [probs, draw(classes=classes, seed=seed + 9)[0]]
    for by, name in (("uniform", "uniform"), ("accuracy", "accuracy"), ("log_loss", "log_loss_search")):
        ours = cl.ensemble_quality(
            [p[np.arange(len(label)), label] for p in members], cl.ensemble_weights(members, label, by=by)
        )
        theirs = rank.get_label_quality_ensemble_scores(label, members, weight_ensemble_members_by=name, verbose=False)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    share = cl.estimate_joint(joint, sums.samples)
    table = dataset.rank_classes_by_label_quality(joint=share, num_examples=len(label)).sort_values("Class Index")
    quality = cl.class_quality(share, len(label))
    np.testing.assert_array_equal(quality.issues, table["Label Issues"])
    np.testing.assert_allclose(quality.missing_rate, table["Inverse Label Noise"], atol=1e-12)
    for directed in (False, True):
        pairs = dataset.find_overlapping_classes(joint=share, num_examples=1, asymmetric=directed)
        np.testing.assert_allclose(
            cl.overlapping_classes(share, directed=directed)[2], pairs["Joint Probability"], atol=1e-12
        )
    health = dataset.overall_label_health_score(label, probs, verbose=False)
    assert cl.label_health(cl.count_issues(probs, label), len(label)) == pytest.approx(health, abs=1e-12)

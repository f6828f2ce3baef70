"""Clamp rules against hand-worked answers, a loop that follows the text, and the released labels; weighted means."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from hilmix.errors import DataError
from hilmix.human.functional.judgments import (
    clamp_cifar10s,
    clamp_hmix,
    confidence_weighted_mean,
    released_weighted_mean,
)

K = 10
CLASSES = ["Airplane", "Automobile", "Bird", "Cat", "Deer", "Dog", "Frog", "Horse", "Ship", "Truck"]


def judge(rule, top, percent, second=-1, second_percent=np.nan, ruled_out=(), classes=K):
    impossible = np.isin(np.arange(classes), list(ruled_out))[None]
    columns = [np.array([v]) for v in (top, float(percent), second, float(second_percent))]
    return rule(*columns, impossible=impossible)[0]


def by_the_text(rule, top, percent, second, second_percent, impossible):
    """The five steps of the data notes, for one judgment."""
    y = [0.0] * len(impossible)
    y[top] = percent / 100
    if second >= 0 and not np.isnan(second_percent):
        y[second] = second_percent / 100
    total, k = round(sum(y), 12), sum(v > 0 for v in y)
    n = max(sum(not ticked for ticked in impossible) - k, 0)
    others = [c for c in range(len(y)) if y[c] == 0 and not impossible[c]]
    rest = 1 - total if total < 1 else 0.1
    if rule is clamp_hmix and total > 1 and n:
        y = [max(v - rest / k, 0) if v > 0 else v for v in y]
    if rule is clamp_cifar10s and total >= 1:
        y = [v / total * (0.9 if n else 1) for v in y]
    if n:
        for c in others:
            y[c] = rest / n
    return [v / sum(y) for v in y]


@pytest.mark.parametrize("rule", [clamp_hmix, clamp_cifar10s])
@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ((0, 60, 1, 20, [], 4), [0.6, 0.2, 0.1, 0.1]),  # S < 1: the rest is shared
        ((0, 60, 1, 20, [2, 3], 4), [0.75, 0.25, 0, 0]),  # no other class to share it with
        ((0, 60, -1, 20, [3], 4), [0.6, 0.2, 0.2, 0]),  # a percent without a class
        ((0, 60, 1, np.nan, [3], 4), [0.6, 0.2, 0.2, 0]),  # a class without a percent
        ((0, 60, 0, 20, [1, 2, 3], 4), [1, 0, 0, 0]),  # the same class twice: the second counts
        ((0, 60, 0, 20, [], 3), [0.2, 0.4, 0.4]),
        ((0, 0, -1, np.nan, [3], 4), [1 / 3, 1 / 3, 1 / 3, 0]),  # says only what it is not
        ((0, 80, -1, np.nan, [0], 3), [0.8 / 1.2, 0.2 / 1.2, 0.2 / 1.2]),  # chosen and ruled out: n is too small by one
        ((0, 50, 1, 50, [2, 3], 4), [0.5, 0.5, 0, 0]),
        ((0, 80, 1, 70, [0, 1, 2], 4), [8 / 15, 7 / 15, 0, 0]),  # n = -1 counts as 0
    ],
)
def test_where_the_rules_agree(rule, given_, expected):
    *answer, classes = given_
    np.testing.assert_allclose(judge(rule, *answer, classes=classes), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("given_", "hmix", "cifar10s"),
    [
        ((0, 100, -1, np.nan, [], 3), [1 / 1.1, 0.05 / 1.1, 0.05 / 1.1], [0.9, 0.05, 0.05]),
        ((0, 71, 1, 29, [], 3), [0.71 / 1.1, 0.29 / 1.1, 0.1 / 1.1], [0.639, 0.261, 0.1]),
        ((0, 80, 1, 60, [], 3), [0.75 / 1.4, 0.55 / 1.4, 0.1 / 1.4], [0.9 * 8 / 14, 0.9 * 6 / 14, 0.1]),
        ((0, 100, 1, 2, [], 3), [0.95 / 1.05, 0, 0.1 / 1.05], [0.9 / 1.02, 0.018 / 1.02, 0.1]),  # floor at 0
    ],
)
def test_where_the_rules_differ(given_, hmix, cifar10s):
    *answer, classes = given_
    np.testing.assert_allclose(judge(clamp_hmix, *answer, classes=classes), hmix, atol=1e-12)
    np.testing.assert_allclose(judge(clamp_cifar10s, *answer, classes=classes), cifar10s, atol=1e-12)


@given(st.integers(0, 100))
def test_percents_that_add_up_to_100_are_no_rounding_error_away_from_it(percent):
    found = judge(clamp_hmix, 0, percent, 1, 100 - percent)
    assert found[2:] == pytest.approx(0.1 / 1.1 / (K - 2 if 0 < percent < 100 else K - 1))


@given(st.sampled_from([clamp_hmix, clamp_cifar10s]), st.integers(2, 6), st.integers(0, 10**6))
def test_distributions_without_mass_on_what_was_only_ruled_out(rule, classes, seed):
    rng = np.random.default_rng(seed)
    rows = 30
    top, second = rng.integers(0, classes, rows), rng.integers(-1, classes, rows)
    percent, second_percent = rng.choice([1.0, 10, 29, 50, 71, 100], rows), rng.choice([np.nan, 0, 2, 29, 50, 99], rows)
    impossible = rng.random((rows, classes)) < 0.4
    # nothing named, everything ruled out: refused, see below
    impossible[(top == second) & (second_percent == 0)] = False
    found = rule(top, percent, second, second_percent, impossible=impossible)
    np.testing.assert_allclose(found.sum(1), 1)
    assert (found >= 0).all()
    named = (np.arange(classes) == top[:, None]) | (np.arange(classes) == second[:, None])
    assert not found[impossible & ~named].any()
    for i in range(rows):
        want = by_the_text(rule, top[i], percent[i], second[i], second_percent[i], impossible[i])
        np.testing.assert_allclose(found[i], want, atol=1e-12)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((10, 50), r"top, judgment 0: .*got 10"),
        ((0, 101), r"top_percent, judgment 0: .*got 101"),
        ((0, np.nan), r"top_percent, judgment 0: .*got nan"),
        ((0, 50, -2), r"second, judgment 0: .*got -2"),
        ((0, 50, 1, -1), r"second_percent, judgment 0: .*got -1"),
        ((0, 0, -1, np.nan, range(K)), r"judgment 0 gives 0 percent and rules out every class"),
    ],
)
@pytest.mark.parametrize("rule", [clamp_hmix, clamp_cifar10s])
def test_unusable_answers_are_refused_by_name(rule, answer, message):
    with pytest.raises(DataError, match=message):
        judge(rule, *answer)


def test_no_judgments():
    none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
    assert clamp_hmix(none, nothing, none, nothing, impossible=np.zeros((0, K), dtype=bool)).shape == (0, K)


def test_weighted_means_by_hand():
    factor, confidence = np.array([0.8, 0.2, 0.5, 0.3]), np.array([1.0, 0.5, 0.0, 0.4])
    group = np.array([0, 0, 1, 3])
    np.testing.assert_allclose(
        confidence_weighted_mean(factor, confidence, group, num_groups=4), [0.9 / 1.5, np.nan, np.nan, 0.3]
    )
    np.testing.assert_allclose(
        released_weighted_mean(factor, confidence, group, num_groups=4), [0.45, 0.0, np.nan, 0.12]
    )


@given(st.integers(1, 30), st.integers(0, 10**6))
def test_weighted_mean_with_equal_confidence_is_the_mean(answers, seed):
    rng = np.random.default_rng(seed)
    factor, group = rng.random(answers), rng.integers(0, 4, answers)
    means = [factor[group == g].mean() if (group == g).any() else np.nan for g in range(4)]
    np.testing.assert_allclose(confidence_weighted_mean(factor, np.full(answers, 0.3), group, num_groups=4), means)
    np.testing.assert_allclose(released_weighted_mean(factor, np.ones(answers), group, num_groups=4), means)


@pytest.fixture(scope="module")
def categorical(real_data):
    frame = pd.read_csv(real_data / "hmix" / "hmix_categorical_soft_labels.csv")
    frame = frame[frame["task"].notna()].reset_index(drop=True)
    responses = [json.loads(text) for text in frame["response"]]
    columns = (
        np.array([CLASSES.index(s["classSelect"].removeprefix("mostProb")) for s in responses]),
        np.array([float(s["prob"]) for s in responses]),
        np.array([[*CLASSES, "No"].index(s["classSelect2"].removeprefix("secondProb")) for s in responses]),
        np.array([float(s["prob2"] or "nan") for s in responses]),
    )
    columns[2][columns[2] == K] = -1
    return frame, columns, np.array([[f"improbClassSelect{c}" in s for c in CLASSES] for s in responses])


@pytest.mark.parametrize(("rule", "images"), [(clamp_hmix, 100), (clamp_cifar10s, 49)])
def test_released_hmix_labels(real_data, categorical, rule, images):
    frame, columns, impossible = categorical
    found = rule(*columns, impossible=impossible)
    released = json.loads((real_data / "hmix" / "hmix_individ_soft_labels.json").read_text())
    rows = frame.groupby("filename").indices
    assert (len(rows), sum(map(len, released.values()))) == (100, 216)
    same = [
        np.allclose(sorted(found[rows[name]].tolist()), sorted(labels), atol=1e-12) for name, labels in released.items()
    ]
    assert sum(same) == images


def test_mass_off_the_endpoints(categorical):
    """As printed: more than a third, 38 %."""
    frame, columns, impossible = categorical
    label = clamp_hmix(*columns, impossible=impossible)
    ends = np.stack([frame[name].map(CLASSES.index).to_numpy() for name in ("label1", "label2")], 1)
    off = 1 - np.take_along_axis(label, ends, axis=1).sum(1)
    assert off.mean() == pytest.approx(0.38, abs=0.005)
    assert off[~frame["task"].str.startswith("rerun_")].mean() == pytest.approx(0.38, abs=0.01)


def test_released_cifar10s_labels(real_data):
    """The copy holds the labels of an item in another order than its answers, so their sums are compared."""
    with np.load(real_data / "cifar10s" / "cifar10s.npz") as z:
        data = {name: z[name] for name in z.files}
    impossible = (data["impossible_mask"].astype(np.int64)[:, None] >> np.arange(K)) & 1 == 1
    columns = (
        data["label"].astype(np.int64),
        data["label_prob"].astype(float),
        data["second"].astype(np.int64),
        data["second_prob"].astype(float),
    )
    found = clamp_cifar10s(*columns, impossible=impossible)
    total, released = np.zeros((10_000, K)), np.zeros((10_000, K))
    np.add.at(total, data["item"], found)
    np.add.at(released, data["item"], data["soft_t2clamp"])
    np.testing.assert_allclose(total, released, atol=1e-5)


def test_released_weighted_relabels(real_data, infer):
    """The processed file counts repeats as further people."""
    released = json.loads((real_data / "hmix" / "processed_hmix_inferences.json").read_text())
    names, group = np.unique(infer.name, return_inverse=True)
    found = released_weighted_mean(infer.answer, infer.confidence, group, num_groups=len(names))
    plain = released_weighted_mean(infer.answer, np.ones_like(infer.answer), group, num_groups=len(names))
    assert len(names) == len(released) == 2_070
    np.testing.assert_allclose(found, [released[name]["Weighted Re-Label"] for name in names], atol=1e-12)
    assert (plain - found).mean() == pytest.approx(0.13, abs=0.005)

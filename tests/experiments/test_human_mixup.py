"""The experiment on human mixup: no leaks, controls that match, choices by validation, paired statistics."""

import os

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from experiments.human_mixup import tables
from experiments.human_mixup.policies import ALL_MIXES, ELICITED, MIX_LABELS, POLICIES, Settings, elicited, training
from experiments.human_mixup.results import KEY, SEARCH_FILE, best, chosen, read
from experiments.human_mixup.train import corrupted, scores
from hilmix.errors import ConfigError
from hilmix.human.functional.perception import two_hot
from hilmix.types import Batch


@pytest.fixture
def found(real_data, monkeypatch):
    from experiments.human_mixup.data import source

    monkeypatch.setitem(os.environ, "HILMIX_DATA", str(real_data))
    return source()


def test_no_image_of_a_mix_is_tested_or_validated_on(found) -> None:
    split = found.base.split
    assert [int((split == name).sum()) for name in ("train", "val", "test")] == [7_000, 2_000, 3_000]
    for study in (found.study, found.categorical):
        assert (split[study.stimuli.id1] == "train").all()
        assert (split[study.stimuli.id2] == "train").all()
    target = found.base.target[split == "test"]
    assert np.bincount(target).tolist() == [300] * 10


def test_every_label_of_a_mix_is_a_distribution(found) -> None:
    for name, labels in MIX_LABELS.items():
        values = labels()
        assert values.shape == (2_070, 10), name
        np.testing.assert_allclose(values.sum(1), 1, atol=1e-6, err_msg=name)
        assert (values >= 0).all(), name


def test_controls_are_as_uniform_as_what_they_control(found) -> None:
    shown = found.study.stimuli
    other = np.ones((2_070, 10), dtype=bool)
    other[np.arange(2_070), shown.label1] = other[np.arange(2_070), shown.label2] = False
    smoothed, human, mixup = (MIX_LABELS[n]() for n in ("human-smoothed", "human-matched", "mixup-matched"))
    outside = [values[other].sum() for values in (smoothed, human, mixup)]
    np.testing.assert_allclose(outside, outside[0], rtol=1e-6)
    each = human[other].reshape(2_070, 8)
    np.testing.assert_allclose(each, each[0, 0], rtol=1e-6)
    hot = two_hot(*(torch.tensor(v) for v in (shown.label1, shown.label2, shown.weight)), num_classes=10).numpy()
    np.testing.assert_allclose(MIX_LABELS["mixup"](), hot, atol=1e-7)


def test_what_is_added_is_in_training(found) -> None:
    sizes = {"none": 0, "human": 2_070, "annotators": 2_070, "mixup-topped-up": 4_140, "categorical-100": 100}
    for name, size in sizes.items():
        data = training(name, Settings()).data
        assert int((data.split == "train").sum()) == 7_000 + size, name
        np.testing.assert_allclose(data.annotations.probs[:12_000], found.base.annotations.probs, rtol=1e-6)
    each = elicited("annotators").annotations
    assert each.num_pairs == 12_000 + len(found.study.judgments)
    again = elicited("human-per-answer").annotations
    assert np.array_equal(again.item, each.item)
    np.testing.assert_allclose(again.probs[12_000:].mean(0), each.probs[12_000:].mean(0), atol=1e-6)
    dropped = [int((elicited(name).split == "train").sum()) for name in ("drop-unsure", "drop-far")]
    assert all(7_000 < size < 9_070 for size in dropped)


@pytest.mark.parametrize("name", ALL_MIXES)
def test_all_mixes_are_labelled_with_distributions(found, name: str) -> None:
    plan, rows = training(name, Settings()), np.arange(32)
    data = plan.data
    plan.mix.bind(data.annotations)
    batch = Batch(
        data.inputs.fetch(rows).float() / 255,
        torch.from_numpy(rows),
        torch.from_numpy(data.target[rows]),
        torch.from_numpy(rows),
        torch.zeros(32, dtype=torch.int64),
        torch.from_numpy(data.annotations.label[rows]),
        torch.from_numpy(data.annotations.probs[rows]).float(),
    )
    mixed = plan.mix(batch, np.random.default_rng(0)).plan
    if mixed.shares is not None:
        on_row, host = mixed.shares[:32], mixed.shares[32:][mixed.partner]
        torch.testing.assert_close((on_row + host).sum(1), torch.ones(32), rtol=1e-4, atol=1e-4)


def test_the_names_are_those_of_the_page() -> None:
    page = tables.PAGE.read_text()
    assert [name for name in POLICIES if f"`{name}`" not in page] == []
    assert len(set(POLICIES)) == len(POLICIES)
    assert set(tables.GROUPS["elicited"][0]) == set(ELICITED)


def test_settings_are_those_of_the_lowest_validation_cross_entropy() -> None:
    losses = {0.001: (0.5, 0.7), 0.003: (0.55, 0.55), 0.01: (0.9, 0.2)}
    rows = [("none", seed, lr, values[seed]) for lr, values in losses.items() for seed in (0, 1)]
    frame = pd.DataFrame([*rows, ("label-smoothing", 0, 0.003, 0.0)], columns=["policy", "seed", "lr", "val_ce"])
    assert best(frame, "lr") == 0.003
    with pytest.raises(ConfigError, match=r"lacks lr \[0\.01\] of 'none'; run `search` first"):
        best(frame[frame["lr"] < 0.01], "lr")


@pytest.mark.skipif(not SEARCH_FILE.exists(), reason="no search was run")
def test_the_committed_search_chooses() -> None:
    search = read(SEARCH_FILE)
    assert not search.duplicated(KEY).any()
    assert "test" not in " ".join(search.columns)
    assert chosen(search, "none").lr in set(search["lr"])


def test_differences_are_paired_over_common_seeds() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=5)
    gaps = {"b": rng.normal(-1, 0.1, 5), "c": rng.normal(0, 0.1, 5)}
    rows = [("a", s, base[s]) for s in range(5)] + [(p, s, base[s] + g[s]) for p, g in gaps.items() for s in range(5)]
    frame = pd.DataFrame(rows[:-1], columns=["policy", "seed", "ce"])  # c lacks its last seed
    found = tables.differences(frame, ["a", "b", "c"], "a", "ce")
    assert found.loc["b", "mean"] == pytest.approx(gaps["b"].mean())
    assert found.loc["c", "seeds"] == 4
    low, high = stats.t.interval(0.95, 4, gaps["b"].mean(), stats.sem(gaps["b"]))
    assert found.loc["b", "half"] == pytest.approx((high - low) / 2)
    single = [stats.ttest_1samp(gaps["b"], 0).pvalue, stats.ttest_1samp(gaps["c"][:4], 0).pvalue]
    assert found.loc["b", "p"] == pytest.approx(2 * single[0])
    assert np.isnan(found.loc["a", "p"])


def test_scores_of_a_perfect_and_a_flat_prediction() -> None:
    target = torch.arange(10).repeat(3)
    shares = torch.nn.functional.one_hot(target, 10).double()
    right = scores(40 * shares, target, shares)
    assert right["ce"] == pytest.approx(0, abs=1e-9)
    assert (right["acc"], right["worst_class"], right["top2"]) == (1, 1, 1)
    flat = scores(torch.zeros(30, 10), target, shares)
    assert flat["ce"] == pytest.approx(np.log(10))
    assert flat["total_variation"] == pytest.approx(0.9)


def test_corruptions_are_the_same_every_time_and_keep_the_range() -> None:
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    first, again = corrupted(images), corrupted(images)
    assert len(first) == 5
    for name, values in first.items():
        assert torch.equal(values, again[name]), name
        assert values.shape == images.shape
        assert torch.equal(values, values.clamp(0, 1)), name
        assert not torch.equal(values, images), name

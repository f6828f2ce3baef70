from collections import Counter

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import beta, kstest

from hilmix.errors import ConfigError, DataError
from hilmix.human.elicit.design.settings import Design, assign_batches, draw_mixes

CLASSES = ("a", "b", "c", "d")
LABEL = np.arange(400) % 4
PLAIN = {"tasks": ("infer",), "pairs": 60}


def even(counts) -> bool:
    return max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": ()}, r"tasks.*construct, select, infer, categorical, vote.*got \[\]"),
        ({"tasks": ("infer", "infer")}, "tasks.*got"),
        ({"tasks": ("guess",)}, "tasks.*got"),
        ({"pairs": 0}, "pairs.* >= 1, got 0"),
        ({"per_batch": 0}, "per_batch.* >= 1, got 0"),
        ({"catch": -1}, "catch.* >= 0, got -1"),
        ({"seed": -1}, "seed.* >= 0, got -1"),
        ({"weights": (0.5, 1.5)}, "weights.*got 1.5"),
        ({"weights": (float("nan"),)}, "weights.*got nan"),
        ({"weights": (0.5, 0.5)}, r"weights.*got \[0.5, 0.5\]"),
        ({"weights": ()}, "weights.*got \\["),
        ({"weights": (1.0,)}, "weights.*between 0 and 1"),
        ({"beta": 0.0}, "beta.* > 0.*got 0"),
        ({"pairs": 50}, "pairs.*30, got 50\. Take 30 or 60"),
        ({"pairs": 20}, "pairs.*30, got 20\. Take 30"),
        ({"repeats": 31}, "repeats.*30, got 31"),
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(change, message):
    with pytest.raises(ConfigError, match=message):
        Design(**PLAIN | change)


def couples(drawn, design) -> list[frozenset[int]]:
    first, second = (LABEL[rows[: design.pairs]].tolist() for rows in drawn.pairs)
    return [frozenset(pair) for pair in zip(first, second, strict=True)]


@given(st.integers(1, 4), st.integers(1, 20), st.integers(0, 1000))
def test_weights_are_even_in_all_and_in_each_pair_of_classes(batches, per_batch, seed):
    design = Design(tasks=("infer",), pairs=batches * per_batch, per_batch=per_batch, repeats=0, seed=seed)
    drawn = draw_mixes(design, LABEL, None, classes=CLASSES)
    weight, couple = drawn.weight[: design.pairs], couples(drawn, design)
    assert set(weight) <= set(design.weights)
    assert even([(weight == w).sum() for w in design.weights])
    for pair in set(couple):
        here = weight[[c == pair for c in couple]]
        assert even([(here == w).sum() for w in design.weights])


@given(st.integers(1, 4), st.integers(1, 20), st.integers(0, 1000))
def test_which_of_two_classes_is_image_1_does_not_follow_from_the_weight(batches, per_batch, seed):
    design = Design(
        tasks=("infer",), pairs=batches * per_batch, per_batch=per_batch, repeats=0, catch=0, practice=0, seed=seed
    )
    two = np.arange(400) % 2
    drawn = draw_mixes(design, two, None, classes=("a", "b"))
    for w in design.weights:
        assert even(np.bincount(two[drawn.pairs.first[drawn.weight == w]], minlength=2))


@given(st.integers(1, 4), st.integers(1, 20), st.sampled_from(["infer", "select"]), st.integers(0, 1000))
def test_batches_are_equal_and_even_and_share_nothing(batches, per_batch, task, seed):
    design = Design(tasks=(task,), pairs=batches * per_batch, per_batch=per_batch, repeats=0, seed=seed)
    drawn = draw_mixes(design, LABEL, None, classes=CLASSES)
    dealt = assign_batches(design, drawn, task)
    assert [len(batch) for batch in dealt] == [per_batch] * batches
    assert sorted(np.concatenate(dealt)) == list(range(design.pairs))
    kinds = drawn.weight[: design.pairs].tolist() if task == "infer" else couples(drawn, design)
    for kind in set(kinds):
        assert even([sum(kinds[row] == kind for row in batch) for batch in dealt])


def test_catch_trials_show_one_image_and_the_other_in_turn():
    design = Design(**PLAIN, catch=3, practice=1)
    drawn = draw_mixes(design, LABEL, None, classes=CLASSES)
    assert drawn.weight[-3:].tolist() == [0, 1, 0]
    assert 0 < drawn.weight[-4] < 1
    assert len(drawn.weight) == len(drawn.pairs.first) == 64


def test_beta_weights_are_of_that_distribution_and_even_over_batches():
    design = Design(tasks=("infer",), pairs=6000, beta=0.4, catch=0, practice=0)
    drawn = draw_mixes(design, np.arange(20000) % 4, None, classes=CLASSES)
    assert kstest(drawn.weight, beta(0.4, 0.4).cdf).pvalue > 0.01
    for fifth in range(5):
        here = (drawn.weight >= fifth / 5) & (drawn.weight < (fifth + 1) / 5)
        assert even([here[batch].sum() for batch in assign_batches(design, drawn, "infer")])


def test_draws_follow_from_the_seed_and_from_nothing_else():
    one, same = (draw_mixes(Design(**PLAIN, seed=3), LABEL, None, classes=CLASSES) for _ in range(2))
    other = draw_mixes(Design(**PLAIN, seed=4), LABEL, None, classes=CLASSES)
    assert np.array_equal(one.pairs, same.pairs)
    assert np.array_equal(one.weight, same.weight)
    assert not np.array_equal(one.pairs, other.pairs)
    both = draw_mixes(Design(tasks=("vote", "infer"), pairs=60, seed=3), LABEL, None, classes=CLASSES)
    assert np.array_equal(one.pairs, both.pairs), "another task changes no pair"


def least_sure(design, label=LABEL, seen=200):
    probs = np.full((len(label), 4), np.nan)
    probs[:seen] = np.random.default_rng(0).dirichlet(np.ones(4), seen)
    return probs, draw_mixes(design, label, probs, classes=CLASSES)


@pytest.mark.parametrize("tasks", [("infer",), ("vote",)])
def test_least_sure_takes_predicted_images_and_others_to_catch(tasks):
    weights = (1.0,) if tasks == ("vote",) else (0.5,)
    design = Design(tasks=tasks, pairs=30, weights=weights, practice=20, catch=20)
    probs, drawn = least_sure(design)
    rows = np.stack(drawn.pairs)
    main, others = rows[:, :30], rows[:, 30:]
    assert not np.isnan(probs[main]).any()
    assert not set(main.ravel()) & set(others.ravel())
    assert (drawn.pairs.first == drawn.pairs.second).all() == design.single_images
    wide = np.nan_to_num(probs, nan=1).max(1)
    if design.single_images:
        free = np.setdiff1d(np.arange(200), others)
        assert set(main[0]) == set(free[np.argsort(wide[free])][:30])
    else:
        assert max(Counter(main.ravel().tolist()).values()) == 1


def test_least_sure_needs_enough_predictions():
    with pytest.raises(DataError, match=r"predictions give \d+ pairs.* 60 "):
        least_sure(Design(**PLAIN), seen=8)


def test_single_images_are_their_own_partner_with_weight_1():
    design = Design(tasks=("vote",), pairs=30, weights=(1.0,))
    drawn = draw_mixes(design, LABEL, None, classes=CLASSES)
    assert np.array_equal(*drawn.pairs)
    assert (drawn.weight == 1).all()
    assert design.trials == 36

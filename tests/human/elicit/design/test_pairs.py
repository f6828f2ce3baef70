from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hilmix.errors import DataError
from hilmix.human.elicit.design.pairs import (
    Pairs,
    draw_balanced_codes,
    draw_images,
    draw_pairs,
    find_least_sure_images,
    find_least_sure_pairs,
)

SEEDS = st.integers(0, 2**32)


def even(counts) -> bool:
    """As often as any other, up to one."""
    return max(counts) - min(counts) <= 1


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(1, 7), SEEDS)
def test_spread_is_even_in_all_and_in_each_stratum(strata, into, seed):
    codes = draw_balanced_codes(np.array(strata, dtype=np.int64), into, np.random.default_rng(seed))
    assert even(np.bincount(codes, minlength=into))
    for stratum in set(strata):
        assert even(np.bincount(codes[np.array(strata) == stratum], minlength=into))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1), st.integers(1, 7), SEEDS)
def test_spread_is_even_in_strata_that_follow_each_other(both, into, seed):
    outer, inner = np.array(both).T
    codes = draw_balanced_codes(outer * 4 + inner, into, np.random.default_rng(seed))
    assert all(even(np.bincount(codes[outer == a], minlength=into)) for a in set(outer))


@st.composite
def labels_and_number(draw) -> tuple[np.ndarray, int]:
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    label = np.repeat(np.arange(len(sizes)), sizes)
    label = np.append(label, [-1] * draw(st.integers(0, 3)))
    couples = len(sizes) * (len(sizes) - 1) // 2
    smallest = min(a * b for a, b in pairwise(sorted(sizes)))
    number = draw(st.integers(0, couples * smallest))
    return np.array(draw(st.permutations(label.tolist())), dtype=np.int64), number


@given(labels_and_number(), SEEDS)
def test_pairs_are_balanced_different_and_never_of_one_class(drawn, seed):
    label, number = drawn
    classes = [f"c{k}" for k in range(label.max() + 1)]
    first, second = draw_pairs(label, number, classes=classes, rng=np.random.default_rng(seed))
    assert len(first) == len(second) == number
    a, b = label[first], label[second]
    assert (a != b).all()
    assert (a >= 0).all()
    assert (b >= 0).all()
    assert len({frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)}) == number
    used = np.bincount(np.concatenate([first, second]), minlength=len(label))
    for k in range(len(classes)):
        assert even(used[label == k]), "images of a class are used evenly"
    for n in range(number + 1):  # pairs of classes are balanced in every beginning
        couples = Counter(frozenset(pair) for pair in zip(a[:n].tolist(), b[:n].tolist(), strict=True))
        assert max(couples.values(), default=0) <= -(-n // (len(classes) * (len(classes) - 1) // 2))


@given(labels_and_number(), SEEDS)
def test_the_same_seed_draws_the_same_pairs(drawn, seed):
    label, number = drawn
    classes = [f"c{k}" for k in range(label.max() + 1)]
    one, two = (draw_pairs(label, number, classes=classes, rng=np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one, two)


def test_every_pair_of_images_is_found_before_there_are_not_enough():
    label, rng = np.repeat([0, 1], [4, 6]), np.random.default_rng(0)
    pairs = draw_pairs(label, 24, classes=["a", "b"], rng=rng)
    assert len(set(zip(*map(np.ndarray.tolist, pairs), strict=True))) == 24  # 4 and 6 are not coprime
    with pytest.raises(DataError, match=r"'a' and 'b' with 4 and 6 images give 24 pairs, but 25 .*design.pairs"):
        draw_pairs(label, 25, classes=["a", "b"], rng=rng)


@pytest.mark.parametrize("sizes", [(2, 2, 2), (4, 4, 4), (2, 4, 6)])
def test_images_are_used_evenly_where_their_numbers_share_factors(sizes):
    label = np.repeat([0, 1, 2], sizes)
    for number in range(3 * sizes[0] * sizes[1] + 1):
        pairs = draw_pairs(label, number, classes=["a", "b", "c"], rng=np.random.default_rng(number))
        used = np.bincount(np.concatenate(pairs), minlength=len(label))
        assert all(even(used[label == k]) for k in range(3))


def test_two_classes_are_needed():
    for label, found in (([0, 0, -1], "only 'a'"), ([-1], "none")):
        with pytest.raises(DataError, match=f"two classes are needed, but of the 2 classes {found}"):
            draw_pairs(np.array(label), 1, classes=["a", "b"], rng=np.random.default_rng(0))


@given(st.integers(1, 12), SEEDS)
def test_single_images_are_balanced_and_different(number, seed):
    label = np.repeat([0, 2, -1], [6, 7, 3])
    first, second = draw_images(label, number, classes=["a", "b", "c"], rng=np.random.default_rng(seed))
    assert np.array_equal(first, second)
    assert len(set(first.tolist())) == number
    assert even(np.bincount(label[first], minlength=3)[[0, 2]])
    assert label[first].min() >= 0


def test_single_images_do_not_repeat():
    with pytest.raises(DataError, match=r"Class '.' has 1 images, but 2 are needed"):
        draw_images(np.array([0, 1]), 3, classes=["a", "b"], rng=np.random.default_rng(0))


def probs(seed: int, n: int, k: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(k), n)


def least_sure_by_loop(label: np.ndarray, p: np.ndarray, number: int) -> list[tuple[int, int]]:
    """The rule as a slow loop."""
    found = []
    for a in range(p.shape[1]):
        for b in range(a + 1, p.shape[1]):
            one = sorted((i for i in range(len(label)) if label[i] == a), key=lambda i: -p[i, b])
            two = sorted((i for i in range(len(label)) if label[i] == b), key=lambda i: -p[i, a])
            found += list(zip(one, two, strict=False))
    found.sort(key=lambda pair: -(p[pair[0], label[pair[1]]] + p[pair[1], label[pair[0]]]))
    used, out, most = Counter(), [], 1
    while len(out) < number:
        for pair in found:
            if pair not in out and len(out) < number and max(used[pair[0]], used[pair[1]]) < most:
                out.append(pair)
                used.update(pair)
        most += 1
    return out


@given(st.integers(2, 4), st.integers(1, 6), SEEDS, st.data())
def test_the_least_sure_pairs_are_those_of_the_rule(k, each, seed, data):
    label, p = np.repeat(np.arange(k), each), probs(seed, k * each, k)
    number = data.draw(st.integers(1, each * k * (k - 1) // 2))
    pairs = find_least_sure_pairs(label, p, number, classes=[f"c{i}" for i in range(k)])
    assert list(zip(*map(np.ndarray.tolist, pairs), strict=True)) == least_sure_by_loop(label, p, number)


def test_the_least_sure_pair_is_the_one_a_model_takes_for_each_other():
    label = np.array([0, 0, 1, 1, -1])
    p = np.array([[0.9, 0.1], [0.3, 0.7], [0.1, 0.9], [0.6, 0.4], [0.5, 0.5]])
    assert find_least_sure_pairs(label, p, 1, classes=["a", "b"]) == Pairs(np.array([1]), np.array([3]))
    with pytest.raises(DataError, match="give 2 pairs of images of two classes, but 3"):
        find_least_sure_pairs(label, p, 3, classes=["a", "b"])


def test_the_least_sure_images_have_the_lowest_top_probability():
    p = np.array([[0.9, 0.1], [0.5, 0.5], [0.6, 0.4], [0.5, 0.5]])
    first, second = find_least_sure_images(np.array([0, 0, 1, -1]), p, 2)
    assert first.tolist() == second.tolist() == [1, 2]
    with pytest.raises(DataError, match="hold 3 images, but 4"):
        find_least_sure_images(np.array([0, 0, 1, -1]), p, 4)

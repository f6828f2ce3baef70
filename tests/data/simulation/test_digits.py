"""The embedded default data."""

import time

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hilmix.data.simulation.digits import simulate_digits
from hilmix.errors import DataError


@pytest.mark.parametrize("kind", ["class", "instance"])
def test_shape_noise_and_speed(kind):
    start = time.process_time()  # of this process alone, however busy the machine is
    data = simulate_digits(kind)
    assert time.process_time() - start < 3
    votes = data.annotations
    assert data.name == f"digits-{kind}"
    assert data.inputs.shape == (1, 8, 8)
    assert len(data) == 1797
    assert votes.num_annotators == 20
    assert set(votes.labels_per_item.tolist()) == {2, 3}
    assert 0.4 <= (votes.label != data.target[votes.item]).mean() <= 0.5


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_other_seeds(seed):
    votes, target = simulate_digits("class", seed).annotations, simulate_digits("class", seed).target
    assert 0.35 <= (votes.label != target[votes.item]).mean() <= 0.55


def test_images_are_those_of_scikit_learn():
    images, target = load_digits(return_X_y=True)
    data = simulate_digits()
    pixels = data.inputs.fetch(np.arange(1797)).numpy().reshape(1797, 64)
    assert pixels.dtype == np.uint8
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert np.abs(pixels / 255 - images / 16).max() <= 0.5 / 255
    np.testing.assert_array_equal(data.target, target)


def test_split_is_stratified_and_everything_is_annotated():
    data = simulate_digits(seed=3)
    share = {s: np.bincount(data.target[data.split == s], minlength=10) for s in ("train", "val", "test")}
    assert {s: n.sum() for s, n in share.items()} == {"train": 1078, "val": 359, "test": 360}
    total = np.bincount(data.target)
    for s, part in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
        assert np.abs(share[s] - part * total).max() <= 1.5


@pytest.mark.parametrize("kind", ["class", "instance"])
def test_seed_decides(kind):
    one, same, other = simulate_digits(kind, 1), simulate_digits(kind, 1), simulate_digits(kind, 2)
    np.testing.assert_array_equal(one.annotations.label, same.annotations.label)
    np.testing.assert_array_equal(one.split, same.split)
    assert (one.split != other.split).any()


def test_unknown_kind_is_refused():
    with pytest.raises(DataError, match=r"`kind`.*'both'"):
        simulate_digits("both")

"""Annotators that are weak classifiers."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from hilmix.data.simulation.weak_classifiers import predict_weak_labels, simulate_classifiers
from hilmix.errors import DataError


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    target = np.arange(600) % 3
    return rng.normal(size=(600, 2)) * 0.3 + 4 * np.eye(3)[target][:, :2], target


def test_equal_seeds_give_equal_labels(blobs):
    one, same, other = (predict_weak_labels(*blobs, num_annotators=3, seed=s) for s in (1, 1, 2))
    assert one.shape == (600, 3)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_annotators_do_not_depend_on_how_many_there_are(blobs):
    few, many = (predict_weak_labels(*blobs, num_annotators=a, seed=0) for a in (2, 4))
    np.testing.assert_array_equal(few, many[:, :2])


def test_scale_and_shift_of_the_inputs_do_not_matter(blobs):
    inputs, target = blobs
    plain, moved = (predict_weak_labels(x, target, num_annotators=2, seed=0) for x in (inputs, 8 * inputs + 32))
    assert (plain == moved).mean() > 0.999  # float32 rounding only


class Spy:
    """Remembers what it was trained on and names the first class it saw."""

    trained: list[tuple[int, int, np.ndarray]] = []

    def __init__(self, *, epochs, seed):
        self.epochs = epochs

    def fit(self, X, y):
        Spy.trained.append((self.epochs, len(X), np.bincount(y, minlength=3)))
        self.first = y[0]

    def predict(self, X):
        return np.full(len(X), self.first)


def test_training_samples_are_biased_bootstraps(blobs):
    Spy.trained = []
    predict_weak_labels(*blobs, num_annotators=200, max_epochs=4, factory=Spy, seed=0)
    epochs, sizes, counts = (np.array(c) for c in zip(*Spy.trained, strict=True))
    assert set(epochs) == {1, 2, 3, 4}
    assert sizes.min() >= 10
    assert (counts <= 200).all()  # never more than the class holds
    assert ((counts > 0).sum(1) >= 2).all()
    assert counts.std(1).mean() > 30  # classes are known to different degrees


def test_certain_ratios_give_the_whole_of_every_class(blobs):
    Spy.trained = []
    predict_weak_labels(*blobs, num_annotators=3, ratio_a=(1e9, 1e9), ratio_b=(0, 0), factory=Spy, seed=0)
    assert all((counts == 200).all() for _, _, counts in Spy.trained)


def test_unseen_classes_are_never_labels(blobs):
    inputs, target = blobs
    dense = predict_weak_labels(
        inputs,
        target,
        num_annotators=40,
        seed=0,
        ratio_a=(0.05, 0.1),
        ratio_b=(0.5, 1),
        factory=lambda *, epochs, seed: KNeighborsClassifier(1),
    )
    labels = [len(np.unique(column)) for column in dense.T]
    assert min(labels) == 2  # two of three known
    errors = np.stack([dense[target == k] != k for k in range(3)])
    share = errors.mean(1)
    assert ((share < 0.05) | (share > 0.9)).mean() > 0.95  # a class is known or not: errors depend on the input


def test_labels_are_thinned_and_named(blobs):
    inputs, target = blobs
    votes = simulate_classifiers(inputs, target, classes="abc", num_annotators=5, labels_per_item=2, seed=0)
    assert votes.labels_per_item.tolist() == [2] * 600
    assert votes.annotators[:2] == ("classifier-0", "classifier-1")
    dense = predict_weak_labels(inputs, target, num_annotators=5, seed=0)
    np.testing.assert_array_equal(votes.label, dense[votes.item, votes.annotator])


def test_images_are_flattened():
    pixels = np.random.default_rng(0).integers(0, 255, (30, 4, 4), dtype=np.uint8)
    target = np.arange(30) % 2
    square, flat = (predict_weak_labels(x, target, num_annotators=2, seed=0) for x in (pixels, pixels.reshape(30, 16)))
    np.testing.assert_array_equal(square, flat)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([0] * 20, "two classes"),
        ([0, 1], "10 items"),
        ([0, 1] * 9 + [0, -1], "`target`.*-1 for item 19"),
        ([0, 1] * 11, "`inputs`.*22, got 20"),
    ],
)
def test_bad_input_is_refused(target, message):
    with pytest.raises(DataError, match=message):
        predict_weak_labels(np.zeros((min(len(target), 20), 2)), target, seed=0)

"""Data sets of decoys: what holds in training does not hold elsewhere, and masks mark what does not matter."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from hilmix.data.explained import ANNOTATOR
from hilmix.data.folder import read_folder, write_folder
from hilmix.data.simulation.decoy_sets import (
    add_decoys,
    make_decoy_digits,
    make_toy_bumps,
    paint_class_colour,
    paint_dark_corner,
    paint_half,
    paint_light_corner,
)
from hilmix.data.simulation.decoys import colour_ramp

N = 600
RNG = np.random.default_rng(0)
IMAGES, TARGET = RNG.integers(0, 200, (N, 12, 12), dtype=np.uint8), RNG.integers(0, 10, N)
SPLIT = np.repeat(["train", "val", "test"], N // 3)


def build(paint, images=IMAGES, rows=slice(None), seed=0):
    return add_decoys(
        "toy",
        images[rows],
        TARGET[rows],
        SPLIT[rows],
        paint=paint,
        items=tuple(map(str, np.arange(N)[rows])),
        classes=tuple("0123456789"),
        licence="CC0",
        seed=seed,
    )


def grey_under_mask(data):
    """(N,) the grey level of each decoy; fails if it is not one level."""
    images, masks = data.inputs.fetch(np.arange(len(data))).numpy(), data.masks.fetch(np.arange(len(data))).numpy()
    return np.array([np.unique(image[:, mask[0] > 0]).item() for image, mask in zip(images, masks, strict=True)])


@pytest.mark.parametrize(
    ("paint", "grey_of"),
    [
        (paint_half, lambda y: 25 * y),
        (paint_dark_corner, lambda y: 255 - 25 * y),
        (paint_light_corner, lambda y: 25 * y),
    ],
)
def test_grey_decoys_tell_the_class_in_training_only(paint, grey_of) -> None:
    colours = np.repeat(IMAGES[..., None], 3, axis=3) if paint is paint_light_corner else IMAGES
    data = build(paint, colours)
    grey, train = grey_under_mask(data), SPLIT == "train"
    np.testing.assert_array_equal(grey[train], grey_of(TARGET[train]))
    agree = (grey == grey_of(TARGET))[~train].mean()
    assert 0.05 < agree < 0.16, "one in ten by chance"
    assert np.isin(grey, grey_of(np.arange(10))).all()
    places = np.bincount(data.masks.picture)
    assert places.min() > 0.7 * N / len(places), "in any place"
    assert data.annotations.annotators == (ANNOTATOR,)
    np.testing.assert_array_equal(data.annotations.label, TARGET)
    np.testing.assert_array_equal(data.group, TARGET)
    assert data.masks.explained.all()


def test_an_item_does_not_depend_on_those_behind_it() -> None:
    part, whole = build(paint_half, rows=slice(100)), build(paint_half)
    np.testing.assert_array_equal(part.inputs.fetch(np.arange(100)), whole.inputs.fetch(np.arange(100)))
    other = build(paint_half, seed=1)
    assert (other.masks.picture != whole.masks.picture).mean() == pytest.approx(0.5, abs=0.1)


def test_colours_turn_round_outside_training() -> None:
    data = build(paint_class_colour)
    images = data.inputs.fetch(np.arange(N)).numpy().astype(float)
    shares = images.sum((2, 3)) / images.sum((1, 2, 3))[:, None]
    colours = colour_ramp() / colour_ramp().sum(1, keepdims=True)
    shown = np.abs(shares[:, None] - colours).sum(2).argmin(1)
    np.testing.assert_array_equal(shown, np.where(SPLIT == "train", TARGET, 9 - TARGET))
    assert data.masks.pictures.shape == (3, 12, 12)


def test_decoy_digits() -> None:
    data = make_decoy_digits()
    assert data.inputs.shape == (1, 28, 28)
    assert [int((data.split == s).sum()) for s in ("train", "val", "test")] == [1200, 197, 400]
    share = np.stack([np.bincount(data.target[data.split == s]) / (data.split == s).sum() for s in ("train", "test")])
    assert np.abs(share[0] - share[1]).max() < 0.01
    train, grey = data.split == "train", grey_under_mask(data)
    np.testing.assert_array_equal(grey[train], 25 * data.target[train])
    again, other = make_decoy_digits(), make_decoy_digits(1)
    np.testing.assert_array_equal(data.inputs.fetch(np.arange(9)), again.inputs.fetch(np.arange(9)))
    assert (other.split != data.split).any()


def test_the_shortcut_is_learnt_and_fails(tmp_path) -> None:
    """A linear model of the mean grey level of each half does well in training, and not on test items."""
    data = read_folder(write_folder(make_decoy_digits(), tmp_path / "digits"))
    halves = data.inputs.fetch(np.arange(len(data))).float().reshape(len(data), 2, -1).numpy()
    features = np.concatenate([halves.mean(2), halves.std(2)], 1) / 255
    features = np.concatenate([features, features**2, features[:, :2] * (features[:, 2:] < 1e-3)], 1)
    train, test = data.split == "train", data.split == "test"
    model = LogisticRegression(C=1e6, max_iter=5000).fit(features[train], data.target[train])
    assert model.score(features[train], data.target[train]) > 0.9
    assert model.score(features[test], data.target[test]) < 0.3


def test_toy_bumps() -> None:
    data = make_toy_bumps()
    points = data.inputs.fetch(np.arange(900)).numpy()
    assert data.inputs.shape == (2,)
    assert [int((data.split == s).sum()) for s in ("train", "val", "test")] == [630, 90, 180]
    rows, sizes = np.unique(points[:, 1], return_counts=True)
    assert (rows.tolist(), sizes.tolist()) == ([-20, 0, 20], [300] * 3)
    for y, shift in ((-20, 0), (0, 1.2), (20, 0)):
        own, middle = points[:, 1] == y, data.target == 1
        assert own[middle].sum() == 100
        assert points[own & middle, 0].mean() == pytest.approx(shift, abs=0.06)
        outer = points[own & ~middle, 0] - shift
        assert np.abs(outer).mean() == pytest.approx(2, abs=0.06)
        assert points[own & middle, 0].std() == pytest.approx(0.2, abs=0.05)
    assert data.masks.fetch(np.arange(3)).tolist() == [[0, 1]] * 3
    assert data.groups == ("outer", "middle")

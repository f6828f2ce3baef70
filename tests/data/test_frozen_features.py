"""Features of frozen networks: computed once, and anew when anything that they depend on changes."""

import numpy as np
import pytest
import torch
from torch import nn

from hilmix.backbones import MLP, Backbone
from hilmix.data import ArrayInputs, FeatureCache, compute_frozen_features
from hilmix.data.frozen_features import FeatureKey, digest_weights
from hilmix.errors import DataError

KEY = FeatureKey("net", "w", "i", "p")


class Counting(Backbone):
    """Means over the pixels of each channel times a weight; counts the inputs that it sees."""

    seen, scaled = 0, False

    def build(self, input_shape):
        self.net, self.num_features = nn.Linear(1, 1), input_shape[0]
        nn.init.ones_(self.net.weight)
        nn.init.zeros_(self.net.bias)
        return self

    @property
    def input_normalisation(self):
        return ([0.5, 0.5, 0.5], [0.25, 0.5, 1.0]) if self.scaled else None

    def forward(self, x):
        self.seen += len(x)
        assert not self.training
        return x.mean((2, 3)) * self.net.weight


def images(seed=0, number=5, *, changed=False):
    pixels = np.random.default_rng(seed).integers(0, 256, (number, 4, 4, 3), dtype=np.uint8)
    pixels[3, 2, 1, 0] ^= changed  # one step of one channel of one pixel
    return ArrayInputs(pixels, "image")


class Renamed(Counting):
    """Another name, all else equal."""


def count(inputs, cache, *, weight=1.0, scaled=False, kind=Counting):
    """Number of inputs that the network saw, and the features; weight and scaling are no part of its settings."""
    backbone = kind().build((3, 4, 4)).train()
    nn.init.constant_(backbone.net.weight, weight)
    backbone.scaled = scaled
    features = compute_frozen_features(inputs, backbone, cache, batch_size=2)
    return backbone.seen, features


def test_they_are_computed_once(tmp_path):
    cache = FeatureCache(tmp_path / "cache")
    seen, first = count(images(), cache)
    assert seen == 5
    assert first.dtype == np.float32
    np.testing.assert_allclose(first, images().array.mean((1, 2)) / 255, rtol=1e-6)
    seen, again = count(images(), FeatureCache(tmp_path / "cache"))
    assert seen == 0
    np.testing.assert_array_equal(again, first)


def test_inputs_are_scaled_as_the_weights_expect(tmp_path):
    _, found = count(images(), FeatureCache(tmp_path), scaled=True)
    expected = (images().array.mean((1, 2)) / 255 - 0.5) / [0.25, 0.5, 1.0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "settings"),
    [
        (images(1), {}),
        (images(number=4), {}),
        (images(changed=True), {}),
        (ArrayInputs(images().array[::-1].copy(), "image"), {}),
        (images(), {"weight": 2.0}),
        (images(), {"scaled": True}),
        (images(), {"kind": Renamed}),
    ],
    ids=["other pixels", "fewer", "one pixel", "another order", "other weights", "another scaling", "another network"],
)
def test_whatever_changes_they_are_computed_anew(tmp_path, inputs, settings):
    cache = FeatureCache(tmp_path)
    count(images(), cache)
    assert count(inputs, cache, **settings)[0] == len(inputs)
    assert len(list(tmp_path.iterdir())) == 2


def test_every_part_of_the_key_counts():
    changed = [KEY._replace(**{part: "other"}) for part in KEY._fields]
    # The parts stay apart: moving a letter from one to the next is another key.
    moved = FeatureKey("ne", "tw", "i", "p")
    assert len({key.digest for key in (KEY, moved, *changed)}) == 6


def test_weights_are_digested_with_name_shape_and_buffers():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = digest_weights(net)
    assert before == digest_weights(net)
    net[1].running_mean += 1
    assert digest_weights(net) != before
    one, other = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    nn.init.ones_(one.weight)
    nn.init.ones_(other.weight)
    assert digest_weights(one) != digest_weights(other)
    assert digest_weights(one.half()) != digest_weights(nn.Linear(2, 3, bias=False))


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    cache = FeatureCache(tmp_path)
    cache.get(KEY, lambda: np.arange(600, dtype=np.float32).reshape(60, 10))
    file = cache.path(KEY)
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[800] ^= 1  # inside the features
    file.write_bytes({"flip": content, "truncate": content[:-50], "empty": b""}[damage])
    with pytest.raises(DataError, match=rf"{file.name}.*damaged.*Delete"):
        cache.get(KEY, lambda: pytest.fail("computed in its place"))


def test_a_file_of_another_key_is_refused(tmp_path):
    cache, other = FeatureCache(tmp_path), KEY._replace(weights="x")
    cache.get(KEY, lambda: np.ones((2, 2)))
    cache.path(KEY).rename(cache.path(other))
    with pytest.raises(DataError, match=r"weights='x'.*Delete"):
        cache.get(other, lambda: pytest.fail("computed in its place"))


def test_a_computation_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        FeatureCache(tmp_path / "cache").get(KEY, lambda: np.ones((1, 1)) / (1 // 0))
    assert not list(tmp_path.rglob("*.npz"))


def test_vectors_pass_through_an_mlp(tmp_path):
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    backbone = MLP([3]).build([4]).eval()
    found = compute_frozen_features(ArrayInputs(vectors, "vector"), backbone, FeatureCache(tmp_path))
    np.testing.assert_allclose(found, backbone(torch.from_numpy(vectors)).detach().numpy(), rtol=1e-5, atol=1e-6)

"""Painted shortcuts: where they are, what they say, and that each depends on its seed and index alone."""

import numpy as np
import pytest
from PIL import Image

from hilmix.data.simulation.decoys import (
    add_corner_decoys,
    add_half_decoys,
    choose_decoy_class,
    colour_images,
    colour_ramp,
    draw_per_item,
)

RNG = np.random.default_rng(0)


def test_draws_depend_on_seed_and_index_only() -> None:
    every = draw_per_item(3, np.arange(50), 2)
    np.testing.assert_array_equal(draw_per_item(3, np.array([7, 2]), 2), every[[7, 2]])
    np.testing.assert_array_equal(draw_per_item(3, np.arange(500), 2)[:50], every)
    assert not np.isin(draw_per_item(4, np.arange(50), 2), every).any()
    assert draw_per_item(0, np.arange(0), 2).shape == (0, 2)
    assert ((every >= 0) & (every < 1)).all()


def test_a_decoy_is_the_truth_or_anything() -> None:
    target, honest = RNG.integers(0, 5, 4000), RNG.random(4000) < 0.5
    shown = choose_decoy_class(target, honest, RNG.random(4000), 5)
    np.testing.assert_array_equal(shown[honest], target[honest])
    table = np.histogram2d(target[~honest], shown[~honest], bins=5)[0]
    assert (np.abs(table / table.sum() - 1 / 25) < 0.02).all(), "independent of the target, uniform"
    assert choose_decoy_class(target[:1], np.array([False]), np.array([np.nextafter(1, 0)]), 5).tolist() == [4]


@pytest.mark.parametrize("side", [28, 8])
def test_half_images_against_pillow(side: int) -> None:
    images = RNG.integers(0, 256, (20, side, side), dtype=np.uint8)
    value, below = RNG.integers(0, 256, 20).astype(np.uint8), RNG.random(20) < 0.5
    out, pictures, picture = add_half_decoys(images, value, below)
    assert out.shape == (20, 28, 28)
    assert pictures.shape == (2, 28, 28)
    for i in range(20):
        squeezed = np.array(Image.fromarray(images[i]).resize((28, 14), Image.Resampling.BICUBIC), dtype=int)
        digit, decoy = (slice(14), slice(14, 28)) if below[i] else (slice(14, 28), slice(14))
        assert np.abs(out[i, digit] - squeezed).max() <= 1
        assert (out[i, decoy] == value[i]).all()
        mask = pictures[picture[i]]
        assert (mask[decoy] == 255).all()
        assert (mask[digit] == 0).all()


@pytest.mark.parametrize("channels", [(), (3,)])
def test_corner_patches_change_what_the_mask_marks(channels: tuple[int, ...]) -> None:
    images = RNG.integers(1, 255, (40, 10, 12, *channels), dtype=np.uint8)
    value, corner = np.full(40, 255, dtype=np.uint8), RNG.integers(0, 4, 40)
    out, pictures, picture = add_corner_decoys(images, value, corner)
    for i in range(40):
        inside = np.zeros((10, 12), dtype=bool)
        top, left = (6 if corner[i] in (2, 3) else 0), (8 if corner[i] in (1, 3) else 0)
        inside[top : top + 4, left : left + 4] = True
        np.testing.assert_array_equal(pictures[picture[i]] > 0, inside)
        assert (out[i][inside] == 255).all()
        np.testing.assert_array_equal(out[i][~inside], images[i][~inside])


def test_the_ramp_is_that_of_the_release() -> None:
    """Numbers from the package `colour` 0.1.5: Color("red").range_to(Color("purple"), 10)."""
    published = [
        [1.0, 0.0, 0.0],
        [0.944662, 0.524812, 0.0],
        [0.790511, 0.889325, 0.0],
        [0.277996, 0.833987, 0.0],
        [0.0, 0.778649, 0.173033],
        [0.0, 0.723312, 0.562576],
        [0.0, 0.445316, 0.667974],
        [0.0, 0.068071, 0.612636],
        [0.247688, 0.0, 0.557298],
        [0.501961, 0.0, 0.501961],
    ]
    np.testing.assert_allclose(colour_ramp(), published, atol=1e-6)


def test_colours_scale_the_digit_and_masks_go_by_channel() -> None:
    images, colour = RNG.integers(0, 256, (10, 6, 6), dtype=np.uint8), RNG.permutation(10)
    out, pictures, picture = colour_images(images, colour, np.arange(10) % 3)
    for i in range(10):
        wanted = images[i][..., None] * colour_ramp()[colour[i]]
        assert np.abs(out[i] - wanted).max() < 1.001
        mask = pictures[picture[i]]
        assert (mask[..., i % 3] == 1).all()
        assert (np.delete(mask, i % 3, axis=-1) == 0.25).all()

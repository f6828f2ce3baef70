"""Statistics of some images of a data set: those of each, whatever came along, and nothing of the others."""

import numpy as np
import torch

from hilmix.data.inputs import ArrayInputs
from hilmix.human.functional.image_statistics import image_statistics
from hilmix.human.image_features import compute_statistics


def test_only_what_was_asked_for_is_computed():
    pixels = np.random.default_rng(0).integers(0, 256, (600, 8, 8, 3), dtype=np.uint8)
    rows = np.arange(1, 600, 2)  # more than are computed at once
    found = compute_statistics(ArrayInputs(pixels, "image"), rows)
    expected = image_statistics(torch.from_numpy(pixels[rows]).permute(0, 3, 1, 2).float() / 255)
    torch.testing.assert_close(found[rows], expected)
    assert found[::2].isnan().all()


def test_grey_images_are_colours_that_are_equal():
    grey = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    found, colour = (
        compute_statistics(ArrayInputs(pixels, "image"), np.arange(5)) for pixels in (grey, np.stack([grey] * 3, 3))
    )
    torch.testing.assert_close(found, colour)

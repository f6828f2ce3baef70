"""Statistics of images: closed forms on simple pictures, invariances, ranges."""

import math

import pytest
import torch

from hilmix.human.functional.image_statistics import STATISTICS, image_statistics

FLOOR = math.log(0.01)


def of(images):
    return dict(zip(STATISTICS, image_statistics(images).T.tolist(), strict=True))


def test_a_flat_grey_image():
    found = of(torch.full((1, 3, 10, 12), 0.3, dtype=torch.float64))
    assert found["luminance"] == [pytest.approx(0.3)]
    assert found["squared_luminance"] == [pytest.approx(0.09)]
    for name in ("dark", "bright", "saturation", "centre_against_border"):
        assert found[name] == [pytest.approx(0, abs=1e-12)]
    for name in STATISTICS:
        if name.startswith("log_"):
            assert found[name] == [pytest.approx(FLOOR)], name


def test_two_halves():
    image = torch.zeros(1, 3, 10, 10, dtype=torch.float64)
    image[..., 5:] = 1
    found = of(image)
    assert found["log_contrast"] == [pytest.approx(math.log(0.51))]
    assert found["log_edges"] == [pytest.approx(math.log(1 / 9 + 0.01))]  # one of nine columns of differences
    assert found["log_strongest_edge"] == [pytest.approx(math.log(1.01))]
    assert found["dark"] == found["bright"] == [0.5]


def test_a_light_centre_and_a_red_image():
    image = torch.zeros(2, 3, 10, 10, dtype=torch.float64)
    image[0, :, 2:8, 2:8] = 0.5
    image[1, 0] = 1
    found = of(image)
    assert found["centre_against_border"][0] == pytest.approx(0.5)
    assert found["log_centre_contrast"][0] == found["log_border_contrast"][0] == pytest.approx(FLOOR)
    assert found["saturation"] == [0, 1]
    assert found["log_colourfulness"][1] == pytest.approx(math.log(0.3 * math.hypot(1, 0.5) + 0.01))


def test_mirror_images_are_alike_and_rows_do_not_mix():
    images = torch.rand(5, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    alike = [i for i, name in enumerate(STATISTICS) if "edges" not in name and name != "log_strongest_edge"]
    found = image_statistics(images)
    torch.testing.assert_close(image_statistics(images.flip(3))[:, alike], found[:, alike])
    torch.testing.assert_close(image_statistics(images.transpose(2, 3)), found)
    torch.testing.assert_close(image_statistics(images[2:3]), found[2:3])
    assert image_statistics(images.float()).dtype == torch.float32
